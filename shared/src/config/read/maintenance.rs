//! The `maintenance` section: times at which nobody is told of some checks, as the owner has written them down.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{ZONE_RIGHT, zone};
use crate::{
    Tz,
    config::{Fault, Path, table::Table},
    policy::{Pattern, Silence, SilenceKind, Span, When},
    schedule::Trigger,
    time,
};

/// Reads every window. `{"checks": "web*", "start": "…", "end": "…"}` for one, and `{"cron": {…}, "duration": 7200}` for
/// one that comes again.
pub(super) fn maintenance(
    map: &Map<String, Value>,
    path: &Path,
    host: Tz,
    faults: &mut Vec<Fault>,
) -> IndexMap<String, Silence> {
    let mut windows = IndexMap::new();
    for (name, value) in map {
        match Table::of(value, path.key(name)) {
            Ok(mut table) => {
                let silence = window(name, &mut table, host);
                if let Some(silence) = silence.filter(|_| table.sound()) {
                    windows.insert(name.clone(), silence);
                }
                faults.append(&mut table.close());
            }
            Err(fault) => faults.push(fault),
        }
    }
    windows
}

fn window(name: &str, table: &mut Table<'_>, host: Tz) -> Option<Silence> {
    let given_zone = table.parse("timezone", ZONE_RIGHT, zone);
    let pattern = Pattern {
        check: table.text("checks").map(String::from),
        name: None,
        agent: table.text("agents").map(String::from),
        labels: labels(table),
    };
    let reason = table.text("reason").unwrap_or(name).to_owned();
    let when = match table.get("cron") {
        Some(cron) => again(cron, table, given_zone)?,
        None => once(table, given_zone.unwrap_or(host))?,
    };
    let by = "the configuration".into();
    Some(Silence { kind: SilenceKind::Maintenance, pattern, when, by, reason })
}

fn labels(table: &mut Table<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let path = table.path("labels");
    for (key, value) in table.object("labels").into_iter().flatten() {
        match value {
            Value::String(text) => _ = labels.insert(key.clone(), text.clone()),
            _ => table.push(Fault::error(path.key(key), "no label", "a text in quotes")),
        }
    }
    labels
}

fn again(cron: &Value, table: &mut Table<'_>, zone: Option<Tz>) -> Option<When> {
    let seconds = table.whole("duration", 1..=When::LENGTH_MAX);
    if seconds.is_none() && table.get("duration").is_none() {
        table.error("duration", "missing", "how long it lasts each time, in seconds");
    }
    let mut fields = cron.clone();
    if let (Some(zone), Some(fields)) = (zone, fields.as_object_mut()) {
        fields.entry("timezone").or_insert_with(|| zone.name().into());
    }
    let trigger = match Trigger::from_json(&json!({ "cron": fields })) {
        Ok(trigger) => Some(trigger),
        Err(e) => {
            table.error("cron", e.to_string(), "`{\"day_of_week\": \"sun\", \"hour\": 3}`");
            None
        }
    };
    let end = instant(table, "end", zone.unwrap_or(Tz::UTC));
    let seconds = u32::try_from(seconds?).ok()?;
    Some(When::Again { trigger: trigger?, seconds, end })
}

fn once(table: &mut Table<'_>, zone: Tz) -> Option<When> {
    for key in ["start", "end"] {
        if table.get(key).is_none() {
            table.error(
                key,
                "missing",
                "a time, `2026-11-29T02:00` for example, or `cron` instead",
            );
        }
    }
    let (start, end) = (instant(table, "start", zone), instant(table, "end", zone));
    let span = Span { start: start?, end: end? };
    if span.end <= span.start {
        table.error("end", "it is not after the start", "a later time");
        return None;
    }
    Some(When::Once(span))
}

fn instant(table: &mut Table<'_>, key: &'static str, zone: Tz) -> Option<DateTime<Utc>> {
    table.parse(key, "a time, `2026-11-29T02:00` for example", |text| {
        time::moment(text, zone).ok_or("it is no time")
    })
}
