//! The fields of a cron trigger and the expressions they hold.
//!
//! An expression selects values: `*`, `*/a`, `n`, `a-b`, `a-b/c`, `a/c`, names for months and days of the week, and
//! for the day of the month `last`, `2nd fri`, `last fri`. A comma joins expressions; a value selected by any of
//! them counts. Every field but the year has fewer than 64 values, so what it selects is one bit set.

use super::error::{FieldProblem, TriggerError};

/// One of the eight fields, in order from coarse to fine.
#[derive(Debug)]
pub(super) struct FieldKind {
    /// Name in the config, as in `day_of_week`.
    pub key: &'static str,
    pub min: u16,
    pub max: u16,
    /// Names of the values, the first for `min`. Empty: numbers only.
    names: &'static [&'static str],
}

pub(super) const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];

pub(super) const YEAR: usize = 0;
pub(super) const MONTH: usize = 1;
pub(super) const DAY: usize = 2;
pub(super) const WEEK: usize = 3;
pub(super) const WEEKDAY: usize = 4;
pub(super) const HOUR: usize = 5;
pub(super) const MINUTE: usize = 6;
pub(super) const SECOND: usize = 7;

pub(super) const FIELDS: [FieldKind; 8] = [
    FieldKind { key: "year", min: 1970, max: 9999, names: &[] },
    FieldKind { key: "month", min: 1, max: 12, names: &MONTHS },
    FieldKind { key: "day", min: 1, max: 31, names: &[] },
    FieldKind { key: "week", min: 1, max: 53, names: &[] },
    FieldKind { key: "day_of_week", min: 0, max: 6, names: &WEEKDAYS },
    FieldKind { key: "hour", min: 0, max: 23, names: &[] },
    FieldKind { key: "minute", min: 0, max: 59, names: &[] },
    FieldKind { key: "second", min: 0, max: 59, names: &[] },
];

/// One expression of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// `first`, `first + step`, and so on up to `last`.
    Steps { first: u16, last: u16, step: u16 },
    /// The last day of the month.
    LastDay,
    /// `2nd fri`: the position counts from 0, 5 is the last; the day of the week from 0 = Monday.
    Position { nth: u8, weekday: u8 },
}

/// Reads a list of expressions.
pub(super) fn parse(kind: &'static FieldKind, text: &str) -> Result<Vec<Term>, TriggerError> {
    text.trim().split(',').map(|part| term(kind, part.trim(), text)).collect()
}

/// The values that terms select by number, as a bit set. `Position` and `LastDay` have no fixed number.
pub(super) fn bits(terms: &[Term]) -> u64 {
    let mut bits = 0;
    for &term in terms {
        if let Term::Steps { first, last, step } = term {
            bits |= (first..=last).step_by(step.into()).fold(0, |bits, value| bits | 1 << value);
        }
    }
    bits
}

fn term(kind: &'static FieldKind, part: &str, list: &str) -> Result<Term, TriggerError> {
    let lower = part.to_ascii_lowercase();
    let parsed = if kind.key == "day" && lower.contains(|c: char| c.is_ascii_alphabetic()) {
        day(&lower)
    } else {
        steps(kind, &lower)
    };
    let text = if part.is_empty() { list } else { part };
    parsed.map_err(|problem| TriggerError::Field { field: kind.key, text: text.into(), problem })
}

fn day(text: &str) -> Result<Term, FieldProblem> {
    if text == "last" {
        return Ok(Term::LastDay);
    }
    let form = || FieldProblem::Form {
        wanted: "a day such as `15`, `1-7`, `*/2`, `last`, `2nd fri` or `last fri`".into(),
    };
    let (position, weekday) = text.split_once(' ').ok_or_else(form)?;
    let nth = POSITIONS.iter().position(|name| *name == position).ok_or_else(form)?;
    let weekday = named(&FIELDS[WEEKDAY], weekday.trim())?;
    Ok(Term::Position { nth: nth as u8, weekday: weekday as u8 })
}

