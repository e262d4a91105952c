//! Options while they are read, so that everything that is wrong with them is told at once.

use std::{ops::RangeInclusive, time::Duration};

use fletchck_shared::{
    CheckName,
    config::{Path, near},
};
use serde_json::{Map, Value};

use super::Opt;

/// Option that every type of check takes; it is read with the check itself.
const TIMEZONE: &str = "timezone";

/// Longest time that an option can set, in seconds.
const SECONDS_MAX: f64 = 3600.0;

/// What is wrong with one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionFault {
    /// The option's key, and behind a dot the key within it, where it is about one.
    pub option: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
    /// Whether the check runs all the same, as with an option that this type does not know.
    pub warning: bool,
}

/// The options of one check or action while they are read. A value that is wrong is noted and its default returned, so
/// that reading goes on to the next fault. `null` counts as absent.
#[derive(Debug)]
pub struct Options<'a> {
    given: &'a Map<String, Value>,
    known: &'static [Opt],
    faults: Vec<OptionFault>,
}

impl<'a> Options<'a> {
    /// Reads `given` with `make`, and tells all that is wrong. Nothing is made where a fault is more than a warning.
    pub fn read<T>(
        given: &'a Map<String, Value>,
        known: &'static [Opt],
        make: impl FnOnce(&mut Self) -> Option<T>,
    ) -> (Option<T>, Vec<OptionFault>) {
        let mut options = Self { given, known, faults: Vec::new() };
        let made = make(&mut options);
        options.warn_of_unknown();
        let runs = options.faults.iter().all(|fault| fault.warning);
        (made.filter(|_| runs), options.faults)
    }

