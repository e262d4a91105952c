//! A trigger by the calendar, with the meaning APScheduler 3 gives it.

use chrono::{
    DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, SubsecRound, TimeDelta, Timelike, Utc,
};
use chrono_tz::Tz;

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
        match next(self.days_of(date), date.day()) {
            None => {
                return go_on(
                    date.with_day(date.num_days_in_month().into()).and_then(|last| last.succ_opt()),
                );
            }
            Some(day) if day > date.day() => return set(date.with_day(day)),
            Some(_) => {}
        }
        if !has(self.bits[WEEK], date.iso_week().week())
            || !has(self.bits[WEEKDAY], date.weekday().num_days_from_monday())
        {
            return go_on(date.succ_opt());
        }
        self.step_within_day(wall)
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
