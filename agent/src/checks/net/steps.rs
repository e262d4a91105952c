//! How long each part of a look took, and what was said in it.

use fletchck_shared::{Outcome, Phase, outcome::LINE_BYTES};
use tokio::time::Instant;

/// Most lines of a conversation that are kept.
const LINES: usize = 200;

/// The parts of a look, from the first to the one it is at. It outlives a look that is cut off, and then says where.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Phase>,
    at: Option<(&'static str, Instant)>,
    conversation: Vec<String>,
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
            ..LINES => self.conversation.push(plain(line.as_ref())),
            LINES => self.conversation.push("* and so on".into()),
            _ => {}
        }
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

/// A line that the other side may have chosen: of bounded length, without control characters.
fn plain(line: &str) -> String {
    let line = &line[..line.floor_char_boundary(LINE_BYTES)];
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
