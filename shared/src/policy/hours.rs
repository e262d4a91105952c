//! Hours of the day in which an action is not to disturb.

use crate::Tz;
use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday,
};

use crate::Severity;

/// Hours of the day in which an action is not to disturb. What comes in them waits for their end.
#[derive(Clone, Debug, PartialEq)]
pub struct QuietHours {
    /// When they begin (`from`, as in `22:00`).
    pub from: NaiveTime,
    /// When they end (`to`). At or before the beginning: on the next day.
    pub to: NaiveTime,
    /// Days on which they begin (`days`); none: on all.
    pub days: Vec<Weekday>,
    /// Their zone (`timezone`); `None`: that of the site.
    pub zone: Option<Tz>,
    /// What is grave enough to disturb all the same (`except`).
    pub except: Option<Severity>,
}

impl QuietHours {
    /// When the quiet hours end that `now` lies in; `None`: it lies in none. `zone` is for hours without their own.
    pub fn until(&self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let zone = self.zone.unwrap_or(zone);
        let today = now.with_timezone(&zone).date_naive();
        // Those of yesterday may last into today, and through a night in which the clocks change.
        [today.checked_sub_days(Days::new(1))?, today].into_iter().find_map(|day| {
            if !(self.days.is_empty() || self.days.contains(&day.weekday())) {
                return None;
            }
            let last = if self.to <= self.from { day.checked_add_days(Days::new(1))? } else { day };
            let (begin, end) = (instant(day, self.from, zone)?, instant(last, self.to, zone)?);
            (begin <= now && now < end).then_some(end)
        })
    }
}

/// A local time as an instant: of two the earlier, of none (the clocks jump over it) the one an hour later.
fn instant(day: NaiveDate, time: NaiveTime, zone: Tz) -> Option<DateTime<Utc>> {
    let local = day.and_time(time);
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.with_timezone(&Utc)),
        LocalResult::None => {
            let later = local.checked_add_signed(TimeDelta::hours(1))?;
            zone.from_local_datetime(&later).earliest().map(|at| at.with_timezone(&Utc))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").expect("a time")
    }

    fn until(hours: &QuietHours, now: &str) -> Option<String> {
        let now = now.parse().expect("a time");
        hours.until(now, "Europe/Berlin".parse().expect("a zone")).map(|end| end.to_rfc3339())
    }

    #[test]
    fn a_night_lasts_into_the_next_day_in_its_own_zone() {
        let night = QuietHours {
            from: time("22:00"),
            to: time("07:00"),
            days: Vec::new(),
            zone: None,
            except: None,
        };
        let end = Some("2026-11-27T06:00:00+00:00".into());
        assert_eq!(until(&night, "2026-11-26T20:59:59Z"), None);
        assert_eq!(until(&night, "2026-11-26T21:00:00Z"), end);
        assert_eq!(until(&night, "2026-11-27T05:59:59Z"), end);
        assert_eq!(until(&night, "2026-11-27T06:00:00Z"), None);
    }

    #[test]
    fn days_are_those_on_which_the_quiet_begins() {
        let weekend = QuietHours {
            from: time("20:00"),
            to: time("20:00"),
            days: vec![Weekday::Fri],
            zone: None,
            except: None,
        };
        assert_eq!(
            until(&weekend, "2026-11-28T18:00:00Z").as_deref(),
            Some("2026-11-28T19:00:00+00:00")
        );
        assert_eq!(until(&weekend, "2026-11-28T19:30:00Z"), None);
    }

    #[test]
    fn a_night_in_which_the_clocks_change_ends_by_the_clock_on_the_wall() {
        let night = QuietHours {
            from: time("23:00"),
            to: time("02:30"),
            days: Vec::new(),
            zone: None,
            except: None,
        };
        // There is no half past two on that night.
        assert_eq!(
            until(&night, "2026-03-29T00:30:00Z").as_deref(),
            Some("2026-03-29T01:30:00+00:00")
        );
    }
}
