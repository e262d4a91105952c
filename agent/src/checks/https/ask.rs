//! One request, and what can go wrong with it.

use std::{error::Error as _, io, pin::pin};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Https, answer::Answer};
use crate::checks::{
    Look,
    net::{Certificate, NetError, Steps, TalkError, io_words},
};

/// Most bytes that are read of an answer's head. Its body is not read at all.
const HEAD_BYTES: usize = 64 * 1024;

impl Https {
    /// Resolves, connects, speaks TLS if it must, and asks. The steps are the caller's, so that they outlive this call,
    /// however it ends.
    pub(super) async fn ask(
        &self,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<Answer, TalkError> {
        let stream = self.reach.connect(steps).await?;
        let Some(tls) = &self.tls else {
            steps.begin("answer");
            return self.request(stream, None, steps).await;
        };
        let (stream, certificate) =
            tls.handshake(stream, &self.reach.target, look, steps).await.map_err(NetError::from)?;
        steps.begin("answer");
        self.request(stream, Some(certificate), steps).await
    }

    async fn request(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        certificate: Option<Certificate>,
        steps: &mut Steps,
    ) -> Result<Answer, TalkError> {
        steps.sent(&format!("{} {} HTTP/1.1", self.method, self.path));
        let (mut sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| wrong(&error))?;
        let request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.clone())
            .header(header::HOST, self.authority())
            .header(header::USER_AGENT, concat!("fletchck/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .expect("method, path and host were found good when they were read");
        let mut answer = pin!(sender.send_request(request));
        let response = tokio::select! {
            response = &mut answer => response,
            // What ended the connection reaches the request too.
            _ = connection => answer.await,
        };
        let response = response.map_err(|error| wrong(&error))?;
        steps.got(&format!("{:?} {}", response.version(), response.status()));
        for (name, value) in response.headers() {
            steps.got(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        Ok(Answer::new(response.into_parts().0, certificate))
    }
}

fn wrong(error: &hyper::Error) -> TalkError {
    TalkError::Wrong(http_words(error))
}

fn http_words(error: &hyper::Error) -> String {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    // hyper has no other way to tell a head that is too large from one that is no HTTP.
    if error.is_parse() && error.to_string().contains("too large") {
        "its answer has more than 64 KiB or 100 lines of header".into()
    } else if error.is_parse() {
        "what it answers is no HTTP".into()
    } else if error.is_incomplete_message() {
        "it closed the connection before its answer was complete".into()
    } else if let Some(error) = source {
        format!("{} before its answer was complete", io_words(error))
    } else {
        format!("no answer: {error}")
    }
}
