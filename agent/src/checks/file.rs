//! `file`: what a log has grown by since the last run, and whether the last line in it that matters is a failure.

mod cursor;
mod lines;
mod pattern;
pub(super) mod properties;
mod tail;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use serde_json::{Map, Value};

use super::{
    Answers, Before, Kind, Look, Opt, Options, Plan, Probe, Shape, aside::Aside, python,
    quantity::size_words,
};
use cursor::Cursor;
use lines::{Patterns, Tally};
use tail::{Came, Tail, TailError, tail};

/// The entry of `file` in the table.
pub const KIND: Kind = Kind {
    name: "file",
    summary: "new lines of a log: the last one that matches decides whether it passes or fails",
    options: &[
        Opt::text("filename", "required", "absolute path of the log; links are followed"),
        Opt::text(
            "failpattern",
            "any line",
            "regular expression: lines that match fail; empty: every line that is not empty fails",
        ),
        Opt::text(
            "passpattern",
            "none",
            "regular expression, tried on the lines that do not fail: lines that match pass",
        ),
        Opt::text(
            "ignorePattern",
            "none",
            "regular expression, tried first: lines that match are left out",
        ),
        Opt::new(
            "timeout",
            Shape::Seconds,
            "10",
            "longest time to read; what is left is read at the next run",
        ),
        cursor::OPTIONS[0],
        cursor::OPTIONS[1],
        cursor::OPTIONS[2],
        cursor::OPTIONS[3],
    ],
    answers: Answers {
        proves: "The log is there, and of the lines that were added since the last run the last one that matches is no failure. The first run begins at the end. With a `passpattern`, a failure lasts until a line passes; without one, until a run finds no new failure.",
        leaves_open: "Whether anything is written at all: `path` with `maxAge` fails for a log that has gone silent.",
        failure: "The sentence shows the last line that matches. A file that is not there or may not be read fails too.",
        matters: "`failpattern` is searched for anywhere in a line: `\\berror\\b` matches less than `error`, `(?i)` any case. `passpattern` for programs that say when they are well again, `ignorePattern` for noise.",
    },
    example: r#"{"type": "file", "trigger": {"interval": {"minutes": 1}}, "options": {"filename": "/var/log/app.log", "failpattern": "ERROR|FATAL", "passpattern": "recovered"}}"#,
    build,
};

/// The options in which the original keeps where it left off, for what a check kept here.
pub fn left_off(kept: &Value) -> Map<String, Value> {
    Cursor::of(kept).map(|cursor| cursor.options()).unwrap_or_default()
}

/// How much longer a reading is waited for than it may take.
const MARGIN: Duration = Duration::from_millis(50);

struct Log {
    filename: String,
    patterns: Arc<Patterns>,
    /// Where the original left off.
    seed: Option<Cursor>,
    timeout: Duration,
    aside: Aside,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let filename = options.required_text("filename").unwrap_or("/").to_owned();
    if !filename.starts_with('/') {
        let wrong = "it is no absolute path, so it depends on where this program was started";
        options.warning("filename", wrong, "a path that begins with `/`");
    }
    let patterns = Arc::new(Patterns {
        ignore: pattern::read(options, "ignorePattern"),
        fail: pattern::read(options, "failpattern"),
        pass: pattern::read(options, "passpattern"),
    });
    if patterns.fail.is_none() && patterns.pass.is_some() {
        let wrong = "without a failpattern every line fails before it is tried";
        options.warning("passpattern", wrong, "a failpattern beside it");
    }
    let seed = Cursor::read(options);
    let timeout = options.seconds("timeout", 10);
    Some(Plan::Probe(Arc::new(Log { filename, patterns, seed, timeout, aside: Aside::default() })))
}

