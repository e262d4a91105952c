//! `webhook`: a request to any web service, with a body from a template, and signed where there is a secret.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use ring::hmac;

use super::{
    Action, ActionKind, Letter, TellError, To,
    web::{self, Request, Service},
    words::{self, Words},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `webhook` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "webhook",
    summary: "a request to any web service",
    options: &[
        Opt::new("url", Shape::Secret, "required", "address of the service"),
        Opt::choice("method", METHODS, "POST", "how it is asked"),
        Opt::new("headers", Shape::Table, "none", "further fields of the request"),
        Opt::text(
            "text",
            "all there is, as JSON",
            "template of the body, in the language of Jinja",
        ),
        Opt::secret(
            "secret",
            "key that the body is signed with, in the field `X-Fletchck-Signature`",
        ),
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: false,
    build,
};

const METHODS: &[&str] = &["POST", "PUT", "PATCH", "GET"];

struct Webhook {
    service: Service,
    url: String,
    method: Method,
    headers: HeaderMap,
    /// `None`: all there is, as JSON.
    words: Option<Words>,
    key: Option<hmac::Key>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let service = Service::of(options);
    let url = web::address(options, "url", None);
    let method = options.choice("method", METHODS).unwrap_or("POST");
    let mut headers = HeaderMap::new();
    let words = options.given("text").then(|| Words::body(options));
    let kind = if words.is_some() { "text/plain; charset=utf-8" } else { "application/json" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in options.table("headers").unwrap_or_default() {
        let field = (HeaderName::try_from(name), HeaderValue::try_from(value));
        let (Ok(name), Ok(mut value)) = field else {
            let right = "names and texts of HTTP, as in {\"Authorization\": \"Bearer …\"}";
            options.fault("headers", format!("{name:?} cannot stand in a request"), right);
            continue;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let key = options.any_text("secret").filter(|secret| !secret.is_empty());
    let key = key.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    Some(Arc::new(Webhook { service, url: url?, method, headers, words, key }))
}

#[async_trait]
impl Action for Webhook {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let body = match &self.words {
            Some(words) => words.say_somehow(letter).text,
            None => words::context(letter).to_string(),
        };
        let body = if self.method == Method::GET { String::new() } else { body };
        let mut headers = self.headers.clone();
        // What is sent again after a crash can be told by it.
        if let Ok(id) = HeaderValue::from_str(&letter.id) {
            headers.insert("x-fletchck-id", id);
        }
        if let Some(key) = &self.key {
            let tag = hmac::sign(key, body.as_bytes());
            let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            if let Ok(value) = HeaderValue::from_str(&format!("sha256={hex}")) {
                headers.insert("x-fletchck-signature", value);
            }
        }
        let request = Request::new(self.method.clone(), &self.url, headers, body);
        self.service.send(request.hide_address()).await
    }
}
