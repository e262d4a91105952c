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

/// Shortens the log, and then the list of failing members, until readers take the message.
fn fitting(mut data: Map<String, Value>) -> Map<String, Value> {
    const MEMBERS: usize = PAYLOAD_MAX / 4;
    if let Some(Value::String(members)) = data.get_mut("failState")
        && members.len() > MEMBERS
    {
        let edge = members.floor_char_boundary(MEMBERS);
        let edge = members[..edge].rfind(',').unwrap_or(edge);
        members.truncate(edge);
        members.push_str(",…");
    }
    // Escaped, a byte may become six.
    let logged = |data: &Map<String, Value>| match data.get("log") {
        Some(Value::Array(log)) => log.iter().filter_map(Value::as_str).map(str::len).sum(),
        _ => 0_usize,
    };
    while logged(&data) > PAYLOAD_MAX / 16
        && Value::Object(data.clone()).to_string().len() > PAYLOAD_MAX / 2
    {
        match data.get_mut("log") {
            Some(Value::Array(log)) if !log.is_empty() => log.truncate(log.len() / 2),
            _ => break,
        }
    }
    data
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
