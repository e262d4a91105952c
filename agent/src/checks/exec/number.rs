//! The numbers of a plugin of Nagios, `'label'=value[unit];[warn];[crit];[min];[max]`.

use std::fmt;

/// Most numbers that are kept.
const MOST: usize = 64;

/// Longest label, number or unit, in characters.
const LONGEST: usize = 64;

/// One number of a plugin. Its parts are kept as they were written, once they are found to be numbers.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::checks) struct Number {
    label: String,
    /// `None` where the plugin could not tell.
    value: Option<String>,
    unit: String,
    warning: Option<Range>,
    critical: Option<Range>,
    least: Option<String>,
    most: Option<String>,
}

/// Where a number gives no alert, or with `inside` where it does.
#[derive(Clone, Debug, PartialEq)]
struct Range {
    /// `None` for any, however low.
    start: Option<String>,
    /// `None` for any, however high.
    end: Option<String>,
    inside: bool,
}

impl Number {
    /// The value with its unit, where there is one.
    pub(super) fn level(&self) -> Option<String> {
        self.value.as_ref().map(|value| format!("{value}{}", self.unit))
    }

    fn read(label: &str, fields: &str) -> Option<Self> {
        let mut fields = fields.split(';');
        let value = fields.next()?;
        let edge = value
            .find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | ','))
            .unwrap_or(value.len());
        let (number, unit) = value.split_at(edge);
        let (value, unit) =
            if value == "U" { (None, "") } else { (Some(checked(number)?), short(unit)?) };
        if unit.contains(char::is_control) {
            return None;
        }
        let mut next = || fields.next().unwrap_or_default();
        Some(Self {
            label: label
                .chars()
                .take(LONGEST)
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect(),
            value,
            unit: unit.to_owned(),
            warning: Range::read(next()),
            critical: Range::read(next()),
            least: checked(next()),
            most: checked(next()),
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.level().as_deref().unwrap_or("unknown"))?;
        if let Some(range) = &self.warning {
            write!(f, ", warning {range}")?;
        }
        if let Some(range) = &self.critical {
            write!(f, ", critical {range}")?;
        }
        match (&self.least, &self.most) {
            (Some(least), Some(most)) => write!(f, ", {least} to {most}"),
            (Some(least), None) => write!(f, ", {least} or more"),
            (None, Some(most)) => write!(f, ", {most} at most"),
            (None, None) => Ok(()),
        }
    }
}

impl Range {
    /// Reads `10` (from 0 to 10), `10:`, `~:10`, `10:20` and with `@` what alerts inside of it.
    fn read(text: &str) -> Option<Self> {
        let (inside, text) = match text.strip_prefix('@') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (start, end) = text.split_once(':').unwrap_or(("0", text));
        let start = match start {
            "~" => None,
            "" => Some("0".into()),
            start => Some(checked(start)?),
        };
        let end = if end.is_empty() && text.contains(':') { None } else { Some(checked(end)?) };
        Some(Self { start, end, inside })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.start, &self.end, self.inside) {
            (Some(start), Some(end), true) => write!(f, "from {start} to {end}"),
            (Some(start), None, true) => write!(f, "from {start} on"),
            (None, Some(end), true) => write!(f, "up to {end}"),
            (None, None, true) => f.write_str("always"),
            // Few numbers can be below zero, and the short form means no more than the end.
            (Some(start), Some(end), false) if start == "0" => write!(f, "over {end}"),
            (Some(start), Some(end), false) => write!(f, "outside {start} to {end}"),
            (Some(start), None, false) => write!(f, "under {start}"),
            (None, Some(end), false) => write!(f, "over {end}"),
            (None, None, false) => f.write_str("never"),
        }
    }
}

/// Reads the numbers of one line. What is none is passed over, up to the next space.
pub(super) fn numbers(line: &str, numbers: &mut Vec<Number>) {
    let mut rest = line.trim();
    while !rest.is_empty() && numbers.len() < MOST {
        let (label, after) = match rest.strip_prefix('\'').map(quoted) {
            Some(Some((label, after))) => (Some(label), after),
            Some(None) => return,
            None => match rest.find(|c: char| c == '=' || c.is_whitespace()) {
                Some(edge @ 1..) if rest[edge..].starts_with('=') => {
                    (Some(rest[..edge].to_owned()), &rest[edge..])
                }
                Some(edge) => (None, rest[edge..].trim_start_matches('=')),
                None => return,
            },
        };
        let edge = after.find(char::is_whitespace).unwrap_or(after.len());
        let (fields, after) = after.split_at(edge);
        if let (Some(label), Some(fields)) = (label, fields.strip_prefix('=')) {
            numbers.extend(Number::read(&label, fields));
        }
        rest = after.trim_start();
    }
}

/// A label up to the quote that ends it, two of which are one in it, and what comes after. `None` if it has no end.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.char_indices().peekable();
    let mut label = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if chars.next_if(|(_, c)| *c == '\'').is_some() => label.push('\''),
            '\'' => return Some((label, &text[at + 1..])),
            c => label.push(c),
        }
    }
    None
}

/// A number as it is written, with a point for a comma, if it is one.
fn checked(text: &str) -> Option<String> {
    let text = short(text)?.replace(',', ".");
    text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(text)
}

fn short(text: &str) -> Option<&str> {
    (text.chars().count() <= LONGEST).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<String> {
        let mut all = Vec::new();
        numbers(line, &mut all);
        all.iter().map(Number::to_string).collect()
    }

    #[test]
    fn labels_values_and_ranges_are_read() {
        for (line, words) in [
            (
                "load1=0.620;50.000;60.000;0;",
                "load1: 0.620, warning over 50.000, critical over 60.000, 0 or more",
            ),
            (
                "procs=88;1:10000;0:20000;0;",
                "procs: 88, warning outside 1 to 10000, critical over 20000, 0 or more",
            ),
            ("time=0.001812s;;;0.000000;10.000000", "time: 0.001812s, 0.000000 to 10.000000"),
            (
                "'it''s = here'=-3,5%;10:;~:-2;;100",
                "it's = here: -3.5%, warning under 10, critical over -2, 100 at most",
            ),
            ("a=U", "a: unknown"),
            ("a=1c;@10:20;@~:5", "a: 1c, warning from 10 to 20, critical up to 5"),
            ("a=1;@10:;~:", "a: 1, warning from 10 on, critical never"),
            ("a=1;x;1:y;z", "a: 1"),
            ("''=1", ": 1"),
        ] {
            assert_eq!(read(line), [words], "{line}");
        }
        assert_eq!(read("a=1  b=2;;\tc=3").len(), 3);
    }

    #[test]
    fn what_is_no_number_is_passed_over() {
        for line in [
            "", "  ", "words", "=", "'open", "'a", "a=", "a=x", "a=1.2.3", "a=--1", "'a' =1", "a b",
        ] {
            assert_eq!(read(line), [""; 0], "{line}");
        }
        assert_eq!(read("some words a=1"), ["a: 1"]);
        assert_eq!(read("a=inf b=nan c=1"), ["c: 1"]);
        assert_eq!(read("a=1\u{1b}[2J b=1"), ["b: 1"]);
        assert_eq!(read(&"a=1 ".repeat(1000)).len(), MOST);
        assert_eq!(read(&format!("a={} b=1", "9".repeat(500))), ["b: 1"]);
    }
}
