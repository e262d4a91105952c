//! The version 1 message as the original judges it, field by field.

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// The fields of a message's `data`, in the original's order.
pub const FIELDS: [&str; 9] = [
    "threshold",
    "failState",
    "failCount",
    "log",
    "softFail",
    "lastCheck",
    "lastFail",
    "lastPass",
    "level",
];

/// Checks that `message` has every field the original sends, each with a type the original sends.
///
/// # Errors
/// Names the field that is missing or of another type, and its value.
pub fn check(message: &Value) -> Result<()> {
    for key in ["name", "type"] {
        ensure!(message[key].is_string(), "`{key}` is {}", message[key]);
    }
    let data = message["data"].as_object().context("`data` is no object")?;
    for field in FIELDS {
        let value = data.get(field).with_context(|| format!("`{field}` is missing"))?;
        ensure!(has_its_type(field, value), "`{field}` is {value}");
    }
    Ok(())
}

fn has_its_type(field: &str, value: &Value) -> bool {
    match field {
        "threshold" | "failCount" => value.is_u64(),
        "failState" => value.is_boolean() || value.is_string(),
        "log" => value.as_array().is_some_and(|lines| lines.iter().all(Value::is_string)),
        "lastCheck" | "lastFail" | "lastPass" => value.is_null() || is_time(value),
        _ => value.is_null() || value.is_string(),
    }
}

/// ISO 8601 with an offset, as Python's `isoformat` writes it.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok())
}

/// What two programs must agree on about one check: `data` without the fields only one of them knows.
pub fn shared(data: &Value) -> Map<String, Value> {
    FIELDS
        .iter()
        .map(|&field| (field.to_owned(), data.get(field).cloned().unwrap_or(Value::Null)))
        .collect()
}
