//! The `data` of a check: its state as messages carry it and as saved sites keep it. The fields and their types are
//! the original's; newer ones stand beside them.

use std::{borrow::Cow, time::Duration};

use serde_json::{Map, Value};

use crate::{
    Phase, Severity, State, Tz,
    outcome::{LINE_BYTES, LOG_LINES},
    policy::{Alert, HiddenBy},
    state::{Condition, Cover, Failure, Report},
    time,
};

/// Longest log that is taken from outside, in lines. The original does not bound its own.
const LINES_MAX: usize = 4 * LOG_LINES;

/// Most phases that are sent and taken.
const PHASES_MAX: usize = 128;

/// Longest phase that is taken from outside: no run lasts a year.
const PHASE_MAX: Duration = Duration::from_secs(365 * 86_400);

/// The `data` object of a message or of a check in a saved site.
#[derive(Clone, Debug, PartialEq)]
pub struct Data(pub Report);

impl Data {
    /// Reads a `data` object by the original's rules. Times without an offset are in `zone`.
    ///
    /// # Errors
    /// Which field is not what it must be, in words for the log.
    pub fn read(value: &Value, zone: Tz) -> Result<Self, String> {
        let Value::Object(map) = value else {
            return Err(format!("`data` is {}, wanted an object", kind(value)));
        };
        let failure = match map.get("failState") {
            None => return Err("`data.failState` is missing".into()),
            Some(Value::Bool(fails)) => fails.then_some(Failure::Whole),
            Some(Value::String(members)) if members.is_empty() => None,
            Some(Value::String(members)) if members.contains(char::is_control) => {
                return Err("`data.failState` has a control character, which no name has".into());
            }
            Some(Value::String(members)) => Some(Failure::Members(members.clone())),
            Some(Value::Null) => None,
            Some(other) => {
                let found = kind(other);
                return Err(format!("`data.failState` is {found}, wanted a bool or a string"));
            }
        };
        let warning = map.get("severity").and_then(Value::as_str) == Some("warning");
        let failure = failure.map(|failure| match failure {
            Failure::Whole if warning => Failure::Warning,
            other => other,
        });
        let soft_fail = text(map, "softFail")?;
        let log = lines(map)?;
        let blocked = match text(map, "blocked")? {
            Some(by) => Some(by),
            None => soft_fail.clone().filter(|by| {
                matches!(log.as_slice(), [line] if *line == format!("SOFTFAIL (depends={by})"))
            }),
        };
        Ok(Self(Report {
            failure,
            fail_count: count(map, "failCount")?,
            threshold: count(map, "threshold")?.map(|n| n.max(1)),
            paused: map.get("paused") == Some(&Value::Bool(true))
                || log.as_slice() == ["PAUSED".to_owned()],
            blocked,
            held: text(map, "held")?,
            grade: grade(map),
            warning,
            text: text(map, "text")?.unwrap_or_default(),
            level: text(map, "level")?,
            soft_fail,
            phases: phases(map)?,
            last_check: when(map, "lastCheck", zone)?,
            last_fail: when(map, "lastFail", zone)?,
            last_pass: when(map, "lastPass", zone)?,
            log,
        }))
    }

    /// Writes a state as `data`, times with the offset of `zone`. `sequence` says whether the check is one: the original
    /// gives those an empty text where others have `false`.
    pub fn write(state: &State, sequence: bool, zone: Tz) -> Map<String, Value> {
        let when = |at: Option<_>| at.map_or(Value::Null, |at| time::iso(at, zone).into());
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::from);
        let mut map = Map::new();
        map.insert("threshold".into(), state.threshold.max(1).into());
        map.insert("failState".into(), fail_state(state, sequence));
        map.insert("failCount".into(), state.fail_count.into());
        map.insert("log".into(), state.log.clone().into());
        map.insert("softFail".into(), text(&state.soft_fail));
        map.insert("lastCheck".into(), when(state.last_check));
        map.insert("lastFail".into(), when(state.last_fail));
        map.insert("lastPass".into(), when(state.last_pass));
        map.insert("level".into(), text(&state.level));
        let severity = serde_json::to_value(state.severity()).unwrap_or(Value::Null);
        map.insert("severity".into(), severity);
        if !state.text.is_empty() {
            map.insert("text".into(), state.text.clone().into());
        }
        match &state.cover {
            Some(Cover::Paused) => _ = map.insert("paused".into(), true.into()),
            Some(Cover::Blocked(by)) => _ = map.insert("blocked".into(), by.clone().into()),
            Some(Cover::Stale(_)) => _ = map.insert("stale".into(), true.into()),
            None => {}
        }
        if let Some(why) = held(state) {
            map.insert("held".into(), why.into_owned().into());
        }
        if state.grade == Some(Severity::Warning) {
            map.insert("grade".into(), "warning".into());
        }
        if !state.phases.is_empty() {
            let phases = &state.phases[..state.phases.len().min(PHASES_MAX)];
            let phases = serde_json::to_value(phases).unwrap_or(Value::Null);
            map.insert("phases".into(), phases);
        }
        map
    }

    /// The state that a saved site's `data` seeds. The original saves a check that never ran, and one that failed ever
    /// since it was made, as failing without a time of failure: it told nobody of either, so they start unknown here and
    /// the next failure is told.
    pub fn seed(self) -> State {
        let report = self.0;
        let told = report.last_fail.is_some();
        let condition = match &report.failure {
            None if report.last_pass.is_some() || report.last_check.is_some() => Condition::Pass,
            Some(failure) if told && report.reached() => Condition::Fail(failure.clone()),
            _ => Condition::Unknown,
        };
        State {
            told: told && condition.failing(),
            held: None,
            grade: report.grade,
            awaited: None,
            alert: Alert::default(),
            pass_count: 0,
            recent: 0,
            cover: report.paused.then_some(Cover::Paused),
            fail_count: report.fail_count.unwrap_or(0),
            threshold: report.threshold.unwrap_or(1),
            text: report.text,
            log: report.log,
            level: report.level,
            soft_fail: report.soft_fail,
            phases: report.phases,
            warning: report.warning,
            kept: None,
            last_check: report.last_check,
            last_update: None,
            last_fail: report.last_fail,
            last_pass: report.last_pass,
            last_good: report.last_pass,
            failing_since: report.last_fail,
            condition,
        }
    }
}

