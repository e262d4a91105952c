//! What is expected of a value in a JSON text.

use std::{cmp::Ordering, fmt};

use serde_json::Value;

use super::{document::NoDocument, path::Path};
use crate::checks::{Opt, Options, brief::brief};

/// The option `jsonIs`.
pub(in crate::checks) const JSON_IS: Opt = Opt::text(
    "jsonIs",
    "anything",
    "what each such value must be: `ok`, `true`, `== 1`, `!= 0`, `< 100`, `>= 2.5`",
);

/// What is expected of values in a text.
#[derive(Debug)]
pub(in crate::checks) struct Expected {
    path: Path,
    is: Option<Is>,
}

/// A comparison.
#[derive(Debug, PartialEq)]
struct Is {
    operator: Operator,
    operand: Value,
    /// The operand as it was written.
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// What was found where it was expected.
#[derive(Debug, PartialEq)]
pub(in crate::checks) struct Found {
    /// In words.
    pub(in crate::checks) text: String,
    /// The value, where it is one number alone.
    pub(in crate::checks) number: Option<String>,
}

impl Expected {
    /// Reads `jsonPath` and `jsonIs`.
    pub(in crate::checks) fn read(options: &mut Options<'_>) -> Option<Self> {
        let is = options.text("jsonIs").map(Is::parse);
        if is.is_some() && options.text("jsonPath").is_none_or(str::is_empty) {
            options.fault("jsonPath", "it is missing", "the path of what `jsonIs` is about");
        }
        Some(Self { path: Path::read(options, "jsonPath")?, is })
    }

    /// Looks for it in a text that sentences call `name`.
    ///
    /// # Errors
    /// What is there instead, as a clause: `$.state is "down", expected "up"`.
    pub(in crate::checks) fn judge(&self, text: &[u8], name: &str) -> Result<Found, String> {
        let path = &self.path;
        let document = path.read_in(text).map_err(|error| match error {
            NoDocument::Json(error) => {
                format!("{name} is no JSON ({error}), expected one with {path}")
            }
            NoDocument::TooLarge => format!(
                "{name} has more on the way of {path} than is looked at: let it lead to less of it"
            ),
        })?;
        let found = path.all(&document);
        let [first, others @ ..] = &found[..] else {
            return Err(format!("nothing in {name} is at {path}"));
        };
        if let Some(is) = &self.is
            && let Some(wrong) = found.iter().find(|value| !is.holds(value))
        {
            return Err(format!("{path} is {}, expected {is}", told(wrong)));
        }
        let number = others.is_empty().then_some(first).filter(|value| value.is_number());
        Ok(Found {
            text: match others.len() {
                0 => format!("{path} is {}", told(first)),
                more => format!("all {} at {path} are as expected", more + 1),
            },
            number: number.map(|number| number.to_string()),
        })
    }
}

impl Is {
    fn parse(text: &str) -> Self {
        const OPERATORS: [(&str, Operator); 6] = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::MoreOrEqual),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        let found = OPERATORS.iter().find_map(|(sign, operator)| {
            text.trim_start().strip_prefix(sign).map(|rest| (*operator, rest))
        });
        let (operator, operand) = found.unwrap_or((Operator::Equal, text));
        let text = operand.trim().to_owned();
        let operand = serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone()));
        Self { operator, operand, text }
    }

    fn holds(&self, value: &Value) -> bool {
        match self.operator {
            Operator::Equal => self.equals(value),
            Operator::Unequal => !self.equals(value),
            order => match (number(value), number(&self.operand)) {
                (Some(value), Some(limit)) => {
                    value.partial_cmp(&limit).is_some_and(|is| match order {
                        Operator::Less => is == Ordering::Less,
                        Operator::LessOrEqual => is != Ordering::Greater,
                        Operator::More => is == Ordering::Greater,
                        _ => is != Ordering::Less,
                    })
                }
                _ => false,
            },
        }
    }

    /// Equal as values, or a text that is what was written.
    fn equals(&self, value: &Value) -> bool {
        let numbers = || value.as_f64().zip(self.operand.as_f64()).is_some_and(|(a, b)| a == b);
        *value == self.operand || value.as_str() == Some(&self.text) || numbers()
    }
}

impl fmt::Display for Is {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.operator {
            Operator::Equal => "",
            Operator::Unequal => "anything but ",
            Operator::Less => "less than ",
            Operator::LessOrEqual => "at most ",
            Operator::More => "more than ",
            Operator::MoreOrEqual => "at least ",
        })?;
        f.write_str(&told(&self.operand))
    }
}

