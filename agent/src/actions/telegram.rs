//! `telegram`: a message by a bot of Telegram.

use std::sync::Arc;

use serde_json::json;

use super::{
    Action, ActionKind, Letter,
    cut::cut,
    message::{Form, message},
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `telegram` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "telegram",
    summary: "a message by a bot of Telegram",
    options: &[
        Opt::new("token", Shape::Secret, "required", "token of the bot, as BotFather gives it"),
        Opt::text(
            "chat",
            "required",
            "number of the chat, negative for a group, or `@` and the name of a channel",
        ),
        Opt::number("thread", "none", "number of the topic, in a group that has topics"),
        Opt::new("url", Shape::Secret, URL, "address of the Bot API"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

const URL: &str = "https://api.telegram.org";

/// Longest message, in units of UTF-16, which is how it counts.
const MESSAGE: usize = 4096;

/// Longest title, in the same.
const TITLE: usize = 256;

struct Telegram {
    url: String,
    token: String,
    chat: String,
    thread: Option<u64>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let url = web::base(options, "url", Some(URL));
        let token = web::required_key(options, "token");
        if token.as_ref().is_some_and(|token| token.contains(['/', '?', '#', ' '])) {
            options.fault("token", "it is no token of a bot", "`123456:ABC…`");
        }
        let chat = chat(options);
        let thread = options.number("thread", 1.0..=f64::from(i32::MAX), "a number");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        let thread = thread.map(|thread| thread as u64);
        let token = token?;
        let url = format!("{}/bot{token}/sendMessage", url?);
        Some(Telegram { url, token, chat: chat?, thread })
    })
}

/// A chat is a number as often as a name.
fn chat(options: &mut Options<'_>) -> Option<String> {
    let chat = options.words("chat").and_then(|words| words.into_iter().next());
    let chat = chat.filter(|chat| !chat.trim().is_empty());
    if chat.is_none() {
        options.fault("chat", "it is missing", "`-1001234567890` or `@channel`");
    }
    chat
}

impl Form for Telegram {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let title = cut(&said.title, TITLE, char::len_utf16);
        let title = format!("{} {title}", letter.tone().sign());
        let used: usize = title.chars().map(char::len_utf16).sum();
        let text = cut(&said.text, MESSAGE - 1 - used, char::len_utf16);
        // What stands before the colon is the number of the bot, and no secret.
        let secret = self.token.split(':').next_back().unwrap_or_default();
        let mut body = json!({
            "chat_id": self.chat,
            "text": format!("<b>{}</b>\n{}", words::escaped(&title), words::escaped(&text)),
            "parse_mode": "HTML",
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(thread) = self.thread {
            body["message_thread_id"] = thread.into();
        }
        Request::json(&self.url, &body).hide(&self.token).hide(secret)
    }
}