/// Why nobody is told of a failure here, where that is for the sake of something else that fails, or because people do not
/// want to hear of it. A hub, which knows no more than this machine does, tells nobody either.
pub fn held(state: &State) -> Option<Cow<'_, str>> {
    let hidden = state.alert.hidden.as_ref()?;
    let why = match hidden.by {
        HiddenBy::Dependency => hidden.why.as_str().into(),
        HiddenBy::Silence => format!("it is {}", hidden.why).into(),
        HiddenBy::Flapping => return None,
    };
    (state.condition.failing() && state.cover.is_none()).then_some(why)
}

/// What `failState` says of a state. `sequence` as in [`Data::write`].
pub fn fail_state(state: &State, sequence: bool) -> Value {
    let pass = || if sequence { Value::from("") } else { Value::Bool(false) };
    match (&state.cover, &state.condition) {
        (Some(Cover::Paused), _) => pass(),
        (Some(Cover::Blocked(_)), _) => Value::Bool(true),
        (_, Condition::Pass) => pass(),
        (_, Condition::Fail(Failure::Members(members))) => members.clone().into(),
        // What never passed is failing, in the original's eyes.
        (_, Condition::Fail(Failure::Whole | Failure::Warning) | Condition::Unknown) => {
            Value::Bool(true)
        }
    }
}

/// How grave its owner says that a failure is. Other words than these are for newer readers.
fn grade(map: &Map<String, Value>) -> Option<Severity> {
    match map.get("grade").and_then(Value::as_str)? {
        "warning" => Some(Severity::Warning),
        "critical" => Some(Severity::Critical),
        _ => None,
    }
}

fn text(map: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > 2 * LINE_BYTES => {
            Err(format!("`data.{key}` has {} bytes, more than {}", text.len(), 2 * LINE_BYTES))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`data.{key}` is {}, wanted a string or null", kind(other))),
    }
}

fn count(map: &Map<String, Value>, key: &str) -> Result<Option<u32>, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        // Beyond u32 a count is as good as u32::MAX, and below zero as good as zero.
        Some(Value::Number(n)) if n.is_i64() || n.is_u64() => {
            let n = n.as_i64().unwrap_or(i64::MAX);
            Ok(Some(u32::try_from(n.max(0)).unwrap_or(u32::MAX)))
        }
        Some(other) => Err(format!("`data.{key}` is {}, wanted an int or null", kind(other))),
    }
}

fn when(
    map: &Map<String, Value>,
    key: &str,
    zone: Tz,
) -> Result<Option<chrono::DateTime<chrono::Utc>>, String> {
    // A time in a form nobody knows is no reason to lose the state that came with it.
    Ok(text(map, key)?.and_then(|text| time::parse(&text, zone)))
}

fn phases(map: &Map<String, Value>) -> Result<Vec<Phase>, String> {
    let Some(phases) = map.get("phases") else { return Ok(Vec::new()) };
    let phases: Vec<Phase> = serde_json::from_value(phases.clone())
        .map_err(|e| format!("`data.phases` is no list of phases: {e}"))?;
    if phases.len() > PHASES_MAX {
        return Err(format!("`data.phases` has {} phases, more than {PHASES_MAX}", phases.len()));
    }
    // Two that are long enough have no sum.
    if phases.iter().any(|phase| phase.name.len() > LINE_BYTES || phase.took > PHASE_MAX) {
        return Err(format!(
            "`data.phases` has a name of more than {LINE_BYTES} bytes, or lasts more than a year"
        ));
    }
    Ok(phases)
}

fn lines(map: &Map<String, Value>) -> Result<Vec<String>, String> {
    let Some(log) = map.get("log") else { return Ok(Vec::new()) };
    let Value::Array(lines) = log else {
        return Err(format!("`data.log` is {}, wanted a list", kind(log)));
    };
    if lines.len() > LINES_MAX {
        return Err(format!("`data.log` has {} lines, more than {LINES_MAX}", lines.len()));
    }
    let line = |value: &Value| match value {
        Value::String(line) => line.clone(),
        other => other.to_string(),
    };
    Ok(lines.iter().map(line).collect())
}

/// The JSON type of a value, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(n) if n.is_f64() => "a decimal number",
        Value::Number(_) => "an int",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
