//! A trigger by the calendar, with the meaning APScheduler 3 gives it.

use crate::Tz;
use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, TimeDelta, Timelike, Utc,
};

use super::bound::Bound;
use super::error::TriggerError;
use super::field::{self, DAY, FIELDS, HOUR, MINUTE, MONTH, SECOND, Term, WEEK, WEEKDAY, YEAR};
use super::zone::Moment;

/// How far ahead a fire time is looked for. Years; the calendar repeats after 400.
const HORIZON: i32 = 400;

/// Calendar fields that all have to fit: year, month, day, ISO week, day of the week (0 is Monday), hour, minute,
/// second.
///
/// Fields finer than the finest one given are at their least value, all others without a value fit always. In a gap of
/// the wall clock a time that is left out fires as much later as it lies in the gap, the first of several only; in a
/// fold the times shown twice fire twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    years: Vec<Term>,
    days: Vec<Term>,
    /// What each field selects by number; the year's stays empty, as it has too many values.
    bits: [u64; 8],
    pub(super) zone: Option<Tz>,
    pub(super) start: Option<Bound>,
    pub(super) end: Option<Bound>,
    pub(super) jitter: Option<TimeDelta>,
}

/// Where the search for a fire time goes on.
enum Step {
    /// Every field fits.
    Fits,
    /// Nothing can fit before the wall clock shows this, and this is a value some field asks for.
    Set(NaiveDateTime),
    /// Nothing fits in the rest of this unit: the next begins here.
    GoOn(NaiveDateTime),
    /// Nothing fits any more.
    Never,
}

impl Cron {
    /// Compiles fields in the order of [`FIELDS`].
    pub(super) fn new(given: &[Option<String>; 8]) -> Result<Cron, TriggerError> {
        let finest = given.iter().rposition(Option::is_some);
        let mut terms: [Vec<Term>; 8] = Default::default();
        for (index, kind) in FIELDS.iter().enumerate() {
            terms[index] = match &given[index] {
                Some(text) => field::parse(kind, text)?,
                None if finest.is_some_and(|finest| index > finest) && has_default(index) => {
                    vec![Term::Steps { first: kind.min, last: kind.min, step: 1 }]
                }
                None => vec![Term::Steps { first: kind.min, last: kind.max, step: 1 }],
            };
        }
        let bits =
            std::array::from_fn(|index| if index == YEAR { 0 } else { field::bits(&terms[index]) });
        let [years, _, mut days, ..] = terms;
        days.retain(|term| !matches!(term, Term::Steps { .. }));
        let cron = Cron { years, days, bits, zone: None, start: None, end: None, jitter: None };
        if cron.ever_fires() { Ok(cron) } else { Err(never(given)) }
    }

