//! What all pages have in common: their frame, the page that says what went wrong, and addresses of checks.

use std::{fmt::Write as _, sync::Arc};

use askama::Template;
use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use tracing::error;

use super::{WebState, assets, user::User};

/// What the frame of a page shows.
pub(super) struct Frame {
    pub(super) site: String,
    pub(super) user: Option<String>,
    /// Token for the forms of this page; empty without a login.
    pub(super) token: String,
    pub(super) assets: &'static assets::Assets,
    pub(super) version: &'static str,
}

impl Frame {
    /// For a page of a user.
    pub(super) fn of(state: &WebState, user: &User) -> Self {
        Self {
            user: Some(user.name.clone()),
            token: user.form_token(),
            ..Self::without_user(state.settings().name.clone())
        }
    }

    /// For a page that needs no login.
    pub(super) fn without_user(site: String) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { site, user: None, token: String::new(), assets: &assets::ASSETS, version }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    title: &'a str,
    sentence: &'a str,
}

/// A page that says what went wrong and what to do.
pub(super) fn error(status: StatusCode, sentence: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Refused",
        StatusCode::UNAUTHORIZED => "Not logged in",
        StatusCode::METHOD_NOT_ALLOWED => "Not possible here",
        StatusCode::CONFLICT => "Not done",
        StatusCode::PAYLOAD_TOO_LARGE => "Too much",
        StatusCode::INTERNAL_SERVER_ERROR => "A fault of ours",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => "Not now",
        _ => "That did not work",
    };
    let page = ErrorPage { frame: Frame::without_user("Fletchck".into()), title, sentence };
    let mut response = match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(_) => (status, sentence.to_owned()).into_response(),
    };
    response.extensions_mut().insert(Sentence(sentence.into()));
    response
}

/// What a page says in one sentence, for those who cannot read pages.
#[derive(Clone, Debug)]
pub(crate) struct Sentence(pub(crate) Arc<str>);

/// Says something in words alone, to a program.
pub(super) fn said(status: StatusCode, text: String) -> Response {
    let sentence = Sentence(text.as_str().into());
    let mut response = (status, text).into_response();
    response.extensions_mut().insert(sentence);
    response
}

/// Says that something was done: to a person by showing where they were, to the command line in words.
pub(super) fn done(user: &User, said: impl Into<String>, then: &str) -> Response {
    if user.local { said.into().into_response() } else { Redirect::to(then).into_response() }
}

/// Renders a page. A template that fails is a fault of the program; it is logged, and the user is told so.
pub(super) fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(e) => {
            error!(error = &e as &dyn std::error::Error, "a page cannot be made: {e}");
            error(StatusCode::INTERNAL_SERVER_ERROR, "This page cannot be shown. The log says why.")
        }
    }
}

/// Address of a check's page.
pub(super) fn check_address(name: &str) -> String {
    match name {
        // Browsers take these for steps between folders, even when they are escaped.
        "." | ".." => format!("/check?name={name}"),
        _ => format!("/check/{}", escape(name)),
    }
}

/// Escapes a text for one level of a path or one value of a query.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
