//! The form of a trigger in the config: `{"interval": {"minutes": 5}}`, `{"cron": {"hour": "9-17"}}`.

use crate::Tz;
use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::{Map, Value};

use super::bound::Bound;
use super::cron::Cron;
use super::error::TriggerError;
use super::field::FIELDS;
use super::interval::Interval;
use super::keys::Kind;
use super::{Schedule, Trigger, zone};

/// Lengths of an interval's units. Seconds.
const UNITS: [(&str, f64); 5] = [
    ("weeks", 604_800.0),
    ("days", 86_400.0),
    ("hours", 3_600.0),
    ("minutes", 60.0),
    ("seconds", 1.0),
];

impl Trigger {
    /// Reads a trigger from the config. Numbers may be strings too, and a value that is null counts as absent.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn from_json(value: &Value) -> Result<Trigger, TriggerError> {
        let shape = || TriggerError::Shape { found: value.to_string() };
        let mut entries = value.as_object().ok_or_else(shape)?.iter();
        let (Some((name, given)), None) = (entries.next(), entries.next()) else {
            return Err(shape());
        };
        let kind = [Kind::Interval, Kind::Cron].into_iter().find(|kind| kind.name() == name);
        Trigger::compile(kind.ok_or_else(shape)?, given.as_object().ok_or_else(shape)?.clone())
    }

    /// The trigger as it was written.
    pub fn to_json(&self) -> Value {
        let mut outer = Map::new();
        outer.insert(self.kind().name().into(), Value::Object(self.given.clone()));
        Value::Object(outer)
    }

    pub(super) fn compile(kind: Kind, given: Map<String, Value>) -> Result<Trigger, TriggerError> {
        if let Some(key) =
            given.keys().find(|key| !kind.keys().iter().any(|known| known.name == **key))
        {
            return Err(TriggerError::UnknownKey {
                kind: kind.name(),
                key: key.clone(),
                known: kind.names(),
            });
        }
        let schedule = match kind {
            Kind::Interval => Schedule::Interval(interval(&given)?),
            Kind::Cron => Schedule::Cron(Box::new(cron(&given)?)),
        };
        Ok(Trigger { schedule, given })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.schedule {
            Schedule::Interval(_) => Kind::Interval,
            Schedule::Cron(_) => Kind::Cron,
        }
    }

    /// The values as written.
    pub(super) fn given(&self) -> &Map<String, Value> {
        &self.given
    }
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.kind().name(), &self.given)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Trigger, D::Error> {
        Trigger::from_json(&Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn interval(given: &Map<String, Value>) -> Result<Interval, TriggerError> {
    let mut seconds = 0.0;
    for (key, unit) in UNITS {
        seconds += amount(given, key)?.unwrap_or(0.0) * unit;
    }
    let mut interval = Interval::new(seconds)?;
    interval.zone = own_zone(given)?;
    // An interval counts from its check's first run; a start is carried in the config but, as in the original, moves nothing.
    bound(given, "start_date")?;
    interval.end = bound(given, "end_date")?;
    interval.jitter = jitter(given)?;
    Ok(interval)
}

fn cron(given: &Map<String, Value>) -> Result<Cron, TriggerError> {
    let mut fields: [Option<String>; 8] = Default::default();
    for (kind, field) in FIELDS.iter().zip(&mut fields) {
        *field = match present(given, kind.key) {
            None => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(other) => {
                return Err(wrong(
                    kind.key,
                    other,
                    "a number such as `5` or a text such as `\"1-5\"`",
                ));
            }
        };
    }
    // APScheduler 3 would fire every second, which nobody means by writing nothing.
    if fields.iter().all(Option::is_none) {
        return Err(TriggerError::Empty);
    }
    let mut cron = Cron::new(&fields)?;
    cron.zone = own_zone(given)?;
    cron.start = bound(given, "start_date")?;
    cron.end = bound(given, "end_date")?;
    cron.jitter = jitter(given)?;
    Ok(cron)
}

fn own_zone(given: &Map<String, Value>) -> Result<Option<Tz>, TriggerError> {
    match present(given, "timezone") {
        None => Ok(None),
        Some(Value::String(name)) => zone(name).map(Some),
        Some(other) => Err(wrong("timezone", other, "a name such as `Australia/Adelaide`")),
    }
}

fn bound(given: &Map<String, Value>, key: &'static str) -> Result<Option<Bound>, TriggerError> {
    match present(given, key) {
        None => Ok(None),
        Some(Value::String(text)) => Bound::parse(key, text).map(Some),
        Some(other) => Err(wrong(key, other, "a date such as `\"2027-12-31\"`")),
    }
}

fn jitter(given: &Map<String, Value>) -> Result<Option<TimeDelta>, TriggerError> {
    match amount(given, "jitter")? {
        Some(seconds) if seconds > 86_400.0 => Err(TriggerError::Value {
            key: "jitter".into(),
            found: seconds.to_string(),
            wanted: "seconds from 0 to 86400",
        }),
        seconds => {
            Ok(seconds.map(|seconds| TimeDelta::milliseconds((seconds * 1000.0).round() as i64)))
        }
    }
}

/// A number that is not negative, also when it is written as a text.
fn amount(given: &Map<String, Value>, key: &str) -> Result<Option<f64>, TriggerError> {
    let Some(value) = present(given, key) else { return Ok(None) };
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(Some(number)),
        _ => Err(wrong(key, value, "a number that is not negative, such as `5`")),
    }
}

fn present<'a>(given: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    given.get(key).filter(|value| !value.is_null())
}

