//! `ntfy`: a message to a topic of ntfy.sh, or of a server of one's own.

use std::sync::Arc;

use serde_json::json;

use super::{
    Action, ActionKind, Letter,
    cut::{chars, cut},
    message::{Form, message},
    tone::Tone,
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `ntfy` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "ntfy",
    summary: "a message to a topic of ntfy.sh, or of a server of one's own",
    options: &[
        Opt::text("topic", "required", "topic; on ntfy.sh whoever knows its name reads it"),
        Opt::new("url", Shape::Secret, URL, "address of the server"),
        Opt::secret("token", "access token, where the topic is protected"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

const URL: &str = "https://ntfy.sh";

/// Longest title, in characters. There is no limit of its own, but nobody reads on.
const TITLE: usize = 250;

/// Longest message, in bytes; a longer one becomes a file to be downloaded.
const MESSAGE: usize = 4096;

struct Ntfy {
    url: String,
    topic: String,
    token: Option<String>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let url = web::base(options, "url", Some(URL));
        let topic = options.required_text("topic").map(str::to_owned);
        let token = web::key(options, "token");
        Some(Ntfy { url: url?, topic: topic?, token })
    })
}

impl Form for Ntfy {
    /// Published as JSON, for which the address is that of the server alone.
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let (priority, tag) = match letter.tone() {
            Tone::Bad => (5, "rotating_light"),
            Tone::Worry => (4, "warning"),
            Tone::Good => (3, "white_check_mark"),
            Tone::Test => (3, "test_tube"),
        };
        let mut body = json!({
            "topic": self.topic,
            "title": cut(&said.title, TITLE, chars),
            "message": cut(&said.text, MESSAGE, char::len_utf8),
            "priority": priority,
            "tags": [tag],
        });
        if let Some(page) = letter.page() {
            body["click"] = page.into();
        }
        let request = Request::json(&self.url, &body);
        match &self.token {
            Some(token) => request.bearer(token),
            None => request,
        }
    }
}
