//! Times and sizes of options as people write them, and of sentences as people read them: `26 h`, `1.5 MB`.

use std::time::Duration;

use super::Options;

/// Longest time and largest size that can be given, in seconds and bytes.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 86400.0;
const BYTES_MAX: f64 = 1e15;

/// Units of time, in seconds.
const TIMES: &[(&[&str], f64)] = &[
    (&["", "s", "sec", "second", "seconds"], 1.0),
    (&["m", "min", "minute", "minutes"], 60.0),
    (&["h", "hr", "hour", "hours"], 3600.0),
    (&["d", "day", "days"], 86400.0),
    (&["w", "week", "weeks"], 7.0 * 86400.0),
];

/// Units of size, in bytes.
const SIZES: &[(&[&str], f64)] = &[
    (&["", "b", "byte", "bytes"], 1.0),
    (&["k", "kb"], 1e3),
    (&["m", "mb"], 1e6),
    (&["g", "gb"], 1e9),
    (&["t", "tb"], 1e12),
    (&["ki", "kib"], 1024.0),
    (&["mi", "mib"], 1_048_576.0),
    (&["gi", "gib"], 1_073_741_824.0),
    (&["ti", "tib"], 1_099_511_627_776.0),
];

/// A time of any length, as seconds or as a text with a unit, if there is one.
pub(super) fn duration(options: &mut Options<'_>, name: &'static str) -> Option<Duration> {
    let right = "seconds, or a text such as \"90 min\", \"26 h\", \"7 days\"";
    read(options, name, TIMES, SECONDS_MAX, right).map(Duration::from_secs_f64)
}

/// A size in bytes, as a number or as a text with a unit, if there is one.
pub(super) fn bytes(options: &mut Options<'_>, name: &'static str) -> Option<u64> {
    let right = "bytes, or a text such as \"500 kB\", \"1.5 MB\", \"2 GiB\"";
    read(options, name, SIZES, BYTES_MAX, right).map(|bytes| bytes as u64)
}

fn read(
    options: &mut Options<'_>,
    name: &'static str,
    units: &[(&[&str], f64)],
    most: f64,
    right: &str,
) -> Option<f64> {
    if options.peek_text(name).is_none() {
        return options.number(name, 0.0..=most, right);
    }
    let text = options.text(name)?;
    let value = parse(text, units).filter(|value| (0.0..=most).contains(value));
    if value.is_none() {
        options.fault(name, format!("{text:?} cannot be read"), right);
    }
    value
}

/// A number with one of these units behind it.
fn parse(text: &str, units: &[(&[&str], f64)]) -> Option<f64> {
    let text = text.trim();
    let edge = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(edge);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, times) = units.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
    // What `parse` takes beyond digits (`inf`, `1e3`) begins with or contains a letter, which is none of the units.
    Some(number.trim().parse::<f64>().ok()? * times)
}

/// A time in words, with as many places as matter.
pub(super) fn time_words(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..120.0 => unit_words(seconds, "s"),
        ..7200.0 => unit_words(seconds / 60.0, "min"),
        ..172_800.0 => unit_words(seconds / 3600.0, "h"),
        _ => unit_words(seconds / 86400.0, "days"),
    }
}

/// A size in words, in units of 1000.
pub(super) fn size_words(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        ..1e3 => unit_words(bytes, "B"),
        ..1e6 => unit_words(bytes / 1e3, "kB"),
        ..1e9 => unit_words(bytes / 1e6, "MB"),
        ..1e12 => unit_words(bytes / 1e9, "GB"),
        _ => unit_words(bytes / 1e12, "TB"),
    }
}

/// With one place, and none where it is 0.
fn unit_words(value: f64, unit: &str) -> String {
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        for (text, seconds) in [
            ("26 h", 93600.0),
            ("90min", 5400.0),
            ("1.5 Days", 129_600.0),
            ("7", 7.0),
            (" 2 w ", 1_209_600.0),
        ] {
            assert_eq!(parse(text, TIMES), Some(seconds), "{text}");
        }
        for (text, bytes) in
            [("1 MB", 1e6), ("2GiB", 2_147_483_648.0), ("0", 0.0), ("1.5k", 1500.0)]
        {
            assert_eq!(parse(text, SIZES), Some(bytes), "{text}");
        }
        for text in ["", "h", "inf", "NaN h", "1e3", "26 fortnights", "1 h 5 min", "1,5 h"] {
            assert_eq!(parse(text, TIMES), None, "{text}");
        }
    }

    #[test]
    fn words_have_the_unit_that_fits() {
        let words = [0, 119, 120, 5400, 93_600, 172_800, 864_000]
            .map(|seconds| time_words(Duration::from_secs(seconds)));
        assert_eq!(words, ["0 s", "119 s", "2 min", "90 min", "26 h", "2 days", "10 days"]);
        let words = [0, 999, 1000, 1_540_000, 2_000_000_000, 3_100_000_000_000].map(size_words);
        assert_eq!(words, ["0 B", "999 B", "1 kB", "1.5 MB", "2 GB", "3.1 TB"]);
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_none(text in ".*") {
            let read = parse(&text, TIMES);
            prop_assert!(read.is_none_or(f64::is_finite));
        }
    }
}
