//! The form of a trigger in the config: `{"interval": {"minutes": 5}}`, `{"cron": {"hour": "9-17"}}`.

use chrono::TimeDelta;
use chrono_tz::Tz;
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
