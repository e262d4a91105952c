//! The message that a check's state travels in, over version 1 topics and over fleet topics alike.

use serde_json::{Map, Value};

use super::{Data, PAYLOAD_MAX, data};
use crate::{AgentId, CheckName, NameError, State, Tz, state::Report};

/// Version of the message as it is written here: the original's fields, and newer ones beside them.
pub const VERSION: u32 = 2;

/// Longest type of a check that is taken from outside, in bytes.
const KIND_MAX: usize = 64;

/// The state of one check, as it travels.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The check's name at its agent.
    pub name: CheckName,
    /// The check's type at its agent.
    pub kind: String,
    /// The agent that runs it. The original does not say.
    pub agent: Option<AgentId>,
    /// Whether its own failures are to be told. `false` for a member of a sequence that has no actions of its own: the
    /// sequence tells.
    pub alerts: bool,
    /// Its state.
    pub report: Report,
}

/// Why a message was not taken. The text is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// More bytes than any state has.
    #[error("{0} bytes, more than the {PAYLOAD_MAX} allowed")]
    TooLong(usize),
    /// Not JSON, or not UTF-8.
    #[error("not JSON: {0}")]
    Json(String),
    /// JSON of another shape.
    #[error("{0}")]
    Shape(String),
    /// Its name is no name of a check.
    #[error("its name is none")]
    Name(#[source] NameError),
}

impl Message {
    /// Reads a payload. Keys it does not know are ignored, so that the format can grow. Times without an offset are in
    /// `zone`.
    ///
    /// # Errors
    /// Why the message was not taken; nothing of it must be used then.
    pub fn parse(payload: &[u8], zone: Tz) -> Result<Self, Rejected> {
        if payload.len() > PAYLOAD_MAX {
            return Err(Rejected::TooLong(payload.len()));
        }
        let value: Value =
            serde_json::from_slice(payload).map_err(|e| Rejected::Json(e.to_string()))?;
        let Value::Object(map) = &value else {
            return Err(Rejected::Shape(format!("{}, wanted an object", data::kind(&value))));
        };
        let name = CheckName::try_from(string(map, "name")?).map_err(Rejected::Name)?;
        let kind = string(map, "type")?;
        if kind.is_empty() || kind.len() > KIND_MAX || kind.chars().any(char::is_control) {
            return Err(Rejected::Shape("`type` is no type of a check".into()));
        }
        let agent = match map.get("agent") {
            None | Some(Value::Null) => None,
            Some(_) => Some(
                AgentId::try_from(string(map, "agent")?)
                    .map_err(|e| Rejected::Shape(format!("`agent`: {e}")))?,
            ),
        };
        let data = map.get("data").ok_or_else(|| Rejected::Shape("`data` is missing".into()))?;
        let Data(report) = Data::read(data, zone).map_err(Rejected::Shape)?;
        let alerts = map.get("alerts") != Some(&Value::Bool(false));
        Ok(Self { name, kind: kind.to_owned(), agent, alerts, report })
    }

    /// Writes the state of a check as a payload. `alerts` as in [`Message::alerts`].
    pub fn write(
        agent: Option<&AgentId>,
        name: &CheckName,
        kind: &str,
        state: &State,
        alerts: bool,
        zone: Tz,
    ) -> Vec<u8> {
        let mut map = Map::new();
        map.insert("name".into(), name.as_str().into());
        map.insert("type".into(), kind.into());
        map.insert("data".into(), fitting(Data::write(state, kind == "sequence", zone)).into());
        map.insert("v".into(), VERSION.into());
        if let Some(agent) = agent {
            map.insert("agent".into(), agent.as_str().into());
        }
        if !alerts {
            map.insert("alerts".into(), false.into());
        }
        Value::Object(map).to_string().into_bytes()
    }
}

