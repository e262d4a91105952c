//! What is expected of a text that a service sends, the body of an answer or a message: the judgement and its words. What
//! the options mean is said by each type.

mod document;
mod fit;
pub(super) mod json;
mod path;

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

pub(super) use self::{
    document::NoDocument,
    json::{JSON_IS, told as value_told},
    path::Path,
};
use super::{Options, net::told};

/// Most room of the tables that a pattern makes for what it meets in a text, in bytes. Without them it is slower.
pub(super) const TABLES: usize = 128 * 1024;

/// What is expected of a text.
#[derive(Debug, Default)]
pub(super) struct Content {
    contains: Vec<String>,
    lacks: Vec<String>,
    matches: Option<Regex>,
    json: Option<json::Expected>,
}

/// A text as far as it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// What sentences call it, `its body`.
    pub(super) name: &'a str,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
    /// Whether there was more of it.
    pub(super) cut: bool,
}

/// What a good text had that was expected.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Met {
    /// Clauses, as in ``its body has `ok` ``.
    pub(super) clauses: Vec<String>,
    /// The value at `jsonPath`, where it is one number alone.
    pub(super) number: Option<String>,
}

impl Content {
    /// Reads `contains`, `lacks`, `matches`, `jsonPath` and `jsonIs`.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        let some = |texts: Option<Vec<&str>>| {
            let texts = texts.unwrap_or_default().into_iter();
            texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
        };
        Self {
            contains: some(options.texts("contains")),
            lacks: some(options.texts("lacks")),
            matches: pattern(options),
            json: json::Expected::read(options),
        }
    }

    /// Whether anything is expected, so that the text must be read.
    pub(super) fn given(&self) -> bool {
        !self.contains.is_empty()
            || !self.lacks.is_empty()
            || self.matches.is_some()
            || self.json.is_some()
    }

    /// Judges a text.
    ///
    /// # Errors
    /// What was expected and not seen, as a clause.
    pub(super) fn judge(&self, whole: Text<'_>) -> Result<Met, String> {
        let mut met = Met::default();
        if !self.given() {
            return Ok(met);
        }
        let (name, kib) = (whole.name, whole.bytes.len().div_ceil(1024));
        let bytes = whole.bytes;
        let within =
            if whole.cut { format!("the first {kib} KiB of {name}") } else { name.to_owned() };
        for wanted in &self.contains {
            if !has(bytes, wanted) {
                return Err(format!(
                    "expected `{}` in {within}, which {}",
                    told(wanted),
                    begins(bytes)
                ));
            }
            met.clauses.push(format!("{name} has `{}`", told(wanted)));
        }
        for unwanted in &self.lacks {
            if has(bytes, unwanted) {
                return Err(format!("expected no `{}` in {within}", told(unwanted)));
            }
            met.clauses.push(format!("{within} has no `{}`", told(unwanted)));
        }
        if let Some(pattern) = &self.matches {
            let text = substituted(bytes);
            let Some(found) = pattern.find(&text) else {
                return Err(format!(
                    "expected {within} to match `{pattern}`, it {}",
                    begins(bytes)
                ));
            };
            met.clauses.push(format!("{name} has `{}`", told(&beginning(&bytes[found.range()]))));
        }
        if let Some(json) = &self.json {
            if whole.cut {
                return Err(format!("{name} has more than {kib} KiB, too much to be read as JSON"));
            }
            let found = json.judge(whole.bytes, name)?;
            met.clauses.push(found.text);
            met.number = found.number;
        }
        Ok(met)
    }
}

/// Whether a text has another one in it. It is not copied for that: what is no UTF-8 is passed over.
fn has(bytes: &[u8], wanted: &str) -> bool {
    let pieces = bytes.utf8_chunks().map(|piece| piece.valid());
    pieces.filter(|piece| piece.len() >= wanted.len()).any(|piece| piece.contains(wanted))
}

/// A text in which each byte that is no UTF-8 is a character that no text has, so that a pattern finds what is around it.
/// One of ASCII, so that everything stays in its place; with that of Unicode the text would be three times as large.
fn substituted(bytes: &[u8]) -> Cow<'_, str> {
    const SUBSTITUTE: char = '\u{1a}';
    if let Ok(text) = str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for piece in bytes.utf8_chunks() {
        text.push_str(piece.valid());
        text.extend(piece.invalid().iter().map(|_| SUBSTITUTE));
    }
    text.into()
}