    /// The first fire time after `after`, which itself does not count. A whole second. `None` when the trigger has
    /// ended, or fires in none of the next 400 years.
    ///
    /// `zone` is the one to use if the trigger has none of its own.
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let zone = self.zone.unwrap_or(zone);
        let mut from = after.trunc_subsecs(0).checked_add_signed(TimeDelta::seconds(1))?;
        if let Some(start) = &self.start {
            from = from.max(start.instant(zone));
            if from.nanosecond() > 0 {
                from = from.trunc_subsecs(0) + TimeDelta::seconds(1);
            }
        }
        let mut here = Moment::new(from, zone);
        let last_year = here.wall.year() + HORIZON;
        loop {
            if here.wall.year() > last_year {
                return None;
            }
            if self.end.as_ref().is_some_and(|end| end.is_before(here)) {
                return None;
            }
            here = match self.step(here.wall) {
                Step::Fits => return Some(here.at),
                Step::Never => return None,
                Step::Set(wall) => here.set(wall, zone),
                Step::GoOn(wall) => here.go_on(wall, zone),
            };
        }
    }

    /// Whether every field fits what the wall clock shows.
    pub fn fits(&self, wall: NaiveDateTime) -> bool {
        wall.nanosecond() == 0 && matches!(self.step(wall), Step::Fits)
    }

    fn step(&self, wall: NaiveDateTime) -> Step {
        let date = wall.date();
        match self.next_year(date.year()) {
            None => return Step::Never,
            Some(year) if year > date.year() => return set(NaiveDate::from_ymd_opt(year, 1, 1)),
            Some(_) => {}
        }
        let first = date.with_day(1);
        match next(self.bits[MONTH], date.month()) {
            None => return go_on(NaiveDate::from_ymd_opt(date.year() + 1, 1, 1)),
            Some(month) if month > date.month() => {
                return set(first.and_then(|first| first.with_month(month)));
            }
            Some(_) => {}
        }
        let days = self.days_of(date);
        match next(days, date.day()) {
            None => {
                return go_on(
                    date.with_day(date.num_days_in_month().into()).and_then(|last| last.succ_opt()),
                );
            }
            Some(day) if day > date.day() => return set(date.with_day(day)),
            Some(_) => {}
        }
        if !self.fits_week(date) {
            // All at once up to a day that fits, to the end of the month or to a day that has to be looked at anew.
            let mut next = date.succ_opt();
            while let Some(day) = next
                && day.month() == date.month()
                && has(days, day.day())
                && !self.fits_week(day)
            {
                next = day.succ_opt();
            }
            return go_on(next);
        }
        self.step_within_day(wall)
    }

    fn fits_week(&self, date: NaiveDate) -> bool {
        has(self.bits[WEEK], date.iso_week().week())
            && has(self.bits[WEEKDAY], date.weekday().num_days_from_monday())
    }

    fn step_within_day(&self, wall: NaiveDateTime) -> Step {
        let (date, hour, minute) = (wall.date(), wall.hour(), wall.minute());
        match next(self.bits[HOUR], hour) {
            None => return go_on(date.succ_opt()),
            Some(next) if next > hour => return set_time(date, next, 0, 0),
            Some(_) => {}
        }
        match next(self.bits[MINUTE], minute) {
            None => return go_on_time(date, hour, 0, TimeDelta::hours(1)),
            Some(next) if next > minute => return set_time(date, hour, next, 0),
            Some(_) => {}
        }
        match next(self.bits[SECOND], wall.second()) {
            None => go_on_time(date, hour, minute, TimeDelta::minutes(1)),
            Some(next) if next > wall.second() => set_time(date, hour, minute, next),
            Some(_) => Step::Fits,
        }
    }

    fn next_year(&self, year: i32) -> Option<i32> {
        let after = |term: &Term| {
            let Term::Steps { first, last, step } = *term else { return None };
            let (first, step) = (i32::from(first), i32::from(step));
            let next = first + (year.max(first) - first + step - 1) / step * step;
            (next <= last.into()).then_some(next)
        };
        self.years.iter().filter_map(after).min()
    }

    /// The days of the date's month that the field selects, as a bit set.
    fn days_of(&self, date: NaiveDate) -> u64 {
        let length = u32::from(date.num_days_in_month());
        let mut days = self.bits[DAY];
        for term in &self.days {
            days |= match *term {
                Term::LastDay => 1 << length,
                Term::Position { nth, weekday } => {
                    // Whatever day it is, the first of its month is this many days of the week after Monday.
                    let first = (date.weekday().num_days_from_monday() + 36 - date.day()) % 7;
                    let hit = (u32::from(weekday) + 7 - first) % 7 + 1;
                    let last = hit + (length - hit) / 7 * 7;
                    1 << if nth == 5 { last } else { hit + u32::from(nth) * 7 }
                }
                Term::Steps { .. } => 0,
            };
        }
        days & ((1 << (length + 1)) - 1)
    }

    /// Whether any date fits, from the first year that is asked for.
    fn ever_fires(&self) -> bool {
        let first = self
            .next_year(FIELDS[YEAR].min.into())
            .and_then(|year| NaiveDate::from_ymd_opt(year, 1, 1));
        let Some(first) = first else { return false };
        let mut wall = first.and_time(NaiveTime::MIN);
        while wall.year() <= first.year() + HORIZON {
            match self.step(wall) {
                Step::Fits => return true,
                Step::Never => return false,
                Step::Set(next) | Step::GoOn(next) => wall = next,
            }
        }
        false
    }
}

