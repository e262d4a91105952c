//! `apprise`: whatever the program of that name can tell, where it is installed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Action, ActionKind, Letter, TellError, To,
    cut::{chars, cut},
    exec,
    tone::Tone,
    words::{self, Words},
};
use crate::{
    options::{Opt, Options, Shape},
    program::Program,
};

/// The entry of `apprise` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "apprise",
    summary: "a message to any of the services that the program `apprise` knows, where it is installed, in version 0.9.0 or later",
    options: &[
        Opt::new(
            "url",
            Shape::Secret,
            "required",
            "addresses as it writes them, with spaces between: `json://localhost mailto://…`",
        ),
        Opt::text("program", PROGRAM, "the program, by its whole path or a name in PATH"),
        Opt::seconds(
            "timeout",
            "30",
            "seconds that it may run; then it is killed, with all that it started",
        ),
        words::TITLE_OPT,
        words::TEXT_OPT,
    ],
    gathers: true,
    build,
};

const PROGRAM: &str = "apprise";

/// Variable that it takes its addresses from, since its version 0.9.0: everybody on the machine sees the arguments of a
/// program.
const URLS: &str = "APPRISE_URLS";

/// Longest title, in characters.
const TITLE: usize = 250;

struct Apprise {
    program: Program,
    timeout: Duration,
    words: Words,
    /// Its addresses, each of which is not to be told.
    urls: Vec<String>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let urls = options.required_text("url");
    let program = options.text("program").filter(|text| !text.is_empty()).unwrap_or(PROGRAM);
    if program.contains('/') && !program.starts_with('/') {
        let right = "the whole path, or a name that is in PATH";
        options.fault("program", "its path is not absolute", right);
    }
    let timeout = options.seconds("timeout", 30);
    let words = Words::of(options);
    let urls = urls?;
    let program = Program::of(program).variable(URLS, urls);
    let urls = urls.split([' ', ',']).filter(|url| !url.is_empty()).map(str::to_owned).collect();
    Some(Arc::new(Apprise { program, timeout, words, urls }))
}

#[async_trait]
impl Action for Apprise {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let said = self.words.say_somehow(letter);
        let kind = match letter.tone() {
            Tone::Bad => "failure",
            Tone::Worry => "warning",
            Tone::Good => "success",
            Tone::Test => "info",
        };
        let title = format!("--title={}", cut(&said.title, TITLE, chars).replace('\0', ""));
        let kind = format!("--notification-type={kind}");
        let arguments = [title.as_str(), &kind, "--input-format=text", "-v"];
        // An empty body is refused.
        let text = if said.text.trim().is_empty() { said.title } else { said.text };
        let answer = exec::run(&self.program, &arguments, text, self.timeout).await;
        let hidden = |text: String| {
            self.urls.iter().fold(text, |text, url| text.replace(url.as_str(), "****"))
        };
        match answer {
            Ok(said) => Ok(hidden(said)),
            Err(error) => Err(TellError { text: hidden(error.text), ..error }),
        }
    }
}