/// How a text begins, in a sentence.
fn begins(bytes: &[u8]) -> String {
    let text = beginning(bytes.trim_ascii_start());
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    match line {
        None => "is empty".into(),
        Some(line) => {
            let line = &line[..line.floor_char_boundary(80)];
            format!("begins with `{}`", told(line))
        }
    }
}

/// More of a text than a sentence shows of it.
fn beginning(bytes: &[u8]) -> Cow<'_, str> {
    const MORE: usize = 1024;
    String::from_utf8_lossy(&bytes[..bytes.len().min(MORE)])
}

fn pattern(options: &mut Options<'_>) -> Option<Regex> {
    let text = options.any_text("matches").filter(|text| !text.is_empty())?;
    match RegexBuilder::new(text).dfa_size_limit(TABLES).build() {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::checks::{Opt, Shape};

    const KNOWN: &[Opt] = &[
        Opt::new("contains", Shape::Texts, "none", "some"),
        Opt::new("lacks", Shape::Texts, "none", "none"),
        Opt::text("matches", "none", "one"),
        Opt::text("jsonPath", "none", "one"),
        JSON_IS,
    ];

    fn content(given: serde_json::Value) -> Content {
        let given = given.as_object().expect("options");
        let (content, faults) = Options::read(given, KNOWN, |options| Some(Content::read(options)));
        assert_eq!(faults, []);
        content.expect("a content")
    }

    fn judge(given: serde_json::Value, bytes: &[u8], cut: bool) -> Result<Vec<String>, String> {
        let text = Text { name: "its payload", bytes, cut };
        content(given).judge(text).map(|met| met.clauses)
    }

    #[test]
    fn a_text_is_called_by_its_name() {
        let good =
            judge(json!({"contains": ["o", "k"], "lacks": "no", "matches": "^o"}), b"ok", true);
        let clauses = [
            "its payload has `o`",
            "its payload has `k`",
            "the first 1 KiB of its payload has no `no`",
            "its payload has `o`",
        ];
        assert_eq!(good.expect("good"), clauses);
        for (given, cut, words) in [
            (
                json!({"contains": "up"}),
                false,
                "expected `up` in its payload, which begins with `ok`",
            ),
            (json!({"lacks": "ok"}), true, "expected no `ok` in the first 1 KiB of its payload"),
            (
                json!({"matches": "^k"}),
                false,
                "expected its payload to match `^k`, it begins with `ok`",
            ),
            (
                json!({"jsonPath": "$"}),
                true,
                "its payload has more than 1 KiB, too much to be read as JSON",
            ),
            (
                json!({"jsonPath": "$.a"}),
                false,
                "its payload is no JSON (expected value at line 1 column 1), expected one with $.a",
            ),
        ] {
            assert_eq!(judge(given, b"ok", cut).expect_err("bad"), words);
        }
    }

    /// A dot stood for no byte of Latin-1, so that the pattern of a whole line found nothing in it.
    #[test]
    fn a_pattern_finds_what_is_around_bytes_that_are_no_utf_8() {
        let latin = b"status of caf\xe9: ok \xff";
        for pattern in ["^status.*ok.{2}$", "caf.:", "(?s)^.+$", "caf[^a-z]:", "caf\\S: \\w+"] {
            let met = judge(json!({"matches": pattern}), latin, false);
            assert!(met.is_ok(), "{pattern}: {met:?}");
        }
        let met = judge(json!({"matches": "caf.: ok"}), latin, false).expect("found");
        assert_eq!(met, ["its payload has `caf\u{fffd}: ok`"]);
        assert!(judge(json!({"matches": "caf\\w"}), latin, false).is_err());
    }

    #[test]
    fn nothing_is_read_where_nothing_is_expected() {
        assert!(!content(json!({"contains": "", "jsonPath": ""})).given());
        assert_eq!(judge(json!({}), b"\xff", false), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(bytes in any::<Vec<u8>>(), wanted in ".{0,4}", cut: bool) {
            let given = json!({"contains": wanted, "lacks": wanted, "matches": "a+", "jsonPath": "$..a"});
            _ = judge(given, &bytes, cut);
            prop_assert_eq!(substituted(&bytes).len(), bytes.len());
        }
    }
}
