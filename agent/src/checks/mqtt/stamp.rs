//! The time that a payload says of itself.

use chrono::{DateTime, NaiveDateTime, TimeZone as _, Utc};
use fletchck_shared::Tz;
use fletchck_shared::time as written;
use serde_json::Value;

use crate::checks::{
    Options,
    content::{NoDocument, Path, value_told},
};

/// Where a payload says when it was made.
#[derive(Debug)]
pub(super) struct Stamp {
    path: Path,
}

impl Stamp {
    /// Reads `timestampPath`.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        Path::read(options, "timestampPath").map(|path| Self { path })
    }

    /// The place, as a sentence names it.
    pub(super) fn place(&self) -> String {
        format!("`{}`", self.path)
    }

    /// When a payload was made; where it says several times, the last of them. A payload that is no JSON is a text.
    ///
    /// # Errors
    /// It does not say: a clause.
    pub(super) fn of(&self, payload: &[u8], zone: Tz) -> Result<DateTime<Utc>, String> {
        let document = match self.path.read_in(payload) {
            Ok(document) => document,
            // A time is shorter than this.
            Err(NoDocument::Json(_)) => {
                Value::String(String::from_utf8_lossy(&payload[..payload.len().min(256)]).into())
            }
            Err(error @ NoDocument::TooLarge) => {
                return Err(format!("its payload cannot be read: {error}, {}", self.place()));
            }
        };
        let found = self.path.all(&document);
        let times = found.iter().filter_map(|value| time(value, zone));
        match (times.max(), found.first()) {
            (Some(time), _) => Ok(time),
            (None, Some(value)) => {
                Err(format!("{} in its payload is no time but {}", self.place(), value_told(value)))
            }
            (None, None) => Err(format!("its payload has nothing at {}", self.place())),
        }
    }
}

/// Reads a time: seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size, or ISO 8601;
/// without an offset it is one of the check's zone.
pub(in crate::checks) fn time(value: &Value, zone: Tz) -> Option<DateTime<Utc>> {
    of_any_year(value, zone).filter(written::is_likely)
}

fn of_any_year(value: &Value, zone: Tz) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => since_1970(whole),
            None => seconds(number.as_f64()?),
        },
        Value::String(text) => {
            let text = text.trim();
            let number = || match text.parse::<i64>() {
                Ok(whole) => since_1970(whole),
                Err(_) => seconds(text.parse().ok()?),
            };
            written::parse(text, zone).or_else(|| other(text, zone)).or_else(number)
        }
        _ => None,
    }
}

