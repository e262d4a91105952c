//! Times as people and as messages write them.

use chrono::{DateTime, NaiveDateTime, Offset, SecondsFormat, TimeZone, Utc};

use crate::Tz;

/// A time as messages and saved sites carry it: ISO 8601 with the zone's offset and microseconds.
pub fn iso(at: DateTime<Utc>, zone: Tz) -> String {
    let local = at.with_timezone(&zone);
    // Before zones were agreed upon, their offsets had seconds, which ISO 8601 cannot say.
    let sayable = local.offset().fix().local_minus_utc() % 60 == 0;
    let local = if sayable { local } else { at.with_timezone(&Tz::UTC) };
    local.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// A time as people see it: `23 Nov 2026 03:13 AEDT`.
pub fn people(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%d %b %Y %H:%M %Z").to_string()
}

/// Reads a time written by [`iso`], or in the form people see, which versions of the original before 1.1.5 saved
/// (`zone` then says what its abbreviation means). `None` for anything else.
pub fn parse(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
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
/// one without. `None` for anything else, and for a time that the clocks of the zone jump over.
pub fn moment(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Some(at) = parse(text, zone) {
        return Some(at);
    }
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
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
            text in "\\PC{0,30}|[+-]?[0-9]{1,6}-[0-9]{1,2}-[0-9]{1,2}T[0-9:.]{5,9}[+0-9:]{0,6}|[0-9]{1,2} Oct [0-9+-]{1,7} 02:30 [A-Z]{0,4}"
        ) {
            if let Some(at) = parse(&text, sydney()) {
                _ = (iso(at, sydney()), people(at, sydney()));
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
    fn other_texts_are_no_times() {
        for text in ["", "soon", "2026-11-23", "23 Nov", "32 Nov 2026 03:13 AEDT"] {
            assert_eq!(parse(text, sydney()), None, "{text}");
        }
    }
}