fn steps(kind: &'static FieldKind, text: &str) -> Result<Term, FieldProblem> {
    let (body, step) = match text.split_once('/') {
        Some((body, step)) => (body, Some(number(kind, step)?)),
        None => (text, None),
    };
    if step == Some(0) {
        return Err(FieldProblem::ZeroStep);
    }
    let (first, last) = match body.split_once('-') {
        _ if body == "*" => (kind.min.into(), kind.max.into()),
        Some((first, last)) => {
            let (first, last) = ends(kind, first, last)?;
            if first > last {
                return Err(FieldProblem::Backwards { wanted: kind.past_the_end(first, last) });
            }
            (first, last)
        }
        None => match value(kind, body)? {
            first if step.is_some() => (first, kind.max.into()),
            only => (only, only),
        },
    };
    for end in [first, last] {
        if end < kind.min.into() || end > kind.max.into() {
            return Err(out_of_range(kind, &end.to_string()));
        }
    }
    // As APScheduler 3 has it: a last value of 0 does not limit the step.
    let span = if last == 0 { u32::from(kind.max) - first } else { last - first };
    match step {
        Some(_) if body.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            let numbers = text.replacen(body, &format!("{first}-{last}"), 1);
            Err(FieldProblem::StepOnNames { numbers })
        }
        Some(step) if step > span => {
            Err(FieldProblem::LongStep { step: step.to_string(), span: span as i32 })
        }
        step => {
            let step = step.map_or(1, |step| step as u16);
            Ok(Term::Steps { first: first as u16, last: last as u16, step })
        }
    }
}

/// Both ends of a range: two numbers or two names, as a mixture is more often a slip than meant.
fn ends(kind: &'static FieldKind, first: &str, last: &str) -> Result<(u32, u32), FieldProblem> {
    let is_name = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_name(first) != is_name(last) {
        return Err(kind.form());
    }
    Ok((value(kind, first)?, value(kind, last)?))
}

fn value(kind: &'static FieldKind, text: &str) -> Result<u32, FieldProblem> {
    if !kind.names.is_empty() && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return named(kind, text);
    }
    number(kind, text)
}

fn named(kind: &'static FieldKind, text: &str) -> Result<u32, FieldProblem> {
    match kind.names.iter().position(|name| *name == text) {
        Some(index) => Ok(index as u32 + u32::from(kind.min)),
        None => Err(FieldProblem::Name {
            name: text.into(),
            wanted: format!("one of {}", kind.names.join(" ")),
        }),
    }
}

fn number(kind: &'static FieldKind, text: &str) -> Result<u32, FieldProblem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(kind.form());
    }
    // A number too large for the type is certainly too large for the field.
    text.parse().map_err(|_| out_of_range(kind, text))
}

fn out_of_range(kind: &FieldKind, value: &str) -> FieldProblem {
    FieldProblem::Range { value: value.into(), min: kind.min, max: kind.max }
}

impl FieldKind {
    /// A value as its owner would write it.
    fn show(&self, value: u32) -> String {
        let index = value.checked_sub(self.min.into()).map(|index| index as usize);
        match index.and_then(|index| self.names.get(index)) {
            Some(name) => (*name).into(),
            None => value.to_string(),
        }
    }

    /// A range that runs past the field's end, in two parts.
    fn past_the_end(&self, first: u32, last: u32) -> String {
        let range = |first: u32, last: u32| match (self.show(first), self.show(last)) {
            (first, last) if first == last => first,
            (first, last) => format!("{first}-{last}"),
        };
        let (min, max) = (self.min.into(), self.max.into());
        format!("{},{}", range(first.min(max), max), range(min, last.max(min)))
    }

