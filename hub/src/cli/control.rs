//! The command line's way to the running site.

use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::web::control;

/// Most bytes of an answer that are read.
const MOST: usize = 16 * 1024 * 1024;

/// What the site said, and whether it did what was asked.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) done: bool,
    pub(super) text: String,
}

/// Sends a form to the site that runs with this configuration.
pub(super) async fn post(
    config: &Path,
    path: &str,
    fields: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    // Who asks, as far as this machine knows.
    let by = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
    if !by.is_empty() {
        form.append_pair("by", &by);
    }
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form.finish()))?;
    send(config, request).await
}

/// Asks the site that runs with this configuration for JSON.
pub(super) async fn get(config: &Path, path: &str) -> anyhow::Result<serde_json::Value> {
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::ACCEPT, "application/json")
        .body(Full::default())?;
    let Answer { done, text } = send(config, request).await?;
    if !done {
        bail!("{text}");
    }
    serde_json::from_str(&text).context("the site answered with something that is no JSON")
}

async fn send(config: &Path, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
    let socket = control::path(config);
    let stream = UnixStream::connect(&socket).await.with_context(|| {
        format!(
            "no site runs with {}; start it, or name its configuration with --config",
            config.display()
        )
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("speaking to the site")?;
    // It ends with the request.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.context("asking the site")?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST).collect().await;
    let body = body.map_err(|e| anyhow::anyhow!("the answer of the site broke off: {e}"))?;
    connection.abort();
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok(Answer { done: status.is_success() || status == StatusCode::SEE_OTHER, text })
}
