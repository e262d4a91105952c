//! Times as people and as messages write them.

use chrono::{DateTime, Datelike, NaiveDateTime, Offset, SecondsFormat, TimeZone, Utc};

use crate::Tz;

/// A time as messages and saved sites carry it: ISO 8601 with the zone's offset and microseconds.
pub fn iso(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    // Before zones were agreed upon, their offsets had seconds, which ISO 8601 cannot say. The last of all times has no local
    // one, and the last of the year 9999 none that is written in four digits.
    let sayable =
        is_likely(&at) && local.year() <= 9999 && local.offset().fix().local_minus_utc() % 60 == 0;
    let local = if sayable { local } else { at.with_timezone(&Tz::UTC) };
    local.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A time as people see it: `23 Nov 2026 03:13 AEDT`.
pub fn people(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%d %b %Y %H:%M %Z").to_string()
}

/// Whether a clock or a calendar may say this: a time of a year that is written in four digits. What is earlier or later
/// comes from a broken message, and is near the end of what can be counted with.
pub fn is_likely(at: &DateTime<Utc>) -> bool {
    (1..=9999).contains(&at.year())
}

/// Reads a time written by [`iso`], or in the form people see, which versions of the original before 1.1.5 saved
/// (`zone` then says what its abbreviation means). What is below microseconds is left out: saved and read again, a run with
/// it would look like a newer one. `None` for anything else, and for what [is not likely](is_likely).
pub fn parse(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let at = of_any_year(text.trim(), zone).filter(is_likely)?;
    // A second that was put in is the end of the one before.
    let micros = at.timestamp_subsec_micros().min(999_999);
    DateTime::from_timestamp(at.timestamp(), micros * 1000)
}

fn of_any_year(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.with_timezone(&Utc));
    }
    if let Ok(local) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        return zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc));
    }
    let (local, abbreviation) = text.rsplit_once(' ')?;
    let local = NaiveDateTime::parse_from_str(local, "%d %b %Y %H:%M").ok()?;
    if matches!(abbreviation, "UTC" | "GMT" | "Z") {
        return Some(local.and_utc());
    }
    // In an autumn fold the abbreviation tells which of the two hours is meant.
    let candidates = zone.from_local_datetime(&local);
    [candidates.earliest(), candidates.latest()]
        .into_iter()
        .flatten()
        .find(|at| at.format("%Z").to_string() == abbreviation)
        .or(candidates.earliest())
        .map(|at| at.with_timezone(&Utc))
}

