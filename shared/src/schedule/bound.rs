//! The earliest and latest time of a trigger.

use crate::Tz;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use super::error::TriggerError;
use super::zone::{self, Moment};

/// A `start_date` or `end_date`, both of which still count. A date without a time is its first second.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    /// Written without an offset: what the wall clock shows in the trigger's zone.
    Wall(NaiveDateTime),
    /// Written with an offset.
    At(DateTime<Utc>),
}

impl Bound {
    /// Reads `2027-12-31`, `2027-12-31 18:30:00` (or with a `T`, without seconds, with a fraction), with an offset as in
    /// `+10:30` or `Z` after the time.
    pub(super) fn parse(key: &'static str, text: &str) -> Result<Bound, TriggerError> {
        read(text.trim()).ok_or_else(|| TriggerError::Date { key, found: text.into() })
    }

    pub(super) fn instant(&self, zone: Tz) -> DateTime<Utc> {
        match *self {
            Bound::Wall(wall) => zone::instant(wall, zone),
            Bound::At(at) => at,
        }
    }

    /// Whether the bound lies before a moment of its zone. A wall clock is compared with a wall clock, so that an end
    /// within a fold holds for both of its halves, as in APScheduler 3.
    pub(super) fn is_before(&self, moment: Moment) -> bool {
        match *self {
            Bound::Wall(wall) => wall < moment.wall,
            Bound::At(at) => at < moment.at,
        }
    }
}

fn read(text: &str) -> Option<Bound> {
    let Some((date, rest)) = text.split_once([' ', 'T', 't']) else {
        return Some(Bound::Wall(date(text)?.and_time(NaiveTime::MIN)));
    };
    let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (&rest[..at], Some(offset(&rest[at..])?)),
        None => (rest, None),
    };
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"))
        .ok()?;
    let wall = self::date(date)?.and_time(time);
    match offset {
        None => Some(Bound::Wall(wall)),
        Some(offset) => Some(Bound::At(wall.and_local_timezone(offset).single()?.to_utc())),
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    // Four digits for the year: a date such as 27-12-31 could mean several.
    (text.find('-') == Some(4)).then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())?
}

fn offset(text: &str) -> Option<FixedOffset> {
    if text.eq_ignore_ascii_case("z") {
        return FixedOffset::east_opt(0);
    }
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    FixedOffset::east_opt(if text.starts_with('-') { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_others_are_refused() {
        let adelaide = "Australia/Adelaide".parse().expect("a zone");
        let table = [
            ("2027-12-31", "2027-12-30T13:30:00Z"),
            ("2027-12-31 18:30:00", "2027-12-31T08:00:00Z"),
            ("2027-12-31 18:30", "2027-12-31T08:00:00Z"),
            ("2027-12-31T18:30:00.5", "2027-12-31T08:00:00.5Z"),
            ("2027-12-31T18:30:00Z", "2027-12-31T18:30:00Z"),
            ("2027-1-2 18:30:00-03:30", "2027-01-02T22:00:00Z"),
        ];
        for (text, at) in table {
            let bound = Bound::parse("end_date", text).expect(text);
            assert_eq!(bound.instant(adelaide), at.parse::<DateTime<Utc>>().expect(at), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "31.12.2027",
            "27-12-31",
            "2027-02-30",
            "2027-12-31 25:00:00",
            "2027-12-31 18:30:00 CET",
            "2027-12-31T",
            "2027-12-31 18:30:00+1",
            "2027-12-31 1\u{e9}",
        ] {
            let fault = Bound::parse("end_date", text).expect_err(text).to_string();
            assert!(
                fault.starts_with(&format!("`end_date` is `{text}`, write `2027-12-31`")),
                "{fault}"
            );
        }
    }
}
