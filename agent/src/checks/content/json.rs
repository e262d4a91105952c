//! What is expected of a value in a JSON text.

use std::{cmp::Ordering, fmt};

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::checks::{Opt, Options};

/// The option `jsonIs`.
pub(in crate::checks) const JSON_IS: Opt = Opt::text(
    "jsonIs",
    "anything",
    "what each such value must be: `ok`, `true`, `== 1`, `!= 0`, `< 100`, `>= 2.5`",
);

/// What is expected of values in a text.
#[derive(Debug)]
pub(super) struct Expected {
    path: Path,
    is: Option<Is>,
}

/// A path to values, and as it was written.
#[derive(Debug)]
pub(in crate::checks) struct Path {
    path: JsonPath,
    text: String,
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
pub(super) struct Found {
    /// In words.
    pub(super) text: String,
    /// The value, where it is one number alone.
    pub(super) number: Option<String>,
}

impl Expected {
    /// Reads `jsonPath` and `jsonIs`.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let is = options.text("jsonIs").map(Is::parse);
        let Some(text) = options.text("jsonPath").filter(|text| !text.is_empty()) else {
            if is.is_some() {
                options.fault("jsonPath", "it is missing", "the path of what `jsonIs` is about");
            }
            return None;
        };
        Some(Self { path: Path::parse(options, "jsonPath", text)?, is })
    }

    /// Looks for it in a text that sentences call `name`.
    ///
    /// # Errors
    /// What is there instead, as a clause: `$.state is "down", expected "up"`.
    pub(super) fn judge(&self, text: &[u8], name: &str) -> Result<Found, String> {
        let path = &self.path;
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| format!("{name} is no JSON ({error}), expected one with {path}"))?;
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

impl Path {
    /// Reads an option that is a path, if it is given.
    pub(in crate::checks) fn read(options: &mut Options<'_>, name: &'static str) -> Option<Self> {
        let text = options.text(name).filter(|text| !text.is_empty())?;
        Self::parse(options, name, text)
    }

    /// All values that are there.
    pub(in crate::checks) fn all<'d>(&self, document: &'d Value) -> Vec<&'d Value> {
        self.path.query(document).all()
    }

    fn parse(options: &mut Options<'_>, name: &'static str, text: &str) -> Option<Self> {
        match JsonPath::parse(text) {
            Ok(path) => Some(Self { path, text: text.into() }),
            Err(error) => {
                let wrong = format!("it is no JSONPath: {error}");
                options.fault(name, wrong, "one as in `$.queue.length`");
                None
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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

/// A value in a sentence, cut where it is long.
fn told(value: &Value) -> String {
    const MOST: usize = 60;
    let mut text = value.to_string();
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn judge(path: &str, is: Option<&str>, body: &[u8]) -> Result<Found, String> {
        let text = path.into();
        let path = Path { path: JsonPath::parse(path).expect("a path"), text };
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

    proptest! {
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
