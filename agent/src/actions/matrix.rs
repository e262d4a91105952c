//! `matrix`: a message to a room of Matrix.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use super::{
    Action, ActionKind, Letter,
    cut::cut,
    message::{Form, message},
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `matrix` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "matrix",
    summary: "a message to a room of Matrix",
    options: &[
        Opt::new("url", Shape::Secret, "required", "address of the homeserver"),
        Opt::text("room", "required", "identifier of the room, `!…`; the user must have joined it"),
        Opt::new("token", Shape::Secret, "required", "access token of the user that it comes from"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

/// Longest text, in bytes. It is sent twice, and escaped once, and an event has 65,536.
const TEXT: usize = 8 * 1024;

struct Matrix {
    /// As far as the number of the message.
    url: String,
    token: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let url = web::base(options, "url", None);
        let room = options.required_text("room");
        if room.is_some_and(|room| !room.starts_with('!')) {
            let right = "`!…`, which a client shows among the settings of the room";
            options.fault("room", "it is no identifier of a room", right);
        }
        let token = web::required_key(options, "token");
        let room = web::quoted(room?);
        let url = format!("{}/_matrix/client/v3/rooms/{room}/send/m.room.message", url?);
        Some(Matrix { url, token: token? })
    })
}

impl Form for Matrix {
    /// The server takes what has the same identifier for the same message, so that one sent again is not shown again.
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let title = cut(&said.title, TEXT / 8, char::len_utf8);
        let title = format!("{} {title}", letter.tone().sign());
        let text = cut(&said.text, TEXT, char::len_utf8);
        let html = words::escaped(&text).replace('\n', "<br>");
        let body = json!({
            "msgtype": "m.text",
            "body": format!("{title}\n{text}"),
            "format": "org.matrix.custom.html",
            "formatted_body": format!("<strong>{}</strong><br>{html}", words::escaped(&title)),
        });
        let mut request = Request::json(format!("{}/{}", self.url, letter.id), &body);
        request.method = Method::PUT;
        request.bearer(&self.token)
    }
}
