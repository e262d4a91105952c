//! What is expected of an answer beyond that there is one.

use std::time::Duration;

use http::HeaderName;

use super::{answer::Answer, status::Statuses};
use crate::checks::{
    Opt, Options, Shape,
    content::{Content, Text},
    net::told,
};

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

/// The option `jsonPath`.
pub(super) const JSON_PATH: Opt =
    Opt::text("jsonPath", "none", "JSONPath (RFC 9535) of a value that must be in the answer");

/// The option `maxMs`.
pub(super) const MAX_MS: Opt =
    Opt::number("maxMs", "none", "milliseconds for all of it, over which an answer is a failure");

/// The option `warnMs`.
pub(super) const WARN_MS: Opt =
    Opt::number("warnMs", "none", "milliseconds for all of it, over which a pass is a warning");

/// Most bytes that are read of a body.
pub(super) const BODY_BYTES: usize = 256 * 1024;

/// What is expected of an answer.
#[derive(Debug)]
pub(super) struct Expect {
    status: Statuses,
    fields: Vec<(HeaderName, String)>,
    body: Content,
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
        let max_ms = options.number("maxMs", 1.0..=3_600_000.0, "milliseconds");
        let warn_ms = options.number("warnMs", 1.0..=3_600_000.0, "milliseconds");
        if max_ms.zip(warn_ms).is_some_and(|(max, warn)| warn >= max) {
            options.warning("warnMs", "it fails before it warns", "less than `maxMs`");
        }
        Self {
            status: Statuses::read(options),
            fields: fields(options),
            body: Content::read(options),
            max_ms,
            warn_ms,
        }
    }

    /// Whether the body of the answer must be read for it.
    pub(super) fn wants_body(&self) -> bool {
        self.body.given()
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
        let text = Text { name: "its body", bytes: &answer.body, cut: answer.cut };
        let mut body = self.body.judge(text)?;
        met.clauses.append(&mut body.clauses);
        met.level = body.number;
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
