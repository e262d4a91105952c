//! `pushover`: a message by Pushover.

use std::sync::Arc;

use super::{
    Action, ActionKind, Letter,
    cut::{chars, cut},
    message::{Form, message},
    tone::Tone,
    web::{self, Request},
    words::{self, Said},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `pushover` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "pushover",
    summary: "a message by Pushover",
    options: &[
        Opt::new("token", Shape::Secret, "required", "token of the application that it comes from"),
        Opt::text("user", "required", "key of the user or group that gets it"),
        Opt::text("device", "all of them", "name of the device that shows it"),
        Opt::flag(
            "emergency",
            "false",
            "whether a failure sounds again every minute, for an hour, until somebody confirms it",
        ),
        Opt::new("url", Shape::Secret, URL, "address of the service"),
        words::TITLE_OPT,
        words::TEXT_OPT,
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: true,
    build,
};

const URL: &str = "https://api.pushover.net";

/// Longest message and title, in characters, and address to open.
const MESSAGE: usize = 1024;
const TITLE: usize = 250;
const LINK: usize = 512;

struct Pushover {
    url: String,
    token: String,
    user: String,
    device: Option<String>,
    emergency: bool,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    message(options, |options| {
        let url = web::base(options, "url", Some(URL));
        let token = web::required_key(options, "token");
        let user = options.required_text("user").map(str::to_owned);
        let device = options.text("device").filter(|text| !text.is_empty()).map(str::to_owned);
        let emergency = options.flag("emergency", false);
        let url = format!("{}/1/messages.json", url?);
        Some(Pushover { url, token: token?, user: user?, device, emergency })
    })
}

impl Form for Pushover {
    fn request(&self, letter: &Letter, said: Said) -> Request {
        let title = cut(&said.title, TITLE, chars);
        // An empty message is refused.
        let text = if said.text.trim().is_empty() { &title } else { &said.text };
        let text = cut(text, MESSAGE, chars);
        let mut fields = vec![
            ("token", self.token.as_str()),
            ("user", &self.user),
            ("title", &title),
            ("message", &text),
        ];
        match letter.tone() {
            Tone::Bad if self.emergency => {
                fields.extend([("priority", "2"), ("retry", "60"), ("expire", "3600")]);
            }
            // It is heard in the quiet hours of its user, too.
            Tone::Bad => fields.push(("priority", "1")),
            Tone::Worry | Tone::Good | Tone::Test => fields.push(("priority", "0")),
        }
        if let Some(device) = &self.device {
            fields.push(("device", device));
        }
        let page = letter.page().filter(|page| page.len() <= LINK);
        if let Some(page) = &page {
            fields.extend([("url", page.as_str()), ("url_title", "Open")]);
        }
        Request::form(&self.url, &fields).hide(&self.token).hide(&self.user)
    }
}
