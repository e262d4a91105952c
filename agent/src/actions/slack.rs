//! `slack`: a message to a channel of Slack, by an incoming webhook. Mattermost and Rocket.Chat take the same.

use std::sync::Arc;

use serde_json::json;

use super::{
    Action, ActionKind, Letter,
    cut::{chars, cut},
    message::{Form, message},
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `slack` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "slack",
    summary: "a message to a channel of Slack, by an incoming webhook",
    options: &[
        Opt::new("url", Shape::Secret, "required", "address of the incoming webhook"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

/// Longest text of a section, in characters, and of a title.
const SECTION: usize = 3000;
const TITLE: usize = 250;

struct Slack {
    url: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| Some(Slack { url: web::address(options, "url", None)? }))
}

impl Form for Slack {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let title = cut(&said.title, TITLE, chars);
        let title = format!("{} {title}", letter.tone().sign());
        let section =
            |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
        let text = fitting(&said.text);
        let mut blocks = vec![section(format!("*{}*", escaped(&title)))];
        // An empty section is refused.
        if !text.trim().is_empty() {
            blocks.push(section(text));
        }
        Request::json(&self.url, &json!({ "text": escaped(&title), "blocks": blocks }))
            .hide_address()
    }
}

/// A text for a section: escaping makes it longer, so it may have to be cut once more.
fn fitting(text: &str) -> String {
    let mut most = SECTION;
    loop {
        let found = escaped(&cut(text, most, chars));
        if found.chars().count() <= SECTION {
            return found;
        }
        most = most * 4 / 5;
    }
}

/// `&`, `<` and `>` alone have a meaning that a text could run into: `<!channel>` would wake everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_never_too_long() {
        for text in ["a", "&", "<b>&amp;", "ä🐕>"] {
            let found = fitting(&text.repeat(3001));
            let count = found.chars().count();
            assert!((2000..=SECTION).contains(&count), "{text}: {count}");
            assert!(found.ends_with('…'));
        }
        assert_eq!(fitting("<!channel> a&b"), "&lt;!channel&gt; a&amp;b");
    }
}
