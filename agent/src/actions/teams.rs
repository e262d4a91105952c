//! `teams`: a card in a channel or chat of Microsoft Teams, by a webhook of its Workflows.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Action, ActionKind, Letter,
    cut::{chars, cut},
    message::{Form, message},
    tone::Tone,
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `teams` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "teams",
    summary: "a card in a channel or chat of Microsoft Teams, by a webhook of its Workflows",
    options: &[
        Opt::new(
            "url",
            Shape::Secret,
            "required",
            "address that the workflow \"Send webhook alerts to a channel\" has been given",
        ),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

/// Longest text, in characters, and most lines of it. A card may have 28 KB in all.
const TEXT: usize = 6000;
const LINES: usize = 60;
const TITLE: usize = 250;

struct Teams {
    url: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| Some(Teams { url: web::address(options, "url", None)? }))
}

impl Form for Teams {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let colour = match letter.tone() {
            Tone::Bad => "attention",
            Tone::Worry => "warning",
            Tone::Good => "good",
            Tone::Test => "default",
        };
        let title = cut(&said.title, TITLE, chars);
        let mut body = vec![line(
            json!({ "type": "TextRun", "text": title, "weight": "bolder", "size": "medium", "color": colour }),
            "default",
        )];
        let text = cut(&said.text, TEXT, chars);
        let lines = text.lines().filter(|text| !text.trim().is_empty()).take(LINES);
        body.extend(lines.map(|text| line(json!({ "type": "TextRun", "text": text }), "none")));
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": { "width": "Full" },
            "body": body,
        });
        if let Some(page) = letter.page() {
            card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": page }]);
        }
        let card = json!({
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        });
        let body = json!({ "type": "message", "attachments": [card] });
        Request::json(&self.url, &body).hide_address()
    }
}

/// One line. In a block of runs no sign is taken for mark-up, as it is in a block of text.
fn line(run: Value, spacing: &str) -> Value {
    json!({ "type": "RichTextBlock", "spacing": spacing, "inlines": [run] })
}
