//! Reading one object of a configuration key by key.

use std::{fmt::Display, ops::RangeInclusive};

use serde_json::{Map, Value};

use super::{Fault, Path, Severity, near};
use crate::wire::data::kind;

/// One object of a configuration. Every key that is asked for is a known one; [`Table::close`] warns of the rest.
#[derive(Debug)]
pub(super) struct Table<'a> {
    map: &'a Map<String, Value>,
    path: Path,
    asked: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<'a> Table<'a> {
    pub(super) fn new(map: &'a Map<String, Value>, path: Path) -> Self {
        Self { map, path, asked: Vec::new(), faults: Vec::new() }
    }

    /// The table of a value; a fault if it is none.
    pub(super) fn of(value: &'a Value, path: Path) -> Result<Self, Fault> {
        match value {
            Value::Object(map) => Ok(Self::new(map, path)),
            other => Err(wrong_type(path, other, "an object, `{…}`")),
        }
    }

    pub(super) fn path(&self, key: &str) -> Path {
        self.path.key(key)
    }

    /// Any value; `null` counts as absent.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value> {
        self.asked.push(key);
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        match self.get(key) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong_type(key, other, "true or false");
                default
            }
        }
    }

    /// A whole number. `true` is none, `"5"` is none, and `5.0` is none.
    pub(super) fn whole(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.get(key)?;
        let right = match (*range.start(), *range.end()) {
            (i64::MIN, i64::MAX) => "a whole number".to_owned(),
            (least, i64::MAX) => format!("a whole number from {least}"),
            (least, most) => format!("a whole number from {least} to {most}"),
        };
        match value.as_i64() {
            Some(number) if range.contains(&number) => return Some(number),
            Some(number) => {
                let side = if number < *range.start() { "under" } else { "over" };
                let bound = if number < *range.start() { range.start() } else { range.end() };
                self.error(key, format!("{number} is {side} {bound}"), right);
            }
            None => self.wrong_type(key, value, &right),
        }
        None
    }

    /// A text; an empty one counts as absent, as in the original.
    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        match self.get(key)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(key, other, "a text in quotes");
                None
            }
        }
    }

    /// A text that must never be shown, not even in a fault.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<&'a str> {
        match self.get(key)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            other => {
                self.error(key, format!("this is {}", kind(other)), "a text in quotes");
                None
            }
        }
    }

    /// A text that is read further. `None` with a fault if it cannot be.
    pub(super) fn parse<T, E: Display>(
        &mut self,
        key: &'static str,
        right: &str,
        read: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        match read(text) {
            Ok(value) => Some(value),
            Err(e) => {
                self.error(key, format!("{}: {e}", quoted(text)), right);
                None
            }
        }
    }

    /// A list of texts, each with its place in the list. Elements of other types are faults.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<(usize, &'a str)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => {
                let path = self.path(key);
                let mut texts = Vec::with_capacity(list.len());
                for (index, value) in list.iter().enumerate() {
                    match value {
                        Value::String(text) => texts.push((index, text.as_str())),
                        other => {
                            let path = path.index(index);
                            self.faults.push(wrong_type(path, other, "a text in quotes"));
                        }
                    }
                }
                texts
            }
            Some(other) => {
                self.wrong_type(key, other, "a list of texts, `[\"…\"]`");
                Vec::new()
            }
        }
    }

    /// The elements of a list.
    pub(super) fn list(&mut self, key: &'static str) -> &'a [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.wrong_type(key, other, "a list, `[…]`");
                &[]
            }
        }
    }

    /// An object within this one.
    pub(super) fn object(&mut self, key: &'static str) -> Option<&'a Map<String, Value>> {
        match self.get(key)? {
            Value::Object(map) => Some(map),
            other => {
                self.wrong_type(key, other, "an object, `{…}`");
                None
            }
        }
    }

    pub(super) fn error(&mut self, key: &str, wrong: impl Into<String>, right: impl Into<String>) {
        self.faults.push(Fault::error(self.path(key), wrong, right));
    }

    pub(super) fn warn(&mut self, key: &str, wrong: impl Into<String>, right: impl Into<String>) {
        self.faults.push(Fault::warning(self.path(key), wrong, right));
    }

    pub(super) fn push(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// Whether nothing was found so far that keeps this part from running.
    pub(super) fn sound(&self) -> bool {
        self.faults.iter().all(|fault| fault.severity < Severity::Error)
    }

    /// Hands over all faults, with a warning of each key that was never asked for.
    pub(super) fn close(mut self) -> Vec<Fault> {
        for key in self.map.keys().filter(|key| !self.asked.contains(&key.as_str())) {
            let right = match near::nearest(key, self.asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it is kept in the file and does nothing".into(),
            };
            self.faults.push(Fault::warning(self.path.key(key), "unknown key", right));
        }
        self.faults
    }

    fn wrong_type(&mut self, key: &str, found: &Value, right: &str) {
        self.faults.push(wrong_type(self.path(key), found, right));
    }
}

/// The fault of a value that has another type than it should.
pub(super) fn wrong_type(path: Path, found: &Value, right: &str) -> Fault {
    let wrong = match found {
        Value::Bool(_) | Value::Number(_) => format!("{found} is {}", kind(found)),
        Value::String(text) => format!("{} is a text", quoted(text)),
        other => format!("this is {}", kind(other)),
    };
    Fault::error(path, wrong, right)
}

/// A text as it is shown in a fault: in backticks, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("`{}`", shown.escape_debug())
}