/// Forms that devices use beside those of our own messages: a blank for the `T`, an offset without a colon.
fn other(text: &str, zone: Tz) -> Option<DateTime<Utc>> {
    for form in ["%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M:%S%.f %z"] {
        if let Ok(at) = DateTime::parse_from_str(text, form) {
            return Some(at.with_timezone(&Utc));
        }
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    zone.from_local_datetime(&local).earliest().map(|at| at.with_timezone(&Utc))
}

/// Whole numbers: ten digits are seconds, thirteen milliseconds, sixteen microseconds, nineteen nanoseconds.
fn since_1970(number: i64) -> Option<DateTime<Utc>> {
    match number.unsigned_abs() {
        0..100_000_000_000 => DateTime::from_timestamp(number, 0),
        100_000_000_000..100_000_000_000_000 => DateTime::from_timestamp_millis(number),
        100_000_000_000_000..100_000_000_000_000_000 => DateTime::from_timestamp_micros(number),
        _ => Some(DateTime::from_timestamp_nanos(number)),
    }
}

/// Numbers with places: seconds, or milliseconds where they are too many for those.
fn seconds(number: f64) -> Option<DateTime<Utc>> {
    let seconds = if number.abs() < 1e11 { number } else { number / 1e3 };
    let micros = seconds * 1e6;
    (micros.abs() < 1e17).then(|| DateTime::from_timestamp_micros(micros as i64)).flatten()
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::checks::Opt;

    fn berlin() -> Tz {
        "Europe/Berlin".parse().expect("a zone")
    }

    fn stamp(path: &str) -> Stamp {
        let given = json!({"timestampPath": path});
        const KNOWN: &[Opt] = &[Opt::text("timestampPath", "none", "a path")];
        let given = given.as_object().expect("options");
        Options::read(given, KNOWN, Stamp::read).0.expect("a path")
    }

    #[test]
    fn times_are_read_as_devices_write_them() {
        let noon = "2026-11-26T11:00:00Z";
        for value in [
            json!(1_795_690_800),
            json!(1_795_690_800_000_i64),
            json!(1_795_690_800_000_000_i64),
            json!(1_795_690_800_000_000_000_i64),
            json!(1_795_690_800.0),
            json!(1_795_690_800_000.0),
            json!("1795690800"),
            json!(" 1795690800.0 "),
            json!("2026-11-26T11:00:00Z"),
            json!("2026-11-26T12:00:00.000+01:00"),
            json!("2026-11-26T12:00:00.5+0100"),
            json!("2026-11-26 12:00:00+01:00"),
            json!("2026-11-26 12:00:00 +0100"),
            json!("2026-11-26T12:00:00"),
            json!("2026-11-26 12:00:00.250"),
            json!("26 Nov 2026 12:00 CET"),
        ] {
            let read = time(&value, berlin()).unwrap_or_else(|| panic!("{value} is no time"));
            assert_eq!(read.to_rfc3339_opts(SecondsFormat::Secs, true), noon, "{value}");
        }
        for value in [
            json!(""),
            json!("soon"),
            json!("2026-11-26"),
            json!(1e300),
            json!("+262142-12-31 23:59:59"),
            json!("-262143-01-01 00:00:00 +0100"),
            json!("NaN"),
            json!(null),
            json!([1]),
            json!(true),
        ] {
            assert_eq!(time(&value, berlin()), None, "{value}");
        }
    }

    #[test]
    fn a_payload_says_its_time_at_its_path() {
        let read = |path: &str, payload: &[u8]| stamp(path).of(payload, berlin());
        let at = DateTime::from_timestamp(1_795_690_800, 0).expect("a time");
        assert_eq!(read("$.time", br#"{"time": 1795690800}"#), Ok(at));
        assert_eq!(
            read("$..t", br#"[{"t": 1795690800}, {"t": 5}, {"t": "x"}]"#),
            Ok(at),
            "the last"
        );
        assert_eq!(read("$", b"1795690800"), Ok(at));
        assert_eq!(read("$", b"2026-11-26T12:00:00"), Ok(at), "no JSON");
        for (path, payload, words) in [
            ("$.time", &b"{}"[..], "its payload has nothing at `$.time`"),
            ("$.time", b"\xff\xfe", "its payload has nothing at `$.time`"),
            ("$.time", br#"{"time": "soon"}"#, "`$.time` in its payload is no time but \"soon\""),
        ] {
            assert_eq!(read(path, payload).expect_err("none"), words);
        }
    }

    proptest! {
        #[test]
        fn no_payload_makes_it_panic(payload in any::<Vec<u8>>(), text in ".{0,40}", number: f64, whole: i64) {
            _ = stamp("$..*").of(&payload, berlin());
            _ = time(&json!(text), berlin());
            _ = time(&json!(number), berlin());
            _ = time(&json!(whole), berlin());
            _ = time(&json!(whole.to_string()), berlin());
        }

        #[test]
        fn every_unit_and_form_is_the_same_time(seconds in 200_000_000_i64..10_000_000_000) {
            let at = DateTime::from_timestamp(seconds, 0).expect("a time");
            for times in [1, 1000, 1_000_000] {
                prop_assert_eq!(time(&json!(seconds * times), berlin()), Some(at));
            }
            prop_assert_eq!(time(&json!(seconds as f64), berlin()), Some(at));
            for text in [at.to_rfc3339(), written::iso(at, berlin()), seconds.to_string()] {
                prop_assert_eq!(time(&json!(text), berlin()), Some(at));
            }
        }
    }
}