    fn form(&self) -> FieldProblem {
        let (min, max) = (self.min, self.max);
        let names = match self.names {
            [first, .., last] => format!(", or names as in `{first}-{last}`"),
            _ => String::new(),
        };
        FieldProblem::Form {
            wanted: format!(
                "`*`, `*/2`, numbers from {min} to {max} as in `{min}` or `{min}-{max}`{names}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits_of(field: usize, text: &str) -> Vec<u32> {
        let bits = bits(&parse(&FIELDS[field], text).expect(text));
        (0..64).filter(|value| bits >> value & 1 == 1).collect()
    }

    fn fault(field: usize, text: &str) -> String {
        parse(&FIELDS[field], text).expect_err(text).to_string()
    }

    #[test]
    fn every_form_selects_its_values() {
        assert_eq!(bits_of(HOUR, "9-17"), (9..=17).collect::<Vec<_>>());
        assert_eq!(bits_of(MINUTE, "20, 40"), [20, 40]);
        assert_eq!(bits_of(MINUTE, "*/25"), [0, 25, 50]);
        assert_eq!(bits_of(MONTH, "*/5"), [1, 6, 11]);
        assert_eq!(bits_of(MINUTE, "5-20/5"), [5, 10, 15, 20]);
        assert_eq!(bits_of(MINUTE, "50/4"), [50, 54, 58]);
        assert_eq!(bits_of(MINUTE, "0-0/5"), [0]);
        assert_eq!(bits_of(WEEKDAY, "Mon-wed,6"), [0, 1, 2, 6]);
        assert_eq!(bits_of(MONTH, "nov-dec,JAN"), [1, 11, 12]);
        assert_eq!(bits_of(SECOND, "*").len(), 60);
        let days = parse(&FIELDS[DAY], "15,2nd fri,last SUN,last").expect("days");
        assert_eq!(days[1], Term::Position { nth: 1, weekday: 4 });
        assert_eq!(days[2], Term::Position { nth: 5, weekday: 6 });
        assert_eq!(days[3], Term::LastDay);
    }

    #[test]
    fn faults_say_what_would_be_right() {
        let table = [
            (MINUTE, "60", "60 is out of range, this field goes from 0 to 59"),
            (MONTH, "0", "0 is out of range, this field goes from 1 to 12"),
            (HOUR, "17-9", "the range runs backwards, write `17-23,0-9` to go past the end"),
            (
                WEEKDAY,
                "fri-mon",
                "the range runs backwards, write `fri-sun,mon` to go past the end",
            ),
            (
                MINUTE,
                "*/60",
                "the step 60 is larger than the range it walks (59), so it would never be taken",
            ),
            (
                MINUTE,
                "10-20/30",
                "the step 30 is larger than the range it walks (10), so it would never be taken",
            ),
            (MINUTE, "*/0", "a step of 0 leads nowhere, the smallest is 1"),
            (
                MONTH,
                "january",
                "unknown name `january`, write one of jan feb mar apr may jun jul aug sep oct nov dec",
            ),
            (WEEKDAY, "mon-fri/2", "a step needs numbers, write `0-4/2`"),
            (WEEKDAY, "7", "7 is out of range, this field goes from 0 to 6"),
            (
                WEEKDAY,
                "mon-4",
                "not understood, write `*`, `*/2`, numbers from 0 to 6 as in `0` or `0-6`, or names as in `mon-sun`",
            ),
            (
                HOUR,
                "noon",
                "not understood, write `*`, `*/2`, numbers from 0 to 23 as in `0` or `0-23`",
            ),
            (
                DAY,
                "6th fri",
                "not understood, write a day such as `15`, `1-7`, `*/2`, `last`, `2nd fri` or `last fri`",
            ),
            (DAY, "2nd friday", "unknown name `friday`, write one of mon tue wed thu fri sat sun"),
            (SECOND, "99999999999", "99999999999 is out of range, this field goes from 0 to 59"),
            (
                MINUTE,
                "-5",
                "not understood, write `*`, `*/2`, numbers from 0 to 59 as in `0` or `0-59`",
            ),
        ];
        for (field, text, wanted) in table {
            assert_eq!(fault(field, text), format!("{} `{text}`: {wanted}", FIELDS[field].key));
        }
        assert!(fault(HOUR, "1,,2").starts_with("hour `1,,2`: not understood"));
    }
}
