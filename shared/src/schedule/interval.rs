//! A trigger by the length of time between runs.

use crate::Tz;
use chrono::{DateTime, TimeDelta, Utc};

use super::bound::Bound;
use super::error::TriggerError;

/// Longest interval. Days; the arithmetic below stays far from overflow.
const LONGEST_DAYS: i64 = 36_525;

/// Equal lengths of time, counted from wherever the beat is anchored. Zones and their changes do not matter to it,
/// except for an end given without an offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    period: TimeDelta,
    pub(super) zone: Option<Tz>,
    pub(super) end: Option<Bound>,
    pub(super) jitter: Option<TimeDelta>,
}

impl Interval {
    /// An interval of a sum of seconds.
    pub(super) fn new(seconds: f64) -> Result<Interval, TriggerError> {
        if seconds == 0.0 {
            return Err(TriggerError::ZeroInterval);
        }
        if seconds < 1.0 {
            return Err(TriggerError::ShortInterval);
        }
        if seconds > LONGEST_DAYS as f64 * 86_400.0 {
            return Err(TriggerError::LongInterval);
        }
        // Up to the longest interval a float holds milliseconds exactly.
        let period = TimeDelta::milliseconds((seconds * 1000.0).round() as i64);
        Ok(Interval { period, zone: None, end: None, jitter: None })
    }

    /// The time between two runs. At least a second, in whole milliseconds.
    pub fn period(&self) -> TimeDelta {
        self.period
    }

    /// The first point after `after`, which itself does not count, on the grid of whole periods before and after
    /// `anchor`. `None` when the trigger has ended; `zone` is the one to read its end in if it has none of its own.
    pub fn next_after(
        &self,
        after: DateTime<Utc>,
        anchor: DateTime<Utc>,
        zone: Tz,
    ) -> Option<DateTime<Utc>> {
        let elapsed = (after - anchor).num_milliseconds();
        // One less than needed, as what is less than a millisecond went towards zero.
        let mut periods = elapsed.div_euclid(self.period.num_milliseconds()) - 1;
        let next = loop {
            periods += 1;
            let offset = self.period.num_milliseconds().checked_mul(periods)?;
            let point = anchor.checked_add_signed(TimeDelta::try_milliseconds(offset)?)?;
            if point > after {
                break point;
            }
        };
        let end = self.end.as_ref().map(|end| end.instant(self.zone.unwrap_or(zone)));
        (end.is_none_or(|end| next <= end)).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    #[test]
    fn the_grid_reaches_both_ways_from_its_anchor() {
        let interval = Interval::new(90.0).expect("an interval");
        let anchor = at("2026-11-23T10:00:00Z");
        for (after, next) in [
            ("2026-11-23T10:00:00Z", "2026-11-23T10:01:30Z"),
            ("2026-11-23T09:59:59.9999Z", "2026-11-23T10:00:00Z"),
            ("2026-11-23T10:00:00.0001Z", "2026-11-23T10:01:30Z"),
            ("2026-11-23T09:57:00Z", "2026-11-23T09:58:30Z"),
            ("2026-11-23T09:56:59.9999Z", "2026-11-23T09:57:00Z"),
            ("2027-11-23T10:00:01Z", "2027-11-23T10:01:30Z"),
        ] {
            assert_eq!(interval.next_after(at(after), anchor, Tz::UTC), Some(at(next)), "{after}");
        }
    }

    #[test]
    fn lengths_that_make_no_sense_are_refused() {
        assert_eq!(Interval::new(0.0), Err(TriggerError::ZeroInterval));
        assert_eq!(Interval::new(0.9), Err(TriggerError::ShortInterval));
        assert_eq!(Interval::new(1e18), Err(TriggerError::LongInterval));
        assert_eq!(Interval::new(f64::INFINITY), Err(TriggerError::LongInterval));
    }

    #[test]
    fn the_far_end_of_time_is_an_end() {
        let interval = Interval::new(3600.0).expect("an interval");
        assert_eq!(
            interval.next_after(DateTime::<Utc>::MAX_UTC, at("2026-11-23T10:00:00Z"), Tz::UTC),
            None
        );
    }
}
