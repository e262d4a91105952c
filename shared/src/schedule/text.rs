//! The text form of a trigger, for forms and spreadsheets: `interval 1 week 2 day 3 hr 5 min 15 sec`,
//! `cron 9-17 hr 20,40 min mon-fri weekday Australia/Adelaide z`.
//!
//! Pairs of a value and its unit, in any order. Without a kind in front it is an interval; a last value without a unit
//! is in minutes. The names of the config are understood as units too. A text keeps its upper and lower case.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::error::TriggerError;
use super::keys::{Key, Kind};
use super::{Trigger, zone};

impl FromStr for Trigger {
    type Err = TriggerError;

    fn from_str(text: &str) -> Result<Trigger, TriggerError> {
        let mut words = text.split_whitespace().peekable();
        let first = words.peek().ok_or(TriggerError::Empty)?;
        let kind = match Kind::from_name(first) {
            Some(kind) => {
                words.next();
                kind
            }
            None => Kind::Interval,
        };
        let mut given = Map::new();
        let mut value: Vec<&str> = Vec::new();
        for word in words {
            match kind.unit(word) {
                Some(_) if value.is_empty() => {
                    return Err(TriggerError::NoValue { unit: word.into() });
                }
                Some(key) => put(&mut given, kind, key, std::mem::take(&mut value))?,
                None => value.push(word),
            }
        }
        if !value.is_empty() {
            let minutes = kind.unit("min").expect("both kinds have minutes");
            put(&mut given, kind, minutes, value)?;
        }
        // Nothing after the kind: an interval would be zero, a calendar would fit every second.
        if given.is_empty() {
            return Err(TriggerError::Empty);
        }
        Trigger::compile(kind, given)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        for key in self.kind().keys() {
            match self.given().get(key.name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => {
                    let words: Vec<&str> = text.split_whitespace().collect();
                    write!(f, " {} {}", words.join(" "), key.unit)?;
                }
                Some(value) => write!(f, " {value} {}", key.unit)?,
            }
        }
        Ok(())
    }
}

fn put(
    given: &mut Map<String, Value>,
    kind: Kind,
    key: &'static Key,
    words: Vec<&str>,
) -> Result<(), TriggerError> {
    let text = words.join(" ");
    let value = match (kind, key.name) {
        (_, "start_date" | "end_date") => text.into(),
        // The database's own spelling, which the original needs.
        (_, "timezone") => zone(&text)?.name().into(),
        (Kind::Cron, name) if name != "jitter" => text.into(),
        _ => number(kind, key, &words)?,
    };
    match given.insert(key.name.into(), value) {
        Some(_) => Err(TriggerError::Twice { key: key.name }),
        None => Ok(()),
    }
}