/// Weeks and days of the week stay open where the fields left out are set to their least value.
fn has_default(index: usize) -> bool {
    !matches!(index, YEAR | WEEK | WEEKDAY)
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

/// The least value in the set that is no less than `value`.
fn next(bits: u64, value: u32) -> Option<u32> {
    let rest = bits >> value;
    (rest != 0).then(|| value + rest.trailing_zeros())
}

fn set(date: Option<NaiveDate>) -> Step {
    date.map_or(Step::Never, |date| Step::Set(date.and_time(NaiveTime::MIN)))
}

fn go_on(date: Option<NaiveDate>) -> Step {
    date.map_or(Step::Never, |date| Step::GoOn(date.and_time(NaiveTime::MIN)))
}

fn set_time(date: NaiveDate, hour: u32, minute: u32, second: u32) -> Step {
    date.and_hms_opt(hour, minute, second).map_or(Step::Never, Step::Set)
}

fn go_on_time(date: NaiveDate, hour: u32, minute: u32, unit: TimeDelta) -> Step {
    date.and_hms_opt(hour, minute, 0).map_or(Step::Never, |start| Step::GoOn(start + unit))
}

fn never(given: &[Option<String>; 8]) -> TriggerError {
    let fields = FIELDS.iter().zip(given);
    let fields =
        fields.filter_map(|(kind, text)| Some(format!("{} `{}`", kind.key, text.as_ref()?)));
    TriggerError::Never { fields: fields.collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::{Schedule, Trigger};
    use super::*;

    fn next(text: &str, zone: Tz, after: &str) -> Option<String> {
        let trigger: Trigger = text.parse().expect(text);
        let Schedule::Cron(cron) = trigger.schedule() else { panic!("{text} is no cron trigger") };
        let next = cron.next_after(after.parse().expect(after), zone)?;
        Some(next.with_timezone(&zone).format("%a %F %T %Z").to_string())
    }

    #[test]
    fn fields_select_as_in_apscheduler() {
        let after = "2026-11-23T10:00:00Z"; // a Monday
        let table = [
            ("cron 10 hr 0 min", "Tue 2026-11-24 10:00:00 UTC"),
            ("cron 9-17 hr 20,40 min mon-fri weekday", "Mon 2026-11-23 10:20:00 UTC"),
            ("cron 0 weekday", "Mon 2026-11-30 00:00:00 UTC"),
            ("cron 2nd fri day", "Fri 2026-12-11 00:00:00 UTC"),
            ("cron 5th mon day", "Mon 2026-11-30 00:00:00 UTC"),
            ("cron last fri,last day 6 hr", "Fri 2026-11-27 06:00:00 UTC"),
            ("cron last day", "Mon 2026-11-30 00:00:00 UTC"),
            ("cron 53 week", "Mon 2026-12-28 00:00:00 UTC"),
            ("cron 29 day 2 month mon weekday", "Mon 2044-02-29 00:00:00 UTC"),
            ("cron 15 sec", "Mon 2026-11-23 10:00:15 UTC"),
            ("cron 2026-2030/2 year", "Sat 2028-01-01 00:00:00 UTC"),
            ("cron 3 hr 2027-05-05 start", "Wed 2027-05-05 03:00:00 UTC"),
        ];
        for (text, wanted) in table {
            assert_eq!(next(text, Tz::UTC, after).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn ends_are_inclusive_and_past_years_are_over() {
        let after = "2026-11-23T10:00:00Z";
        assert_eq!(
            next("cron 11 hr 2026-11-23 11:00:00 end", Tz::UTC, after).as_deref(),
            Some("Mon 2026-11-23 11:00:00 UTC")
        );
        assert_eq!(next("cron 11 hr 2026-11-23 10:59:59 end", Tz::UTC, after), None);
        assert_eq!(next("cron 2025 year", Tz::UTC, after), None);
    }

    #[test]
    fn gaps_fire_late_and_folds_twice() {
        let berlin = "Europe/Berlin".parse().expect("a zone");
        let fire = |after| next("cron 2 hr 30 min", berlin, after).expect("fires");
        assert_eq!(fire("2026-03-28T12:00:00Z"), "Sun 2026-03-29 03:30:00 CEST");
        assert_eq!(fire("2026-10-24T12:00:00Z"), "Sun 2026-10-25 02:30:00 CEST");
        assert_eq!(fire("2026-10-25T00:30:00Z"), "Sun 2026-10-25 02:30:00 CET");
        assert_eq!(fire("2026-10-25T01:30:00Z"), "Mon 2026-10-26 02:30:00 CET");
    }

    #[test]
    fn the_first_of_a_month_after_a_change_of_offset_is_not_skipped() {
        // APScheduler 3 answers 1 May: going on from March it lands at 01:00 on 1 April.
        let fire =
            next("cron 1 day", "Europe/Berlin".parse().expect("a zone"), "2026-03-10T00:00:00Z");
        assert_eq!(fire.as_deref(), Some("Wed 2026-04-01 00:00:00 CEST"));
    }

    #[test]
    fn what_never_fires_is_refused() {
        for text in [
            "cron 30 day 2 month",
            "cron 2nd mon day tue weekday",
            "cron 1 week 6 month",
            "cron 2027 year 53 week 6 month",
        ] {
            let fault = text.parse::<Trigger>().expect_err(text).to_string();
            assert!(fault.starts_with("this trigger never fires: no date has "), "{fault}");
        }
    }
}
