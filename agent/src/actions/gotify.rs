//! `gotify`: a message by a Gotify server.

use std::sync::Arc;

use serde_json::json;

use super::{
    Action, ActionKind, Letter,
    message::{Form, message},
    tone::Tone,
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `gotify` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "gotify",
    summary: "a message by a Gotify server",
    options: &[
        Opt::new("url", Shape::Secret, "required", "address of the server"),
        Opt::new("token", Shape::Secret, "required", "token of the application that it comes from"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

struct Gotify {
    url: String,
    token: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let url = web::base(options, "url", None);
        let token = web::required_key(options, "token");
        Some(Gotify { url: format!("{}/message", url?), token: token? })
    })
}

impl Form for Gotify {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        // Its app makes a sound from 4 on, and is insistent from 8 on.
        let priority = match letter.tone() {
            Tone::Bad => 8,
            Tone::Worry => 5,
            Tone::Good | Tone::Test => 4,
        };
        let mut body = json!({ "title": said.title, "message": said.text, "priority": priority });
        if let Some(page) = letter.page() {
            body["extras"] = json!({ "client::notification": { "click": { "url": page } } });
        }
        Request::json(&self.url, &body).header("x-gotify-key", &self.token)
    }
}