/// Shortens the list of failing members and the log, and leaves out the phases, until readers take the message.
fn fitting(mut data: Map<String, Value>) -> Map<String, Value> {
    const MEMBERS: usize = PAYLOAD_MAX / 8;
    if let Some(Value::String(members)) = data.get_mut("failState")
        && members.len() > MEMBERS
    {
        let edge = members.floor_char_boundary(MEMBERS);
        let edge = members[..edge].rfind(',').unwrap_or(edge);
        members.truncate(edge);
        members.push_str(",…");
    }
    // Escaped, a byte may become six; most messages need not be written to know that they fit.
    if data.values().map(bytes).sum::<usize>() <= PAYLOAD_MAX / 16 {
        return data;
    }
    while Value::Object(data.clone()).to_string().len() > PAYLOAD_MAX / 2 {
        match data.get_mut("log") {
            Some(Value::Array(log)) if !log.is_empty() => log.truncate(log.len() / 2),
            _ => {
                data.shift_remove("phases");
                break;
            }
        }
    }
    data
}

/// Bytes of all texts in a value, and a few for each number.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(bytes).sum(),
        Value::Object(map) => map.values().map(bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

fn string<'a>(map: &'a Map<String, Value>, key: &str) -> Result<&'a str, Rejected> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            Err(Rejected::Shape(format!("`{key}` is {}, wanted a string", data::kind(other))))
        }
        None => Err(Rejected::Shape(format!("`{key}` is missing"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        Phase, Severity,
        policy::{Alert, Hidden, HiddenBy},
        state::{Condition, Failure, Rule, Seen, step},
    };

    static ZONE: LazyLock<Tz> = LazyLock::new(|| "America/St_Johns".parse().expect("a zone"));

    fn parse(value: &Value) -> Result<Message, Rejected> {
        Message::parse(value.to_string().as_bytes(), *ZONE)
    }

    fn of(data: Value) -> Value {
        json!({ "name": "x", "type": "disk", "data": data })
    }

    #[test]
    fn phases_that_nobody_can_add_up_are_refused() {
        let phases = |phases: Value| parse(&of(json!({ "failState": false, "phases": phases })));
        assert!(
            phases(json!([{ "name": "dns", "ms": 0.5 }, { "name": "tls", "ms": 3e10 }])).is_ok()
        );
        for wrong in [
            json!([{ "name": "dns", "ms": 1.8e22 }, { "name": "tls", "ms": 1.8e22 }]),
            json!([{ "name": "dns", "ms": 1e300 }]),
            json!([{ "name": "dns", "ms": -1 }]),
            json!([{ "name": "x".repeat(1000), "ms": 1 }]),
            json!(vec![json!({ "name": "dns", "ms": 1 }); 1000]),
        ] {
            assert!(phases(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_taken_is_not_too_long_to_be_published_again() {
        let long = "\"".repeat(1000);
        let phases = vec![json!({ "name": "\u{1}".repeat(80), "ms": 1 }); 120];
        let members = vec!["\"a\""; 6000].join(",");
        for data in [
            json!({ "failState": members, "text": long, "level": long, "softFail": long }),
            json!({ "failState": true, "phases": phases, "text": long }),
            json!({ "failState": true, "log": vec!["\u{1}".repeat(50); 200], "phases": phases[..9] }),
        ] {
            let message = parse(&of(data)).expect("it is taken");
            let seen = Seen::Reported(&message.report, DateTime::UNIX_EPOCH);
            let (state, _) = step(&Rule::default(), &State::default(), seen);
            let written = Message::write(None, &message.name, "sequence", &state, true, *ZONE);
            assert!(Message::parse(&written, *ZONE).is_ok(), "{} bytes", written.len());
        }
        let control = json!({ "failState": "a\u{1}b" });
        assert!(parse(&of(control)).is_err());
    }

    /// An older reader would take a failure of the severity `warning` for one that dependents need not mind.
    #[test]
    fn a_failure_that_its_owner_calls_a_warning_fails_for_whoever_does_not_know_of_that() {
        let condition = Condition::Fail(Failure::Whole);
        for (grade, written) in [
            (Some(Severity::Warning), json!("warning")),
            (Some(Severity::Critical), Value::Null),
            (None, Value::Null),
        ] {
            let state = State { condition: condition.clone(), grade, ..State::default() };
            let name = CheckName::try_from("x").expect("a name");
            let payload = Message::write(None, &name, "disk", &state, true, *ZONE);
            let value: Value = serde_json::from_slice(&payload).expect("JSON");
            assert_eq!(
                (&value["data"]["severity"], &value["data"]["grade"]),
                (&json!("critical"), &written)
            );
        }
        for odd in [json!("grave"), json!(3), Value::Null] {
            let message =
                parse(&of(json!({ "failState": true, "grade": odd }))).expect("it is taken");
            assert_eq!(message.report.grade, None);
        }
    }

    prop_compose! {
        fn states()(
            text in "\\PC{0,40}", log in prop::collection::vec(".{0,40}", 0..6), level in prop::option::of(".{0,9}"),
            fails in 0..4_u8, fail_count: u32, threshold in 1..9_u32, at in 0..4_000_000_000_i64,
            phases in prop::collection::vec(("[a-z]{1,8}", 0..100_000_u64), 0..6),
            why in prop::option::of("\\PC{1,40}"), warns: bool,
            by in prop::sample::select(vec![HiddenBy::Dependency, HiddenBy::Silence, HiddenBy::Flapping]),
        ) -> State {
            let condition = match fails {
                0 => Condition::Pass,
                1 => Condition::Fail(Failure::Whole),
                2 => Condition::Fail(Failure::Warning),
                _ => Condition::Fail(Failure::Members("a, b,c".into())),
            };
            let phases = phases.into_iter().map(|(name, micros)| {
                Phase { name, took: std::time::Duration::from_micros(micros) }
            });
            let hidden = why.map(|why| Hidden { by, why, until: None });
            State {
                alert: Alert { hidden, ..Alert::default() },
                grade: warns.then_some(Severity::Warning),
                condition, text, log, level, fail_count, threshold, phases: phases.collect(),
                last_check: DateTime::from_timestamp(at, 0), ..State::default()
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(state in states(), name in "[^\\p{Cc}]{1,40}", alerts: bool) {
            let name = CheckName::try_from(name).expect("made to be one");
            let written = Message::write(None, &name, "disk", &state, alerts, *ZONE);
            let message = Message::parse(&written, *ZONE).expect("it can be read");
            prop_assert_eq!((message.name, message.alerts), (name, alerts));
            let report = message.report;
            prop_assert_eq!((report.text, report.level), (state.text.clone(), state.level.clone()));
            prop_assert_eq!((report.log, report.phases), (state.log.clone(), state.phases.clone()));
            prop_assert_eq!((report.fail_count, report.threshold), (Some(state.fail_count), Some(state.threshold)));
            prop_assert_eq!(report.last_check, state.last_check);
            let held = state.alert.hidden.filter(|_| state.condition.failing());
            let held = held.and_then(|Hidden { by, why, .. }| match by {
                HiddenBy::Dependency => Some(why),
                HiddenBy::Silence => Some(format!("it is {why}")),
                HiddenBy::Flapping => None,
            });
            prop_assert_eq!(report.held, held);
            prop_assert_eq!(report.grade, state.grade);
            let failure = match state.condition {
                Condition::Fail(failure) => Some(failure),
                _ => None,
            };
            prop_assert_eq!(report.failure, failure);
        }

        #[test]
        fn no_payload_is_too_strange(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            key in "threshold|failState|failCount|log|softFail|lastCheck|level|severity|text|phases|paused|blocked",
            value in "null|true|-1|1e99|18446744073709551615|\"\\PC{0,9}\"|\\[[0-9,\"a]{0,9}\\]|\\{\\}|[0-9]{1,30}",
        ) {
            _ = Message::parse(&bytes, *ZONE);
            let text = format!("{{\"name\":\"x\",\"type\":\"disk\",\"data\":{{\"failState\":true,\"{key}\":{value}}}}}");
            if let Ok(message) = Message::parse(text.as_bytes(), *ZONE) {
                prop_assert_eq!(message.name.as_str(), "x");
            }
        }
    }
}
