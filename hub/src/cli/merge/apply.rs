//! Merging what was read into a configuration.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// User that is never overwritten: whoever merges a file must not be locked out by it.
const ADMIN: &str = "admin";

/// Merges key by key, and tells what was not merged. States of checks (`data`) never are.
pub(super) fn apply(import: &Map<String, Value>, site: &mut Map<String, Value>) -> Vec<String> {
    let mut notes = Vec::new();
    for (key, from) in import {
        match (key.as_str(), from) {
            ("timezone", zone) => _ = site.insert("timezone".into(), zone.clone()),
            ("webui", Value::Object(from)) => webui(from, object(site, "webui"), &mut notes),
            ("mqtt", Value::Object(from)) => all(from, object(site, "mqtt")),
            ("actions", Value::Object(from)) => actions(from, object(site, "actions"), &mut notes),
            ("checks", Value::Object(from)) => checks(from, object(site, "checks"), &mut notes),
            ("webui" | "mqtt" | "actions" | "checks", Value::Null) => {}
            ("webui" | "mqtt" | "actions" | "checks", _) => {
                notes.push(format!("`{key}` is no object, so nothing of it was merged"));
            }
            // Where the other site lay and what happened there.
            ("base" | "log", _) => {}
            _ => notes.push(format!("`{key}` is not merged; copy it by hand if it is wanted")),
        }
    }
    notes
}

fn webui(from: &Map<String, Value>, to: &mut Map<String, Value>, notes: &mut Vec<String>) {
    for (key, value) in from {
        match (key.as_str(), value) {
            ("users", Value::Object(from)) => {
                let users = object(to, "users");
                for (user, hash) in from {
                    if user == ADMIN && users.contains_key(ADMIN) {
                        notes.push(format!("user `{ADMIN}` keeps the password it has"));
                    } else {
                        users.insert(user.clone(), hash.clone());
                    }
                }
            }
            ("users", _) => {}
            _ => _ = to.insert(key.clone(), value.clone()),
        }
    }
}

fn actions(from: &Map<String, Value>, to: &mut Map<String, Value>, notes: &mut Vec<String>) {
    for (name, value) in from {
        let Value::Object(value) = value else {
            notes.push(format!("action `{name}` is no object, so it was not merged"));
            continue;
        };
        let action = object(to, name);
        if let Some(kind) = value.get("type") {
            action.insert("type".into(), kind.clone());
        }
        if let Some(Value::Object(options)) = value.get("options") {
            all(options, object(action, "options"));
        }
    }
}

fn checks(from: &Map<String, Value>, to: &mut Map<String, Value>, notes: &mut Vec<String>) {
    let mut joins: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (name, value) in from {
        let Value::Object(value) = value else {
            notes.push(format!("check `{name}` is no object, so it was not merged"));
            continue;
        };
        let check = object(to, name);
        for (key, value) in value.iter().filter(|(key, _)| *key != "data" && *key != "inseq") {
            check.insert(key.clone(), value.clone());
        }
        let sequences = value.get("inseq").and_then(Value::as_array).into_iter().flatten();
        for sequence in sequences.filter_map(Value::as_str).filter(|name| !name.is_empty()) {
            joins.entry(sequence).or_default().push(name);
        }
    }
    for (name, members) in joins {
        let sequence = to.get_mut(name).and_then(Value::as_object_mut);
        match sequence {
            Some(check) if check.get("type") == Some(&json!("sequence")) => {
                let options = object(check, "options");
                let list = options.entry("checks").or_insert_with(|| json!([]));
                if !list.is_array() {
                    *list = json!([]);
                }
                let list = list.as_array_mut().expect("made one");
                for member in members {
                    if !list.iter().any(|there| there == member) {
                        list.push(member.into());
                    }
                }
            }
            Some(_) => notes.push(format!("`{name}` is no sequence, so nothing was added to it")),
            None => notes.push(format!("there is no sequence `{name}` to add checks to")),
        }
    }
}

fn all(from: &Map<String, Value>, to: &mut Map<String, Value>) {
    for (key, value) in from {
        to.insert(key.clone(), value.clone());
    }
}

/// The object of a key, made if there is none.
fn object<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made one")
}