/// Reads a time as people write it down: ISO 8601, with or without seconds, and with or without an offset; `zone` is for
/// one without. `None` for anything else, for what [is not likely](is_likely), and for a time that the clocks of the zone jump over.
pub fn moment(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Some(at) = parse(text, zone) {
        return Some(at);
    }
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    let at = zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc));
    at.filter(is_likely)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Tz {
        name.parse().expect("a zone")
    }

    fn sydney() -> Tz {
        zone("Australia/Sydney")
    }

    #[test]
    fn both_forms_are_read() {
        let at = parse("2026-11-23T14:00:52.183093+10:30", sydney()).expect("iso");
        assert_eq!(iso(at, zone("Australia/Adelaide")), "2026-11-23T14:00:52.183093+10:30");
        let old = parse("23 Nov 2026 03:13 AEDT", sydney()).expect("old form");
        assert_eq!(people(old, sydney()), "23 Nov 2026 03:13 AEDT");
        assert_eq!(iso(old, sydney()), "2026-11-23T03:13:00.000000+11:00");
    }

    #[test]
    fn a_time_of_nanoseconds_or_with_a_leap_second_is_the_same_when_it_was_saved() {
        let adelaide = zone("Australia/Adelaide");
        for text in [
            "2026-11-23T14:00:52.0983093+10:30",
            "2016-12-31T23:59:60Z",
            "2017-01-01T10:29:60.5",
            // By the sun, with an offset of hours, minutes and seconds.
            "1320-12-31T23:59:60",
        ] {
            let at = parse(text, adelaide).expect(text);
            assert_eq!(parse(&iso(at, adelaide), adelaide), Some(at), "{text}");
        }
        let at = parse("2016-12-31T23:59:60Z", adelaide).expect("a time");
        assert_eq!(iso(at, Tz::UTC), "2016-12-31T23:59:59.999999+00:00");
    }

    #[test]
    fn the_abbreviation_decides_within_an_autumn_fold() {
        let zone = zone("Europe/Berlin");
        let summer = parse("25 Oct 2026 02:30 CEST", zone).expect("first");
        let winter = parse("25 Oct 2026 02:30 CET", zone).expect("second");
        assert_eq!((winter - summer).num_minutes(), 60);
    }

    proptest! {
        #[test]
        fn a_time_survives_its_message(micros in -60_000_000_000_000_000_i64..250_000_000_000_000_000, offset in 0..3_usize) {
            let zone = [sydney(), zone("America/St_Johns"), Tz::UTC][offset];
            let at = DateTime::from_timestamp_micros(micros).expect("a time");
            prop_assert_eq!(parse(&iso(at, zone), sydney()), Some(at));
        }

        #[test]
        fn no_text_is_too_strange(
            text in "\\PC{0,30}|[+-]?[0-9]{1,6}-[0-9]{1,2}-[0-9]{1,2}T[0-9:.]{5,9}[+0-9:]{0,6}|[0-9]{1,2} Oct [0-9+-]{1,7} 02:30 [A-Z]{0,4}|\
                     ([0-2][0-9]{3}|9999)-(01|07|12)-31T(00|23):(00|59):(00|59|60)([.][0-9]{1,10})?(Z|[+]14:00|-12:00)?",
            named in prop::sample::select(vec!["Australia/Sydney", "America/Los_Angeles", "UTC"]),
        ) {
            if let Some(at) = parse(&text, zone(named)) {
                prop_assert_eq!(parse(&iso(at, zone(named)), zone(named)), Some(at), "{}", text);
                _ = people(at, sydney());
            }
        }
    }

    #[test]
    fn people_need_not_write_seconds_nor_a_zone() {
        let at = parse("2026-11-23T03:13:00+11:00", sydney());
        for text in
            ["2026-11-23T03:13", "2026-11-23 03:13", "2026-11-23 03:13:00", "2026-11-22T16:13:00Z"]
        {
            assert_eq!(moment(text, sydney()), at, "{text}");
        }
        assert_eq!(moment("2026-10-04T02:30", sydney()), None, "the clocks jump over it");
        assert_eq!(moment("tomorrow", sydney()), None);
    }

    #[test]
    fn a_time_at_the_end_of_the_calendar_is_none_and_breaks_nothing() {
        for zone in Tz::all() {
            for year in ["+262142", "-262143", "+10001", "-0001"] {
                for rest in ["-12-31T23:59:59", "-01-01T00:00:00", "-07-01T00:00"] {
                    let text = format!("{year}{rest}");
                    assert_eq!(parse(&text, zone), None, "{text} {zone}");
                    assert_eq!(moment(&text, zone), None, "{text} {zone}");
                }
                for abbreviation in ["UTC", "CET", "AEDT"] {
                    let text = format!("31 Dec {year} 23:59 {abbreviation}");
                    assert_eq!(parse(&text, zone), None, "{text} {zone}");
                }
            }
            for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
                _ = (iso(at, zone), people(at, zone));
            }
        }
        let never = "9999-12-31T23:59:59Z";
        assert_eq!(parse(never, sydney()).map(|at| at.year()), Some(9999), "registries say so");
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in ["", "soon", "2026-11-23", "23 Nov", "32 Nov 2026 03:13 AEDT"] {
            assert_eq!(parse(text, sydney()), None, "{text}");
        }
    }
}