/// A number, also where it stands in quotes as many services write it.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A value in a sentence, cut where it is long. JSON leaves some control characters as they are.
pub(in crate::checks) fn told(value: &Value) -> String {
    let (text, whole) = brief(value, 60);
    let text = text.replace(char::is_control, "\u{fffd}");
    if whole { text } else { text + "…" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Options of no type in particular.
    const OPTIONS: &[Opt] = &[Opt::text("jsonPath", "none", "a path"), JSON_IS];

    fn judge(path: &str, is: Option<&str>, body: &[u8]) -> Result<Found, String> {
        let options = json!({ "jsonPath": path });
        let options = options.as_object().expect("options");
        let (expected, faults) = Options::read(options, OPTIONS, Expected::read);
        let Expected { path, .. } = expected.unwrap_or_else(|| panic!("{path}: {faults:?}"));
        Expected { path, is: is.map(Is::parse) }.judge(body, "its body")
    }

    #[test]
    fn values_are_compared_as_they_are_meant() {
        let body =
            br#"{"state": "up", "queue": {"length": 12}, "version": "5", "load": "0.5", "on": true,
                        "disks": [{"ok": true}, {"ok": false}]}"#;
        for (path, is, found) in [
            ("$.state", None, Ok("$.state is \"up\"")),
            ("$.state", Some("up"), Ok("$.state is \"up\"")),
            ("$.state", Some("== \"up\""), Ok("$.state is \"up\"")),
            ("$.state", Some("down"), Err("$.state is \"up\", expected \"down\"")),
            ("$.state", Some("!= up"), Err("$.state is \"up\", expected anything but \"up\"")),
            ("$.state", Some("< 5"), Err("$.state is \"up\", expected less than 5")),
            ("$.queue.length", Some("<100"), Ok("$.queue.length is 12")),
            ("$.queue.length", Some("12.0"), Ok("$.queue.length is 12")),
            ("$.queue.length", Some(">= 13"), Err("$.queue.length is 12, expected at least 13")),
            ("$.version", Some("5"), Ok("$.version is \"5\"")),
            ("$.load", Some("<= 0.5"), Ok("$.load is \"0.5\"")),
            ("$.on", Some("true"), Ok("$.on is true")),
            ("$.disks[*].ok", Some("true"), Err("$.disks[*].ok is false, expected true")),
            ("$.disks[*].ok", Some("!= null"), Ok("all 2 at $.disks[*].ok are as expected")),
            ("$.none", None, Err("nothing in its body is at $.none")),
        ] {
            let judged = judge(path, is, body);
            let words = judged.as_ref().map(|found| found.text.as_str()).map_err(String::as_str);
            assert_eq!(words, found, "{path} {is:?}");
        }
        let found = judge("$.queue.length", None, body).expect("found");
        assert_eq!(found.number.as_deref(), Some("12"));
        assert_eq!(judge("$.state", None, body).expect("found").number, None);
        let wrong = judge("$.state", None, b"<html>").expect_err("no JSON");
        assert!(wrong.starts_with("its body is no JSON"), "{wrong}");
    }

    /// DEL and the controls beyond ASCII went as they were into the sentence.
    #[test]
    fn a_value_with_control_characters_is_told_without_them() {
        let body = "{\"a\": \"\u{7f}\u{9b}31m\\u0007\"}".as_bytes();
        let told = judge("$.a", Some("up"), body).expect_err("another value");
        assert_eq!(told, "$.a is \"\u{fffd}\u{fffd}31m\\u0007\", expected \"up\"");
    }

    /// The parser of paths panicked.
    #[test]
    fn a_path_that_breaks_off_within_a_character_is_refused() {
        for path in [r#"$["\u"#, r#"$['\uD"#, r#"$["\uD83D\uD"#, r#"$["\u12"]"#] {
            let options = json!({ "jsonPath": path });
            let options = options.as_object().expect("options");
            let (read, faults) = Options::read(options, OPTIONS, Expected::read);
            assert!(read.is_none() && faults.len() == 1, "{path}: {faults:?}");
        }
        assert!(judge(r#"$["\u00e4\uD83D\uDE00"]"#, None, r#"{"ä😀": 1}"#.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_path_is_read_or_refused(
            path in "\\$(\\[|\\]|\\(|\\)|\\?|@|\\.|\\*|[a\"'\\\\uD0-9:,!=<|&]|length){0,24}|\\PC{0,20}"
        ) {
            let options = json!({ "jsonPath": path });
            let options = options.as_object().expect("options");
            let (read, faults) = Options::read(options, OPTIONS, Expected::read);
            prop_assert!(read.is_some() || path.is_empty() || !faults.is_empty());
        }

        #[test]
        fn no_body_makes_it_panic(body in any::<Vec<u8>>(), is in ".{0,12}") {
            _ = judge("$..a", Some(&is), &body);
        }

        #[test]
        fn a_number_is_over_or_not(limit in -1e6..1e6, value in -1e6..1e6) {
            let body = json!({ "a": value }).to_string();
            let less = judge("$.a", Some(&format!("< {limit}")), body.as_bytes()).is_ok();
            let more = judge("$.a", Some(&format!(">= {limit}")), body.as_bytes()).is_ok();
            prop_assert!(less != more);
        }
    }
}
