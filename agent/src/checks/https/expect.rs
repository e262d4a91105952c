//! What is expected of an answer beyond that there is one.

use std::time::Duration;

use http::HeaderName;
use regex::Regex;

use super::{
    answer::Answer,
    json::{self, Expected},
    status::Statuses,
};
use crate::checks::{Opt, Options, Shape, net::told};

/// The option `expectHeaders`.
pub(super) const EXPECT_HEADERS: Opt = Opt::new(
    "expectHeaders",
    Shape::Table,
    "none",
    "fields the answer must have, each with a text that must be in it; an empty text takes any",
);

/// The option `contains`.
pub(super) const CONTAINS: Opt =
    Opt::new("contains", Shape::Texts, "none", "texts that must all be in the body of the answer");

/// The option `lacks`.
pub(super) const LACKS: Opt =
    Opt::new("lacks", Shape::Texts, "none", "texts that must not be in the body of the answer");

/// The option `matches`.
pub(super) const MATCHES: Opt =
    Opt::text("matches", "none", "regular expression that the body of the answer must match");

/// The option `maxMs`.
pub(super) const MAX_MS: Opt =
    Opt::number("maxMs", "none", "milliseconds for all of it, over which an answer is a failure");

/// The option `warnMs`.
pub(super) const WARN_MS: Opt =
    Opt::number("warnMs", "none", "milliseconds for all of it, over which a pass is a warning");

/// Most bytes that are read of a body.
pub(super) const BODY_BYTES: usize = 512 * 1024;

/// What is expected of an answer.
#[derive(Debug)]
pub(super) struct Expect {
    status: Statuses,
    fields: Vec<(HeaderName, String)>,
    contains: Vec<String>,
    lacks: Vec<String>,
    matches: Option<Regex>,
    json: Option<Expected>,
    max_ms: Option<f64>,
    warn_ms: Option<f64>,
}

/// What a good answer had that was expected.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// Clauses, as in `its body contains "ok"`.
    pub(super) clauses: Vec<String>,
    /// The value that was measured, if one was.
    pub(super) level: Option<String>,
    /// Whether it is worth a look.
    pub(super) warning: bool,
}

impl Expect {
    /// Reads all of it.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        let some = |texts: Option<Vec<&str>>| {
            let texts = texts.unwrap_or_default().into_iter();
            texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
        };
        let max_ms = options.number("maxMs", 1.0..=3_600_000.0, "milliseconds");
        let warn_ms = options.number("warnMs", 1.0..=3_600_000.0, "milliseconds");
        if max_ms.zip(warn_ms).is_some_and(|(max, warn)| warn >= max) {
            options.warning("warnMs", "it fails before it warns", "less than `maxMs`");
        }
        Self {
            status: Statuses::read(options),
            fields: fields(options),
            contains: some(options.texts("contains")),
            lacks: some(options.texts("lacks")),
            matches: pattern(options),
            json: json::Expected::read(options),
            max_ms,
            warn_ms,
        }
    }

    /// Whether the body of the answer must be read for it.
    pub(super) fn wants_body(&self) -> bool {
        !self.contains.is_empty()
            || !self.lacks.is_empty()
            || self.matches.is_some()
            || self.json.is_some()
    }

    /// Judges an answer that took this long.
    ///
    /// # Errors
    /// What was expected and not seen, as a clause.
    pub(super) fn judge(&self, answer: &Answer, took: Duration) -> Result<Met, String> {
        if !self.status.take(answer.status) {
            return Err(format!("expected {}", self.status));
        }
        let mut met = Met::default();
        for (name, text) in &self.fields {
            met.clauses.push(field(answer, name, text)?);
        }
        if self.wants_body() {
            self.judge_body(answer, &mut met)?;
        }
        let ms = took.as_secs_f64() * 1000.0;
        if let Some(max) = self.max_ms.filter(|max| ms > *max) {
            return Err(format!("after {ms:.0} ms, over the limit of {max} ms"));
        }
        if self.max_ms.is_some() || self.warn_ms.is_some() {
            met.level.get_or_insert(format!("{ms:.0} ms"));
            met.clauses.push(match self.warn_ms.filter(|warn| ms > *warn) {
                Some(warn) => {
                    met.warning = true;
                    format!("after {ms:.0} ms, over the warning at {warn} ms")
                }
                None => format!("after {ms:.0} ms"),
            });
        }
        Ok(met)
    }

    fn judge_body(&self, answer: &Answer, met: &mut Met) -> Result<(), String> {
        let text = String::from_utf8_lossy(&answer.body);
        let within = match answer.cut {
            true => format!("the first {} KiB of its body", BODY_BYTES / 1024),
            false => "its body".into(),
        };
        for wanted in &self.contains {
            if !text.contains(wanted.as_str()) {
                return Err(format!(
                    "expected `{}` in {within}, which {}",
                    told(wanted),
                    begins(&text)
                ));
            }
            met.clauses.push(format!("its body has `{}`", told(wanted)));
        }
        for unwanted in &self.lacks {
            if text.contains(unwanted.as_str()) {
                return Err(format!("expected no `{}` in {within}", told(unwanted)));
            }
            met.clauses.push(format!("{within} has no `{}`", told(unwanted)));
        }
        if let Some(pattern) = &self.matches {
            let Some(found) = pattern.find(&text) else {
                return Err(format!(
                    "expected {within} to match `{pattern}`, it {}",
                    begins(&text)
                ));
            };
            met.clauses.push(format!("its body has `{}`", told(found.as_str())));
        }
        if let Some(json) = &self.json {
            if answer.cut {
                return Err(format!(
                    "its body has more than {} KiB, too much to be read as JSON",
                    BODY_BYTES / 1024
                ));
            }
            let found = json.judge(&answer.body)?;
            met.clauses.push(found.text);
            met.level = found.number;
        }
        Ok(())
    }
}

fn field(answer: &Answer, name: &HeaderName, text: &str) -> Result<String, String> {
    let values: Vec<_> =
        answer.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
    let values: Vec<_> = values.into_iter().map(String::from_utf8_lossy).collect();
    if values.is_empty() {
        return Err(format!("expected a field {name}"));
    }
    match values.iter().find(|value| value.contains(text)) {
        Some(value) => Ok(format!("{name} is `{}`", told(value))),
        None => {
            Err(format!("expected `{}` in {name}, which is `{}`", told(text), told(&values[0])))
        }
    }
}

/// How a body begins, in a sentence.
fn begins(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    match line {
        None => "is empty".into(),
        Some(line) => {
            let line = &line[..line.floor_char_boundary(80)];
            format!("begins with `{}`", told(line))
        }
    }
}

fn fields(options: &mut Options<'_>) -> Vec<(HeaderName, String)> {
    let mut fields = Vec::new();
    for (name, text) in options.table("expectHeaders").unwrap_or_default() {
        match HeaderName::try_from(name) {
            Ok(name) => fields.push((name, text.to_owned())),
            Err(_) => options.fault(
                "expectHeaders",
                format!("{name:?} is no name of a field"),
                "letters, digits and `-`, as in content-type",
            ),
        }
    }
    fields
}

fn pattern(options: &mut Options<'_>) -> Option<Regex> {
    let text = options.any_text("matches").filter(|text| !text.is_empty())?;
    match Regex::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let wrong = format!("it is no regular expression: {}", last_line(&error));
            options.fault(
                "matches",
                wrong,
                "one in the syntax of Rust, RE2 or Go, without look-around",
            );
            None
        }
    }
}

/// The line that says what is wrong; those before it draw where.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