#[async_trait]
impl Probe for Log {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let cursor = Cursor::resume(look.before.kept.as_ref(), self.seed.as_ref(), &self.filename);
        let (filename, patterns) = (self.filename.clone(), self.patterns.clone());
        let (before, end) = (cursor.clone(), Instant::now() + self.timeout);
        let read = move || tail(&filename, before, &patterns, end);
        // A reading that is slow ends by itself, and says more than a call that does not return.
        match self.aside.ask(self.timeout + MARGIN, read).await {
            Ok(Ok(tail)) => self.judge(tail, look.before),
            Ok(Err(error)) => self.unread(&error, cursor),
            Err(error) => Outcome::fail(format!("{} {error}", self.filename)),
        }
    }

    fn limit(&self) -> Duration {
        self.timeout + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

impl Log {
    fn unread(&self, error: &TailError, cursor: Option<Cursor>) -> Outcome {
        let file = &self.filename;
        let outcome = Outcome::fail(format!("{file} {error}"));
        match error {
            TailError::Missing => {
                // Once it is there, it is read from its beginning.
                let cursor = cursor.unwrap_or_else(|| Cursor::absent(file));
                outcome.log([format!("File not found {}", python::text(file))]).keep(cursor.keep())
            }
            _ => outcome.log([format!("{file} {error}")]),
        }
    }

    fn judge(&self, tail: Tail, before: &Before) -> Outcome {
        let Tail { cursor, tally, came, skipped, left } = tail;
        let file = &self.filename;
        let Tally { lines, fails, passes, last } = &tally;
        // A failure lasts until a line passes, where there is a way for one to do so.
        let lasting = self.patterns.pass.is_some() && (*lines > 0 || self.patterns.fail.is_some());
        let was = cursor.failing.unwrap_or(before.failing);
        let (failing, mut text) = match last {
            Some((true, line)) => {
                (true, format!("{fails} of {} in {file} failed, the last: {line}", new(*lines)))
            }
            Some((false, line)) => (
                false,
                format!("the last of {} in {file} that matches passes: {line}", new(*lines)),
            ),
            None if lasting && was => (
                true,
                format!(
                    "no line in {file} has passed since the last one that failed, {} since the last run",
                    new(*lines)
                ),
            ),
            None if came == Came::First => (
                false,
                format!(
                    "{file} is read from its end on, at {}",
                    size_words(cursor.at.unwrap_or_default())
                ),
            ),
            None => (false, format!("none of {} in {file} failed", new(*lines))),
        };
        if skipped > 0 {
            text.push_str(&format!(" ({} were too much to read)", size_words(skipped)));
        }
        if left > 0 {
            text.push_str(&format!(" ({} are left for the next run)", size_words(left)));
        }
        let outcome = if failing { Outcome::fail(text) } else { Outcome::pass(text) };
        let log = self.log(&tally, came, skipped, left);
        // What lines said is kept apart from the state of the check, which a threshold or a missing file changes too.
        let cursor = Cursor { failing: Some(failing), ..cursor };
        outcome.level(format!("{passes} pass, {fails} fail")).log(log).keep(cursor.keep())
    }

    /// The lines of the original's log, and what else there is to say.
    fn log(&self, tally: &Tally, came: Came, skipped: u64, left: u64) -> Vec<String> {
        let file = &self.filename;
        let Tally { lines, fails, passes, last } = tally;
        let mut log = Vec::new();
        if *lines == 0 {
            log.push(format!("No new lines in {file}"));
        } else {
            log.push(format!("Checked {lines} lines from {file}"));
            if *fails > 0 {
                log.push(format!("{fails} lines match fail pattern"));
            }
            if *passes > 0 {
                log.push(format!("{passes} lines match pass pattern"));
            }
            if let Some((fails, line)) = last {
                log.push(format!("Last matched line: {}", if *fails { "fail" } else { "pass" }));
                log.push(line.clone());
            }
        }
        match came {
            Came::Rotated(true) => {
                log.push("Rotated: the rest of the old file was read too".into())
            }
            Came::Rotated(false) => {
                log.push("Replaced by another file, which was read from its beginning".into())
            }
            Came::Truncated => {
                log.push("It has become shorter and was read from its beginning".into())
            }
            Came::First | Came::Again | Came::New => {}
        }
        if skipped > 0 {
            log.push(format!("Skipped {skipped} bytes"));
        }
        if left > 0 {
            log.push(format!("{left} bytes left"));
        }
        log
    }
}

fn new(lines: u64) -> String {
    match lines {
        1 => "1 new line".into(),
        _ => format!("{lines} new lines"),
    }
}

#[cfg(test)]
mod tests;
