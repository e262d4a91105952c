//! `discord`: a message to a channel of Discord, by a webhook.

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

/// The entry of `discord` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "discord",
    summary: "a message to a channel of Discord, by a webhook",
    options: &[
        Opt::new("url", Shape::Secret, "required", "address of the webhook"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

/// Longest title and description of an embed, in characters.
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;

struct Discord {
    url: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let given = web::address(options, "url", None)?;
        let mut url = url::Url::parse(&given).ok()?;
        // Only then does it say whether the message was kept.
        url.query_pairs_mut().append_pair("wait", "true");
        Some(Discord { url: url.into() })
    })
}

impl Form for Discord {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let colour = match letter.tone() {
            Tone::Bad => 0x00d9_3025,
            Tone::Worry => 0x00f9_ab00,
            Tone::Good => 0x001e_8e3e,
            Tone::Test => 0x005f_6368,
        };
        let mut embed = json!({
            "title": cut(&said.title, TITLE, chars),
            "description": cut(&unmarked(&said.text), DESCRIPTION, chars),
            "color": colour,
        });
        if let Some(page) = letter.page() {
            embed["url"] = page.into();
        }
        // Nobody is called by what a target may have said.
        let body = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
        Request::json(&self.url, &body).hide_address()
    }
}

/// A text in which no sign is taken for mark-up. Addresses stay as they are, or they would lead nowhere.
fn unmarked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (place, line) in text.split('\n').enumerate() {
        if place > 0 {
            plain.push('\n');
        }
        for word in line.split_inclusive(' ') {
            let address = word.starts_with("https://") || word.starts_with("http://");
            for c in word.chars() {
                if !address && matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '#' | '[') {
                    plain.push('\\');
                }
                plain.push(c);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sign_is_taken_for_mark_up() {
        assert_eq!(unmarked("a_b *c*\nhttps://x/a_b d_e"), "a\\_b \\*c\\*\nhttps://x/a_b d\\_e");
        assert_eq!(unmarked("# [x](y) `z`"), "\\# \\[x](y) \\`z\\`");
    }
}
