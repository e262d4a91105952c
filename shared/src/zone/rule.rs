//! The rule for all times to come, as POSIX writes it in the variable `TZ`: `CET-1CEST,M3.5.0,M10.5.0/3`.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Weekday};

use super::tzif::Shift;

/// Hour of the day at which clocks change unless it is said, in seconds.
const TWO: i32 = 2 * 3600;

/// After so many seconds the calendar repeats itself, its days of the week too: 400 years.
const CYCLE: i64 = 146_097 * 24 * 3600;

/// When the clocks change: a day of the year, and seconds from its midnight.
#[derive(Clone, Copy, Debug)]
struct Change {
    day: Day,
    seconds: i32,
}

#[derive(Clone, Copy, Debug)]
enum Day {
    /// `J60`: 1 to 365, and 29 February is never counted.
    Julian(u32),
    /// `59`: 0 to 365, and 29 February is.
    Ordinal(u32),
    /// `M3.5.0`: month, week (5: the last) and day, Sunday being 0.
    Week(u32, u32, u32),
}

/// What the clocks are at by a rule, in seconds since 1970. `None` for a text that is no rule.
pub(super) fn shift_at(rule: &'static str, seconds: i64) -> Option<Shift> {
    let (abbreviation, rest) = name(rule)?;
    let (behind, rest) = clock(rest)?;
    let standard = Shift { seconds: -behind, abbreviation };
    if rest.is_empty() {
        return Some(standard);
    }
    let (abbreviation, rest) = name(rest)?;
    let (behind, rest) = if rest.starts_with(',') { (behind - 3600, rest) } else { clock(rest)? };
    let summer = Shift { seconds: -behind, abbreviation };
    let (begin, end) = rest.strip_prefix(',')?.split_once(',')?;
    // A message may say a time near the end of what dates can count, whose local time would be behind it.
    let seconds = seconds.rem_euclid(CYCLE);
    let year = DateTime::from_timestamp(seconds + i64::from(standard.seconds), 0)?.year();
    let begin = change(begin)?.in_year(year, standard)?;
    let end = change(end)?.in_year(year, summer)?;
    // South of the equator the year begins and ends in summer.
    let is_summer = match begin <= end {
        true => (begin..end).contains(&seconds),
        false => !(end..begin).contains(&seconds),
    };
    Some(if is_summer { summer } else { standard })
}

impl Change {
    /// When it is, in seconds since 1970, by clocks that are at `before`.
    fn in_year(self, year: i32, before: Shift) -> Option<i64> {
        let date = match self.day {
            Day::Julian(day) => {
                let leap = NaiveDate::from_ymd_opt(year, 2, 29).is_some();
                NaiveDate::from_yo_opt(year, if leap && day >= 60 { day + 1 } else { day })?
            }
            Day::Ordinal(day) => NaiveDate::from_yo_opt(year, day + 1)?,
            Day::Week(month, week, day) => {
                let day = Weekday::try_from(u8::try_from((day + 6) % 7).ok()?).ok()?;
                let last = || NaiveDate::from_weekday_of_month_opt(year, month, day, 4);
                NaiveDate::from_weekday_of_month_opt(year, month, day, u8::try_from(week).ok()?)
                    .or_else(last)?
            }
        };
        let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
        let change = midnight + TimeDelta::seconds((self.seconds - before.seconds).into());
        Some(change.timestamp())
    }
}

/// An abbreviation, and what follows it. One with digits and signs is in angle brackets.
fn name(text: &'static str) -> Option<(&'static str, &'static str)> {
    if let Some(text) = text.strip_prefix('<') {
        return text.split_once('>');
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    Some(text.split_at(end)).filter(|(name, _)| !name.is_empty())
}

/// A time of the form `-3:30`, in seconds, and what follows it.
fn clock(text: &'static str) -> Option<(i32, &'static str)> {
    let end = text.find(|c: char| !matches!(c, '+' | '-' | ':' | '0'..='9')).unwrap_or(text.len());
    let (clock, rest) = text.split_at(end);
    let (sign, clock) = match clock.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, clock.strip_prefix('+').unwrap_or(clock)),
    };
    let mut seconds = 0;
    for (part, unit) in clock.split(':').zip([3600, 60, 1]) {
        seconds += part.parse::<i32>().ok()? * unit;
    }
    Some((sign * seconds, rest))
}

/// A day and, after a slash, a time.
fn change(text: &'static str) -> Option<Change> {
    let (day, seconds) = match text.split_once('/') {
        Some((day, time)) => (day, clock(time)?.0),
        None => (text, TWO),
    };
    let day = if let Some(day) = day.strip_prefix('J') {
        Day::Julian(day.parse().ok()?)
    } else if let Some(day) = day.strip_prefix('M') {
        let mut numbers = day.split('.').map(|number| number.parse().ok());
        Day::Week(numbers.next()??, numbers.next()??, numbers.next()??)
    } else {
        Day::Ordinal(day.parse().ok()?)
    };
    Some(Change { day, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rule: &'static str, at: &str) -> (i32, &'static str) {
        let at: DateTime<chrono::Utc> = at.parse().expect(at);
        let shift = shift_at(rule, at.timestamp()).expect(rule);
        (shift.seconds, shift.abbreviation)
    }

    #[test]
    fn a_rule_says_when_it_is_summer() {
        let central = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(shown(central, "2026-03-29T00:59:59Z"), (3600, "CET"));
        assert_eq!(shown(central, "2026-03-29T01:00:00Z"), (7200, "CEST"));
        assert_eq!(shown(central, "2026-10-25T01:00:00Z"), (3600, "CET"));
        let south = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        assert_eq!(shown(south, "2026-01-01T00:00:00Z"), (39_600, "AEDT"));
        assert_eq!(shown(south, "2026-04-04T16:00:00Z"), (36_000, "AEST"));
        assert_eq!(shown(south, "2026-12-31T23:59:59Z"), (39_600, "AEDT"));
        assert_eq!(shown("<+0545>-5:45", "2026-06-01T00:00:00Z"), (20_700, "+0545"));
        // Before the midnight that the day begins with.
        let nuuk = "<-02>2<-01>,M3.5.0/-1,M10.5.0/0";
        assert_eq!(shown(nuuk, "2026-03-29T00:59:59Z"), (-7200, "-02"));
        assert_eq!(shown(nuuk, "2026-03-29T01:00:00Z"), (-3600, "-01"));
        // All the year, and days that are counted.
        let always = "XXX3EDT4,0/0,J365/23";
        assert_eq!(shown(always, "2026-01-01T00:00:00Z"), (-14_400, "EDT"));
        let counted = "A0B,J60/0,305/0";
        assert_eq!(shown(counted, "2028-02-29T12:00:00Z"), (0, "A"));
        assert_eq!(shown(counted, "2028-03-01T00:00:00Z"), (3600, "B"));
        assert_eq!(shown(counted, "2028-10-31T22:59:59Z"), (3600, "B"));
        assert_eq!(shown(counted, "2028-10-31T23:00:00Z"), (0, "A"));
    }

    #[test]
    fn other_texts_are_no_rules() {
        for text in [
            "",
            "1",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.5,M4.1.0",
            "A0B,M0.1.0,1",
        ] {
            assert_eq!(shift_at(text, 0), None, "{text}");
        }
    }
}