fn wrong(key: &str, found: &Value, wanted: &'static str) -> TriggerError {
    TriggerError::Value { key: key.into(), found: found.to_string(), wanted }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn both_kinds_are_read_and_written_back_as_they_were() {
        for value in [
            json!({"interval": {"weeks": 1, "days": 2, "hours": 3, "minutes": 5, "seconds": 15}}),
            json!({"interval": {"seconds": "90", "minutes": 1.5, "hours": null}}),
            json!({"interval": {"minutes": 5, "start_date": "2026-01-01", "end_date": "2027-01-01 12:00:00", "timezone": "utc"}}),
            json!({"cron": {"minute": "5,25,45", "hour": "5-20", "timezone": "Australia/Adelaide", "jitter": 0}}),
            json!({"cron": {"day": 1, "hour": "1", "end_date": "2027-01-01T12:00:00+10:30"}}),
        ] {
            let trigger =
                Trigger::from_json(&value).unwrap_or_else(|fault| panic!("{value}: {fault}"));
            assert_eq!(trigger.to_json().to_string(), value.to_string());
            assert_eq!(serde_json::to_string(&trigger).expect("JSON"), value.to_string());
            assert_eq!(serde_json::from_value::<Trigger>(value).expect("the same"), trigger);
        }
    }

    #[test]
    fn faults_name_the_key_and_what_would_be_right() {
        let table = [
            (json!(5), "a trigger is {\"interval\": {...}} or {\"cron\": {...}}, but here is 5"),
            (
                json!({"every": {}}),
                "a trigger is {\"interval\": {...}} or {\"cron\": {...}}, but here is {\"every\":{}}",
            ),
            (
                json!({"interval": {}}),
                "the interval is zero, write for example `5 min` (the shortest is `1 sec`)",
            ),
            (
                json!({"interval": {"minutes": -5}}),
                "`minutes` is -5, write a number that is not negative, such as `5`",
            ),
            (
                json!({"interval": {"minutes": true}}),
                "`minutes` is true, write a number that is not negative, such as `5`",
            ),
            (
                json!({"interval": {"minute": 5}}),
                "unknown key `minute` in `interval`, it can have weeks, days, hours, minutes, seconds, start_date, end_date, timezone, jitter",
            ),
            (
                json!({"interval": {"minutes": 5, "timezone": 9}}),
                "`timezone` is 9, write a name such as `Australia/Adelaide`",
            ),
            (
                json!({"interval": {"minutes": 5, "end_date": 2027}}),
                "`end_date` is 2027, write a date such as `\"2027-12-31\"`",
            ),
            (
                json!({"interval": {"minutes": 5, "jitter": 1e9}}),
                "`jitter` is 1000000000, write seconds from 0 to 86400",
            ),
            (json!({"cron": {}}), "the trigger is empty, write for example `5 min` or `cron 3 hr`"),
            (
                json!({"cron": {"timezone": "UTC"}}),
                "the trigger is empty, write for example `5 min` or `cron 3 hr`",
            ),
            (
                json!({"cron": {"hour": 2.5}}),
                "`hour` is 2.5, write a number such as `5` or a text such as `\"1-5\"`",
            ),
            (
                json!({"cron": {"hour": 24}}),
                "hour `24`: 24 is out of range, this field goes from 0 to 23",
            ),
        ];
        for (value, wanted) in table {
            assert_eq!(Trigger::from_json(&value).expect_err("a fault").to_string(), wanted);
        }
    }

    proptest! {
        #[test]
        fn no_text_in_any_field_makes_it_panic(key in 0usize..12, text in "\\PC{0,12}") {
            let name = Kind::Cron.keys()[key].name;
            if let Ok(trigger) = Trigger::from_json(&json!({"cron": {name: text, "second": "0"}})) {
                let after = "2026-11-23T10:00:00Z".parse().expect("a time");
                let _next = trigger.next_after(after, after, Tz::UTC);
            }
        }
    }
}
