//! Time zones: names, and the way from wall clocks to instants through gaps and folds.

use crate::Tz;
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};

use super::error::TriggerError;

/// The zone of that name, upper and lower case being one.
///
/// # Errors
/// [`TriggerError::Zone`] with the nearest name there is.
pub fn zone(name: &str) -> Result<Tz, TriggerError> {
    let name = name.trim();
    name.parse().map_err(|_| {
        let hint = match nearest(name) {
            Some(zone) => format!("did you mean `{}`?", zone.name()),
            None => "write a name such as `Australia/Adelaide` or `UTC`".into(),
        };
        TriggerError::Zone { name: name.into(), hint }
    })
}

/// A point in time and what the wall clock shows at it. Within a gap the wall clock may be one that nobody sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub at: DateTime<Utc>,
    pub wall: NaiveDateTime,
}

impl Moment {
    pub(super) fn new(at: DateTime<Utc>, zone: Tz) -> Moment {
        Moment { at, wall: at.with_timezone(&zone).naive_local() }
    }

    /// The first moment at which the wall clock shows `wall`, but in the second half of a fold the second one.
    ///
    /// In a gap the wall clock never shows it; the moment is then as long after the gap's start as the wall clock
    /// would say, so that 02:30 in a gap from 02:00 to 03:00 is half past three. That is APScheduler 3's answer too.
    pub(super) fn set(self, wall: NaiveDateTime, zone: Tz) -> Moment {
        let at = match zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(at) => at.to_utc(),
            MappedLocalTime::Ambiguous(first, _) if first.to_utc() >= self.at => first.to_utc(),
            MappedLocalTime::Ambiguous(_, second) => second.to_utc(),
            MappedLocalTime::None => in_gap(wall, zone),
        };
        Moment { at, wall }
    }

    /// Goes on to `wall`, the next full unit, without passing over anything: where the clock is put back on the way
    /// it stops at the same length of time, short of `wall`, and where `wall` falls into a gap it stops at its end.
    pub(super) fn go_on(self, wall: NaiveDateTime, zone: Tz) -> Moment {
        let elapsed = Moment::new(self.at + (wall - self.wall), zone);
        if elapsed.wall < wall {
            return elapsed;
        }
        let there = self.set(wall, zone);
        let shown = Moment::new(there.at, zone);
        if shown.wall == wall { there } else { gap_end(shown, zone) }
    }
}

/// The moment of a wall clock time: the first one in a fold, past the gap in a gap.
pub(super) fn instant(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    Moment { at: DateTime::<Utc>::MIN_UTC, wall }.set(wall, zone).at
}

fn in_gap(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    // Offsets reach from -12 to +14 hours and no gap is longer than a day, so a day earlier lies before the gap.
    wall.and_utc() - offset(wall.and_utc() - TimeDelta::days(1), zone)
}

/// The end of the gap that ends less than a day before `after`.
fn gap_end(after: Moment, zone: Tz) -> Moment {
    let target = offset(after.at, zone);
    let (mut before, mut end) = (after.at - TimeDelta::days(1), after.at);
    while end - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((end - before).num_seconds() / 2);
        if offset(middle, zone) == target { end = middle } else { before = middle }
    }
    Moment::new(end, zone)
}

fn offset(at: DateTime<Utc>, zone: Tz) -> TimeDelta {
    TimeDelta::seconds(
        zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc().into(),
    )
}

/// The zone whose name, or last part of the name, is at most two slips away.
fn nearest(name: &str) -> Option<Tz> {
    if name.len() > 40 {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let distance = |zone: &Tz| {
        let full = zone.name().to_ascii_lowercase();
        let city = full.rsplit('/').next().map_or(usize::MAX, |city| slips(city, &name));
        slips(&full, &name).min(city)
    };
    Tz::all()
        .map(|zone| (distance(&zone), zone))
        .filter(|(slips, _)| *slips <= 2)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, zone)| zone)
}

/// How many letters have to be put in, taken out or changed to get from one text to the other.
fn slips(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let cost = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = cost.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveDateTime {
        text.parse().expect("a time")
    }

    #[test]
    fn names_are_found_in_any_case_and_slips_are_answered() {
        assert_eq!(zone("australia/ADELAIDE"), Ok("Australia/Adelaide".parse().expect("a zone")));
        assert_eq!(zone("UTC"), Ok(Tz::UTC));
        let fault = |name| zone(name).expect_err("no zone").to_string();
        assert_eq!(
            fault("Australia/Adelade"),
            "unknown time zone `Australia/Adelade`, did you mean `Australia/Adelaide`?"
        );
        assert_eq!(
            fault("adelaide"),
            "unknown time zone `adelaide`, did you mean `Australia/Adelaide`?"
        );
        assert_eq!(
            fault("somewhere else"),
            "unknown time zone `somewhere else`, write a name such as `Australia/Adelaide` or `UTC`"
        );
    }

    #[test]
    fn a_time_in_a_gap_is_as_much_later() {
        let berlin = "Europe/Berlin".parse().expect("a zone");
        assert_eq!(
            instant(time("2026-03-29T02:30:00"), berlin),
            time("2026-03-29T01:30:00").and_utc()
        );
    }

    #[test]
    fn going_on_into_a_gap_ends_with_the_gap() {
        let lord_howe = "Australia/Lord_Howe".parse().expect("a zone");
        let before = Moment::new(time("2026-10-03T15:20:00").and_utc(), lord_howe);
        assert_eq!(before.wall, time("2026-10-04T01:50:00"));
        let after = before.go_on(time("2026-10-04T02:10:00"), lord_howe);
        assert_eq!(after.wall, time("2026-10-04T02:30:00"));
    }

    #[test]
    fn going_on_through_a_fold_sees_it_twice() {
        let berlin = "Europe/Berlin".parse().expect("a zone");
        let before = Moment::new(time("2026-10-25T00:50:00").and_utc(), berlin);
        assert_eq!(before.wall, time("2026-10-25T02:50:00"));
        let after = before.go_on(time("2026-10-25T03:00:00"), berlin);
        assert_eq!(
            (after.wall, after.at),
            (time("2026-10-25T02:00:00"), time("2026-10-25T01:00:00").and_utc())
        );
    }
}
