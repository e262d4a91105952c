//! Lengths of time as people write them.

use chrono::TimeDelta;

/// Longest length: a year.
const MOST: i64 = 366 * 24 * 60;

/// What to write for a length of time.
pub(crate) const RIGHT: &str = "minutes, or `90m`, `2h`, `3d`, `1w`";

/// A length of time as people write it: `90m`, `2h`, `3d`, `1w`, or minutes. `None` for anything else, for nothing, and for
/// more than a year.
pub(crate) fn length(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let minutes = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "min" | "minute" | "minutes" => 1,
        "h" | "hr" | "hour" | "hours" => 60,
        "d" | "day" | "days" => 24 * 60,
        "w" | "week" | "weeks" => 7 * 24 * 60,
        _ => return None,
    };
    let all = number.checked_mul(minutes).filter(|all| (1..=MOST).contains(all))?;
    Some(TimeDelta::minutes(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_lengths_in_many_ways() {
        for (text, minutes) in
            [("90", 90), ("90m", 90), (" 2 h ", 120), ("3d", 4320), ("1 week", 10_080)]
        {
            assert_eq!(length(text), Some(TimeDelta::minutes(minutes)), "{text}");
        }
        for none in ["", "0", "-1h", "h", "2x", "9999999999999999999", "2y", "54w"] {
            assert_eq!(length(none), None, "{none}");
        }
    }
}
