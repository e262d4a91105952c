//! What one run of a check saw.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest log that an outcome carries, in lines. What is beyond is cut, and a last line says so.
pub const LOG_LINES: usize = 64;

/// Longest line of a log, and longest sentence of an outcome, in bytes.
pub const LINE_BYTES: usize = 512;

/// Whether a target was found well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that was expected was seen.
    Pass,
    /// Something was not as expected, or did not answer.
    Fail,
}

/// How grave what was seen is. The order is that of gravity.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is well.
    #[default]
    Ok,
    /// It is worth a look, as a disk that fills.
    Warning,
    /// It fails.
    Critical,
}

/// One part of a run and how long it took, `dns` or `tls` for example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What was done, in one word.
    pub name: String,
    /// How long it took.
    #[serde(rename = "ms", with = "milliseconds")]
    pub took: Duration,
}

/// What one run of a check saw, judged by the check's own rule and by nothing else: thresholds, retries over time and
/// dependencies belong to [`crate::state`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether all was well.
    pub verdict: Verdict,
    /// One sentence in plain words: what was expected, what was seen.
    pub text: String,
    /// The measured value with its unit as people read it, `" 7%"` or `"42 days"`. The form is the original's.
    pub level: Option<String>,
    /// Names a failure that further tries cannot mend, `certificate`, `hostkey` or `login`; a pass has none.
    pub soft_fail: Option<String>,
    /// The failing members of a sequence, comma-joined; `None` for every other kind of check, and for a pass.
    pub members: Option<String>,
    /// Lines that explain the sentence, oldest first.
    pub log: Vec<String>,
    /// The parts of the run, in order.
    pub phases: Vec<Phase>,
    /// Whether it is worth a look: a pass that is close to failing, or a failure that is less than a whole one.
    pub warning: bool,
    /// What the check wants to find again at its next run, after a restart too: a place in a file, a key it has seen. It
    /// is stored with the state and neither shown nor published. `None` leaves what there was.
    #[serde(skip)]
    pub keep: Option<Value>,
    /// An option that the target has taught, its name and its value, for the owner's file: the key of a server that was
    /// trusted at first sight.
    #[serde(skip)]
    pub learned: Option<(String, String)>,
    /// What was said and answered, without secrets, for a person who asks for it. It is not kept.
    #[serde(skip)]
    pub conversation: Vec<String>,
    /// When the run began.
    pub at: DateTime<Utc>,
    /// How long all of it took, retries included.
    pub took: Duration,
}

impl Outcome {
    /// A pass with its sentence. The caller adds level, log and phases where it has them; the turn adds the times.
    pub fn pass(text: impl Into<String>) -> Self {
        Self::new(Verdict::Pass, text.into())
    }

    /// A failure with its sentence.
    pub fn fail(text: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, text.into())
    }

    /// With a level.
    #[must_use]
    pub fn level(mut self, level: impl Into<String>) -> Self {
        self.level = Some(level.into());
        self
    }

    /// With a log.
    #[must_use]
    pub fn log(mut self, log: impl IntoIterator<Item = String>) -> Self {
        self.log = log.into_iter().collect();
        self
    }

    /// With the name of a failure that further tries cannot mend.
    #[must_use]
    pub fn soft_fail(mut self, name: impl Into<String>) -> Self {
        self.soft_fail = Some(name.into());
        self
    }

    /// As worth a look, where `warning` holds.
    #[must_use]
    pub fn warning(mut self, warning: bool) -> Self {
        self.warning = warning;
        self
    }

    /// As a failure less than a whole one, which is told, where it is a pass worth a look and `alerts` holds.
    #[must_use]
    pub fn alerting(mut self, alerts: bool) -> Self {
        if alerts && self.warning {
            self.verdict = Verdict::Fail;
        }
        self
    }

    /// With what the check wants to find again at its next run.
    #[must_use]
    pub fn keep(mut self, keep: Value) -> Self {
        self.keep = Some(keep);
        self
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        match (self.verdict, self.warning) {
            (Verdict::Pass, false) => Severity::Ok,
            (_, true) => Severity::Warning,
            (Verdict::Fail, false) => Severity::Critical,
        }
    }

    /// With its phases.
    #[must_use]
    pub fn phases(mut self, phases: Vec<Phase>) -> Self {
        self.phases = phases;
        self
    }

    /// Cuts text and log to [`LINE_BYTES`] and [`LOG_LINES`]: a target decides what it answers, not how much is kept.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        cut(&mut self.text);
        let more = self.log.len().saturating_sub(LOG_LINES);
        if more > 0 {
            self.log.truncate(LOG_LINES - 1);
            self.log.push(format!("{} more lines", more + 1));
        }
        self.log.iter_mut().for_each(cut);
        if let Some(level) = &mut self.level {
            cut(level);
        }
        self
    }

    fn new(verdict: Verdict, text: String) -> Self {
        Self {
            verdict,
            text,
            level: None,
            soft_fail: None,
            members: None,
            log: Vec::new(),
            phases: Vec::new(),
            warning: false,
            keep: None,
            learned: None,
            conversation: Vec::new(),
            at: DateTime::UNIX_EPOCH,
            took: Duration::ZERO,
        }
    }
}

/// Cuts a line to [`LINE_BYTES`] at a character's edge and marks the cut.
fn cut(line: &mut String) {
    if line.len() > LINE_BYTES {
        let edge = line.floor_char_boundary(LINE_BYTES - '…'.len_utf8());
        line.truncate(edge);
        line.push('…');
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(took: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let ms = f64::deserialize(d)?;
        Duration::try_from_secs_f64(ms / 1e3).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_that_alerts_is_a_failure_and_still_a_warning() {
        let seen = |warning, alerts| Outcome::pass("").warning(warning).alerting(alerts);
        assert_eq!(seen(false, true).severity(), Severity::Ok);
        let quiet = seen(true, false);
        assert_eq!((quiet.verdict, quiet.severity()), (Verdict::Pass, Severity::Warning));
        let told = seen(true, true);
        assert_eq!((told.verdict, told.severity()), (Verdict::Fail, Severity::Warning));
    }

    #[test]
    fn a_long_answer_is_cut_at_a_characters_edge() {
        let outcome =
            Outcome::fail("ä".repeat(1000)).log((0..100).map(|n| n.to_string())).bounded();
        assert!(outcome.text.len() <= LINE_BYTES && outcome.text.ends_with('…'));
        assert_eq!(outcome.log.len(), LOG_LINES);
        assert_eq!(outcome.log[LOG_LINES - 1], "37 more lines");
    }
}
