//! The text form of a trigger, for forms and spreadsheets: `interval 1 week 2 day 3 hr 5 min 15 sec`,
//! `cron 9-17 hr 20,40 min mon-fri weekday Australia/Adelaide z`.
//!
//! Pairs of a value and its unit, in any order. Without a kind in front it is an interval; a last value without a unit
//! is in minutes. The names of the config are understood as units too. A text keeps its upper and lower case.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::error::TriggerError;
use super::keys::{Key, Kind};
use super::{Trigger, zone};

impl FromStr for Trigger {
    type Err = TriggerError;

    fn from_str(text: &str) -> Result<Trigger, TriggerError> {
        let mut words = text.split_whitespace().peekable();
        let first = words.peek().ok_or(TriggerError::Empty)?;
        let kind = match Kind::from_name(first) {
            Some(kind) => {
                words.next();
                kind
            }
            None => Kind::Interval,
        };
        let mut given = Map::new();
        let mut value: Vec<&str> = Vec::new();
        for word in words {
            match kind.unit(word) {
                Some(_) if value.is_empty() => {
                    return Err(TriggerError::NoValue { unit: word.into() });
                }
                Some(key) => put(&mut given, kind, key, std::mem::take(&mut value))?,
                None => value.push(word),
            }
        }
        if !value.is_empty() {
            let minutes = kind.unit("min").expect("both kinds have minutes");
            put(&mut given, kind, minutes, value)?;
        }
        // Nothing after the kind: an interval would be zero, a calendar would fit every second.
        if given.is_empty() {
            return Err(TriggerError::Empty);
        }
        Trigger::compile(kind, given)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        for key in self.kind().keys() {
            match self.given().get(key.name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => {
                    let words: Vec<&str> = text.split_whitespace().collect();
                    write!(f, " {} {}", words.join(" "), key.unit)?;
                }
                Some(value) => write!(f, " {value} {}", key.unit)?,
            }
        }
        Ok(())
    }
}

fn put(
    given: &mut Map<String, Value>,
    kind: Kind,
    key: &'static Key,
    words: Vec<&str>,
) -> Result<(), TriggerError> {
    let text = words.join(" ");
    let value = match (kind, key.name) {
        (_, "start_date" | "end_date") => text.into(),
        // The database's own spelling, which the original needs.
        (_, "timezone") => zone(&text)?.name().into(),
        (Kind::Cron, name) if name != "jitter" => text.into(),
        _ => number(kind, key, &words)?,
    };
    match given.insert(key.name.into(), value) {
        Some(_) => Err(TriggerError::Twice { key: key.name }),
        None => Ok(()),
    }
}

/// A single number. With more than one word before the unit, the second is what should have been a unit.
fn number(kind: Kind, key: &Key, words: &[&str]) -> Result<Value, TriggerError> {
    let first = words.first().copied().unwrap_or_default();
    let number = match (first.parse::<u64>(), first.parse::<f64>()) {
        (Ok(whole), _) => Some(Value::from(whole)),
        (_, Ok(part)) if part.is_finite() => Some(Value::from(part)),
        _ => None,
    };
    match (number, words.get(1)) {
        (Some(number), None) => Ok(number),
        (Some(_), Some(unit)) => {
            Err(TriggerError::UnknownUnit { unit: (*unit).into(), known: kind.units() })
        }
        (None, _) => Err(TriggerError::Value {
            key: key.unit.into(),
            found: format!("`{first}`"),
            wanted: "a number, as in `5 min`",
        }),
    }
}
