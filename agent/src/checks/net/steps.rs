//! How long each part of a look took, and what was said in it.

use std::borrow::Cow;

use fletchck_shared::{Outcome, Phase, outcome::LINE_BYTES};
use tokio::time::Instant;

/// Most lines of a conversation that are kept.
const LINES: usize = 200;

/// Length of the shortest secret that is hidden, in bytes.
const TELLING: usize = 4;

/// The parts of a look, from the first to the one it is at. It outlives a look that is cut off, and then says where.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Phase>,
    at: Option<(&'static str, Instant)>,
    conversation: Vec<String>,
    secrets: Vec<String>,
    settled: Option<Outcome>,
}

impl Steps {
    /// Begins a part, and with it ends the one before.
    pub(crate) fn begin(&mut self, name: &'static str) {
        self.end();
        self.at = Some((name, Instant::now()));
    }

    /// Name of the part that is under way.
    pub(crate) fn current(&self) -> Option<&'static str> {
        self.at.map(|(name, _)| name)
    }

    /// Notes something for whoever asks what was said. Secrets must not be in it.
    pub(crate) fn note(&mut self, line: impl AsRef<str>) {
        match self.conversation.len() {
            ..LINES => self.conversation.push(plain(&hidden(line.as_ref(), &self.secrets))),
            LINES => self.conversation.push("* and so on".into()),
            _ => {}
        }
    }

    /// Hides a secret, however the other side repeats it: in the conversation, the log and the sentence. What is shorter
    /// than [`TELLING`] is left, or every word would be full of holes.
    pub(crate) fn hide(&mut self, secret: impl Into<String>) {
        let secret = secret.into();
        if secret.len() >= TELLING {
            self.secrets.push(secret);
        }
    }

    /// What the outcome is, even if there is no time for the rest.
    pub(crate) fn settle(&mut self, outcome: Outcome) {
        self.settled = Some(outcome);
    }

    /// What the outcome is where there was no time for the rest.
    pub(super) fn settled(&mut self) -> Option<Outcome> {
        self.settled.take()
    }

    /// Notes what was sent, without secrets.
    pub(crate) fn sent(&mut self, line: &str) {
        self.note(format!("> {line}"));
    }

    /// Notes what was answered.
    pub(crate) fn got(&mut self, line: &str) {
        self.note(format!("< {line}"));
    }

    /// Ends the last part, and puts all of this into the outcome.
    pub(crate) fn complete(mut self, mut outcome: Outcome) -> Outcome {
        self.end();
        for line in outcome.log.iter_mut().chain([&mut outcome.text]) {
            if let Cow::Owned(hidden) = hidden(line, &self.secrets) {
                *line = hidden;
            }
        }
        outcome.phases = self.done;
        outcome.conversation = self.conversation;
        outcome.bounded()
    }

    fn end(&mut self) {
        if let Some((name, began)) = self.at.take() {
            self.done.push(Phase { name: name.into(), took: began.elapsed() });
        }
    }
}

/// A line without these secrets.
fn hidden<'a>(line: &'a str, secrets: &[String]) -> Cow<'a, str> {
    let mut line = Cow::Borrowed(line);
    for secret in secrets {
        if line.contains(secret) {
            line = line.replace(secret, "****").into();
        }
    }
    line
}

/// A line that the other side may have chosen: of bounded length, without control characters.
fn plain(line: &str) -> String {
    let line = &line[..line.floor_char_boundary(LINE_BYTES)];
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_repeated_is_hidden_everywhere() {
        let mut steps = Steps::default();
        steps.hide("open sesame");
        steps.hide("at");
        steps.got("535 what is `open sesame`?");
        let outcome = Outcome::fail("open sesame").log(["not open sesame".into()]);
        let outcome = steps.complete(outcome);
        assert_eq!(outcome.text, "****");
        assert_eq!(outcome.log, ["not ****"]);
        assert_eq!(outcome.conversation, ["< 535 what is `****`?"]);
    }
}