    /// The text of an option, if there is one.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.value(name)? {
            Value::String(text) if text.chars().any(char::is_control) => {
                self.fault(name, "it contains a control character", "text on one line");
                None
            }
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(name, other, "a text in quotes");
                None
            }
        }
    }

    /// The text of an option, if there is one, with whatever lines and control characters there are in it.
    pub fn any_text(&mut self, name: &'static str) -> Option<&'a str> {
        match self.value(name)? {
            Value::String(text) => Some(text),
            other => {
                self.wrong_type(name, other, "a text in quotes");
                None
            }
        }
    }

    /// The text of an option, if it is one. What is wrong with it is left to a later reading.
    pub fn peek_text(&self, name: &'static str) -> Option<&'a str> {
        self.value(name).and_then(Value::as_str)
    }

    /// The text of an option that must be there and not be empty.
    pub fn required_text(&mut self, name: &'static str) -> Option<&'a str> {
        if self.value(name).is_none() {
            self.fault(name, "it is missing", self.meaning(name));
            return None;
        }
        let text = self.text(name)?.trim();
        if text.is_empty() {
            self.fault(name, "it is empty", self.meaning(name));
            return None;
        }
        Some(text)
    }

    /// Whether an option is on.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.value(name) {
            None => default,
            Some(Value::Bool(on)) => *on,
            Some(other) => {
                self.wrong_type(name, other, &unquoted(other, "`true` or `false`"));
                default
            }
        }
    }

    /// A number within a range, if there is one; `unit` names what it counts.
    pub fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<f64>,
        unit: &str,
    ) -> Option<f64> {
        let value = self.value(name)?;
        let right = format!("{unit} from {} to {}", range.start(), range.end());
        match value {
            Value::Number(number) => match number.as_f64() {
                Some(number) if range.contains(&number) => return Some(number),
                _ => self.fault(name, format!("{number} is out of range"), right),
            },
            other => self.wrong_type(name, other, &unquoted(other, &right)),
        }
        None
    }

    /// A port, if there is one.
    pub fn port(&mut self, name: &'static str) -> Option<u16> {
        let value = self.value(name)?;
        let right = "a port from 1 to 65535";
        match value {
            Value::Number(number) => {
                let port = number.as_u64().and_then(|port| u16::try_from(port).ok());
                if let Some(port) = port.filter(|port| *port > 0) {
                    return Some(port);
                }
                self.fault(name, format!("{number} is no port"), right);
            }
            other => self.wrong_type(name, other, &unquoted(other, right)),
        }
        None
    }

    /// A time in seconds, more than none and at most an hour.
    pub fn seconds(&mut self, name: &'static str, default: u32) -> Duration {
        let seconds = self.number(name, 0.001..=SECONDS_MAX, "seconds");
        Duration::from_secs_f64(seconds.unwrap_or(f64::from(default)))
    }

    /// One of these words, if one is given.
    pub fn choice(
        &mut self,
        name: &'static str,
        words: &'static [&'static str],
    ) -> Option<&'static str> {
        let text = self.text(name)?;
        let found = words.iter().find(|word| **word == text);
        if found.is_none() {
            self.fault(
                name,
                format!("{text:?} is none of them"),
                format!("one of {}", words.join(", ")),
            );
        }
        found.copied()
    }

    /// Texts, if there is such a list; a text alone is a list of one.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<&'a str>> {
        let right = "a list of texts, as in [\"a\", \"b\"]";
        match self.value(name)? {
            Value::String(text) => Some(vec![text]),
            Value::Array(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    match item.as_str() {
                        Some(text) => texts.push(text),
                        None => self.wrong_type(name, item, right),
                    }
                }
                Some(texts)
            }
            other => {
                self.wrong_type(name, other, right);
                None
            }
        }
    }

    /// Words, if there is such a list; a number is one as it is written, and one alone is a list.
    pub fn words(&mut self, name: &'static str) -> Option<Vec<String>> {
        let right = "a list of words or numbers, as in [200, \"300-399\"]";
        let value = self.value(name)?;
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let mut words = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(text) => words.push(text.clone()),
                Value::Number(number) => words.push(number.to_string()),
                other => self.wrong_type(name, other, right),
            }
        }
        Some(words)
    }

    /// Names with a text each, in the order of the file, if there is such a table.
    pub fn table(&mut self, name: &'static str) -> Option<Vec<(&'a str, &'a str)>> {
        let right = "names with a text each, as in {\"Accept\": \"text/html\"}";
        match self.value(name)? {
            Value::Object(entries) => {
                let mut table = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    match value.as_str() {
                        Some(text) => table.push((key.as_str(), text)),
                        None => self.wrong_type(name, value, right),
                    }
                }
                Some(table)
            }
            other => {
                self.wrong_type(name, other, right);
                None
            }
        }
    }

    /// Names of checks, if there is such a list.
    pub fn checks(&mut self, name: &'static str) -> Option<Vec<CheckName>> {
        let right = "a list of names of checks, as in [\"disk\", \"memory\"]";
        let value = self.value(name)?;
        let Value::Array(items) = value else {
            self.wrong_type(name, value, right);
            return None;
        };
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str().map(CheckName::try_from) {
                Some(Ok(check)) => names.push(check),
                Some(Err(error)) => self.fault(name, error.to_string(), right),
                None => self.wrong_type(name, item, right),
            }
        }
        Some(names)
    }

    /// Whether an option is given at all.
    pub fn given(&self, name: &'static str) -> bool {
        self.value(name).is_some()
    }

    /// Notes that an option is wrong.
    pub fn fault(
        &mut self,
        name: &'static str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let (wrong, right) = (wrong.into(), right.into());
        self.faults.push(OptionFault { option: name.into(), wrong, right, warning: false });
    }

    /// Notes that one entry of a table is wrong.
    pub fn fault_within(
        &mut self,
        name: &'static str,
        key: &str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let option = Path::root().key(name).key(key).into();
        let (wrong, right) = (wrong.into(), right.into());
        self.faults.push(OptionFault { option, wrong, right, warning: false });
    }

    /// Notes that an option is not as it should be, though it can be used.
    pub fn warning(
        &mut self,
        name: &'static str,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) {
        let (wrong, right) = (wrong.into(), right.into());
        self.faults.push(OptionFault { option: name.into(), wrong, right, warning: true });
    }

    fn value(&self, name: &'static str) -> Option<&'a Value> {
        debug_assert!(
            self.known.iter().any(|opt| opt.name == name),
            "the option `{name}` is read but not listed"
        );
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// What is wanted of an option that must be there.
    fn meaning(&self, name: &'static str) -> String {
        let option = self.known.iter().find(|option| option.name == name);
        option.map(|option| option.meaning.to_owned()).unwrap_or_default()
    }

    fn wrong_type(&mut self, name: &'static str, found: &Value, right: &str) {
        self.fault(name, found_words(found), right);
    }

    fn warn_of_unknown(&mut self) {
        for key in self.given.keys() {
            if key == TIMEZONE || self.known.iter().any(|opt| opt.name == key) {
                continue;
            }
            let right = match near::nearest(key, self.known.iter().map(|opt| opt.name)) {
                Some(name) => format!("did you mean `{name}`?"),
                None if self.known.is_empty() => "this type takes no options".into(),
                None => {
                    let all: Vec<_> = self.known.iter().map(|opt| opt.name).collect();
                    format!("this type takes {}", all.join(", "))
                }
            };
            let wrong = "this type does not know it, so it does nothing".into();
            self.faults.push(OptionFault { option: key.clone(), wrong, right, warning: true });
        }
    }
}

/// What would be right in place of a value of another type; of a text, the quotes may be all that is wrong.
fn unquoted(found: &Value, right: &str) -> String {
    if found.is_string() { format!("{right}, without quotes") } else { right.into() }
}

/// What a value is, in words. Texts are not repeated: one may be a password in the wrong place.
fn found_words(value: &Value) -> String {
    match value {
        Value::Null => "it is null".into(),
        Value::Bool(on) => format!("`{on}` is a truth value"),
        Value::Number(number) => format!("{number} is a number"),
        Value::String(text) if text.parse::<f64>().is_ok() => {
            format!("\"{text}\" is a text, because of its quotes")
        }
        Value::String(_) => "it is a text".into(),
        Value::Array(_) => "it is a list".into(),
        Value::Object(_) => "it is an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::options::Shape;

    const KNOWN: &[Opt] = &[
        Opt::text("hostname", "required", "name or address of the server"),
        Opt::port("443"),
        Opt::flag("tls", "true", ""),
        Opt::number("level", "90", ""),
        Opt::new("checks", Shape::Checks, "none", ""),
    ];

    fn faults(given: Value) -> Vec<String> {
        let given = given.as_object().expect("an object");
        let (made, faults) = Options::read(given, KNOWN, |options| {
            options.required_text("hostname");
            options.port("port");
            options.flag("tls", true);
            options.number("level", 1.0..=100.0, "percent");
            options.checks("checks");
            Some(())
        });
        assert_eq!(made.is_some(), faults.iter().all(|fault| fault.warning));
        faults.into_iter().map(|f| format!("{}: {}; {}", f.option, f.wrong, f.right)).collect()
    }

    #[test]
    fn all_faults_are_told_at_once_and_null_is_absent() {
        insta::assert_snapshot!(
            faults(json!({"hostname": 5, "port": "8443", "tls": 1, "level": true, "checks": ["a", 1]}))
                .join("\n"),
            @r#"
        hostname: 5 is a number; a text in quotes
        port: "8443" is a text, because of its quotes; a port from 1 to 65535, without quotes
        tls: 1 is a number; `true` or `false`
        level: `true` is a truth value; percent from 1 to 100
        checks: 1 is a number; a list of names of checks, as in ["disk", "memory"]
        "#
        );
        assert_eq!(
            faults(json!({"hostname": "a", "port": null, "tls": null})),
            Vec::<String>::new()
        );
        assert_eq!(faults(json!({})), ["hostname: it is missing; name or address of the server"]);
        assert_eq!(faults(json!({"hostname": "a\r\nb"})).len(), 1);
        let quoted = faults(json!({"hostname": "a", "tls": "true", "level": 900}));
        let right = [
            "tls: it is a text; `true` or `false`, without quotes",
            "level: 900 is out of range; percent from 1 to 100",
        ];
        assert_eq!(quoted, right, "quotes are spoken of where there are some");
        for port in [json!(0), json!(65536), json!(-1), json!(1.5)] {
            assert_eq!(faults(json!({"hostname": "a", "port": port})).len(), 1, "{port}");
        }
    }

    #[test]
    fn an_unknown_option_is_a_warning_with_the_nearest_name() {
        let near = faults(json!({"hostname": "a", "levle": 5, "timezone": "UTC"}));
        assert_eq!(
            near,
            ["levle: this type does not know it, so it does nothing; did you mean `level`?"]
        );
        let far = faults(json!({"hostname": "a", "colour": 5}));
        assert!(far[0].ends_with("this type takes hostname, port, tls, level, checks"));
    }
}