/// A single number. With more than one word before the unit, the second is what should have been a unit.
fn number(kind: Kind, key: &Key, words: &[&str]) -> Result<Value, TriggerError> {
    let first = words.first().copied().unwrap_or_default();
    let whole = first.parse::<i64>().map(Value::from).ok();
    let number = whole
        .or_else(|| Some(Value::from(first.parse::<f64>().ok().filter(|part| part.is_finite())?)));
    match (number, words.get(1)) {
        (Some(number), None) => Ok(number),
        (Some(_), Some(unit)) => {
            Err(TriggerError::UnknownUnit { unit: (*unit).into(), known: kind.units() })
        }
        (None, _) => Err(TriggerError::Value {
            key: key.unit.into(),
            found: format!("`{first}`"),
            wanted: "a number, as in `5 min`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Trigger {
        text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn texts_are_read_and_written_in_one_form() {
        let table = [
            ("interval 1 week 2 day 3 hr 5 min 15 sec", "interval 1 week 2 day 3 hr 5 min 15 sec"),
            ("5", "interval 5 min"),
            ("90 seconds 1 Hours", "interval 1 hr 90 sec"),
            ("1 hr 30", "interval 1 hr 30 min"),
            ("INTERVAL 0.5 hr", "interval 0.5 hr"),
            (
                "10 min 2027-01-01 12:00:00 end australia/adelaide z",
                "interval 10 min 2027-01-01 12:00:00 end Australia/Adelaide z",
            ),
            (
                "cron 9-17 hr 20,40 min mon-fri weekday Australia/Adelaide z",
                "cron mon-fri weekday 9-17 hr 20,40 min Australia/Adelaide z",
            ),
            ("cron 2nd fri,last day 9 hr 30", "cron 2nd fri,last day 9 hr 30 min"),
            ("Cron MON-Fri day_of_week 7 hour", "cron MON-Fri weekday 7 hr"),
            ("cron 2030 year 1 month 1 day 1 week", "cron 2030 year 1 month 1 day 1 week"),
        ];
        for (text, wanted) in table {
            assert_eq!(read(text).to_string(), wanted);
            assert_eq!(read(wanted), read(text));
        }
    }

    #[test]
    fn texts_become_what_the_config_has() {
        assert_eq!(
            read("cron 9-17 hr mon-fri weekday Australia/Adelaide z").to_json(),
            json!({"cron": {"hour": "9-17", "day_of_week": "mon-fri", "timezone": "Australia/Adelaide"}})
        );
        assert_eq!(read("1 hr 30").to_json(), json!({"interval": {"hours": 1, "minutes": 30}}));
    }

    #[test]
    fn every_example_of_the_manual_is_read() {
        let manual = include_str!("../../../docs/triggers.md");
        let blocks = |fence: &'static str| {
            manual
                .split(fence)
                .skip(1)
                .filter_map(|rest| rest.split("```").next())
                .flat_map(str::lines)
        };
        let texts: Vec<&str> = blocks("```text\n").collect();
        assert!(texts.len() >= 10, "{texts:?}");
        for text in texts {
            read(text);
        }
        for object in blocks("```json\n") {
            serde_json::from_str::<Trigger>(object)
                .unwrap_or_else(|fault| panic!("{object}: {fault}"));
        }
    }

    #[test]
    fn an_upper_case_zone_survives_the_text_form() {
        let trigger =
            Trigger::from_json(&json!({"cron": {"hour": 3, "timezone": "Europe/Berlin"}}))
                .expect("a trigger");
        assert_eq!(read(&trigger.to_string()), trigger);
    }

    #[test]
    fn faults_say_what_would_be_right() {
        let table = [
            ("", "the trigger is empty, write for example `5 min` or `cron 3 hr`"),
            ("cron", "the trigger is empty, write for example `5 min` or `cron 3 hr`"),
            ("min 5", "nothing stands before `min`: the value comes first, as in `5 min`"),
            (
                "5 fortnights",
                "unknown unit `fortnights`, use week, day, hr, min, sec, start, end, z, jitter",
            ),
            ("five min", "`min` is `five`, write a number, as in `5 min`"),
            ("5 min 6 min", "`minutes` is given twice, keep one"),
            ("0 min", "the interval is zero, write for example `5 min` (the shortest is `1 sec`)"),
            ("-5 min", "`minutes` is -5, write a number that is not negative, such as `5`"),
            (
                "5 min Australia/Adelade z",
                "unknown time zone `Australia/Adelade`, did you mean `Australia/Adelaide`?",
            ),
            ("cron 25 hr", "hour `25`: 25 is out of range, this field goes from 0 to 23"),
        ];
        for (text, wanted) in table {
            assert_eq!(text.parse::<Trigger>().expect_err(text).to_string(), wanted, "{text}");
        }
    }

    /// A list of one or two expressions that the field takes.
    fn expressions(min: u32, max: u32) -> impl Strategy<Value = String> {
        let one = (min..=max, min..=max, 0..4u8).prop_map(move |(a, b, form)| match form {
            0 => a.to_string(),
            1 => "*".into(),
            2 => format!("*/{}", b.max(1).min(max - min)),
            _ => format!("{}-{}", a.min(b), a.max(b)),
        });
        prop::collection::vec(one, 1..3).prop_map(|all| all.join(","))
    }

    prop_compose! {
        fn crons()(
            day in prop::option::of(expressions(1, 28)),
            weekday in prop::option::of(expressions(0, 6)),
            hour in expressions(0, 23),
            minute in prop::option::of(expressions(0, 59)),
            zone in prop::option::of(prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"])),
            end in prop::option::of(prop::sample::select(vec!["2040-01-01", "2040-01-01 12:00:00+10:30"])),
        ) -> Value {
            let mut fields = json!({"hour": hour});
            for (key, text) in [("day", day), ("day_of_week", weekday), ("minute", minute)] {
                if let Some(text) = text { fields[key] = text.into(); }
            }
            if let Some(zone) = zone { fields["timezone"] = zone.into(); }
            if let Some(end) = end { fields["end_date"] = end.into(); }
            json!({"cron": fields})
        }
    }

    prop_compose! {
        fn intervals()(
            hours in 0u64..1000, minutes in 0u64..1000, seconds in 1u64..100_000,
            as_text in prop::bool::ANY,
        ) -> Value {
            let seconds = if as_text { json!(seconds.to_string()) } else { json!(seconds) };
            json!({"interval": {"seconds": seconds, "minutes": minutes, "hours": hours}})
        }
    }

    proptest! {
        #[test]
        fn every_trigger_survives_both_forms(value in prop_oneof![crons(), intervals()]) {
            let trigger = Trigger::from_json(&value).expect("a trigger");
            prop_assert_eq!(trigger.to_json(), value);
            let again = read(&trigger.to_string());
            prop_assert_eq!(&again, &trigger);
            prop_assert_eq!(again.to_string(), trigger.to_string());
        }

        #[test]
        fn no_text_makes_it_panic(text in "(cron |interval )?([0-9*,/a-z-]{0,8} (min|hr|day|weekday|end|z|jitter) ?){0,3}\\PC{0,10}") {
            if let Ok(trigger) = text.parse::<Trigger>() {
                prop_assert_eq!(read(&trigger.to_string()), trigger);
            }
        }
    }
}
