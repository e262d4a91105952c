//! A site as the original keeps it: the configuration with the runtime data of every check in it.

use std::path::Path;

use fletchck_shared::{State, config::Site, time, wire::Data};
use serde_json::{Map, Value, json};

use crate::{
    config::{self, Loaded, host_zone},
    service::store_path,
    store::{Past, RemoteRow, Store},
};

/// The document of a site in the original's format, with `data` as of now. Keys that only this program knows stay in it;
/// the original carries them. Passwords from elsewhere than the file are not in it.
///
/// # Errors
/// It is no configuration, or the store cannot be read.
pub fn export(path: &Path) -> anyhow::Result<Value> {
    let loaded = config::load(path)?;
    let past = Store::read_past(&store_path(&loaded.path))?;
    Ok(document(&loaded, &past))
}

fn document(loaded: &Loaded, past: &Past) -> Value {
    let mut document = loaded.document.clone();
    let site = &loaded.site;
    if !matches!(document.get("checks"), Some(Value::Object(_))) {
        document.insert("checks".into(), Value::Object(Map::new()));
    }
    let Some(Value::Object(checks)) = document.get_mut("checks") else {
        return Value::Object(document);
    };
    for (name, check) in &site.checks {
        let stored = past.checks.get(name).map(|row| &row.state).or(check.seed.as_ref());
        if let (Some(Value::Object(entry)), Some(state)) = (checks.get_mut(name.as_str()), stored) {
            let kind = check.sub_kind.as_ref().unwrap_or(&check.kind);
            entry.insert("data".into(), data(state, kind, site));
        }
    }
    let mut added: Vec<_> = past.remotes.iter().filter(|(_, row)| row.added).collect();
    added.sort_by_key(|(name, _)| *name);
    for (name, row) in added {
        if !checks.contains_key(name.as_str()) {
            let state = past.checks.get(name).map(|row| row.state.clone()).unwrap_or_default();
            checks.insert(name.as_str().to_owned(), remote(row, &state, site));
        }
    }
    Value::Object(document)
}

fn remote(row: &RemoteRow, state: &State, site: &Site) -> Value {
    json!({
        "type": "remote",
        "subType": row.kind,
        "remoteId": row.remote_id,
        "actions": site.fleet.actions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "data": data(state, row.kind.as_deref().unwrap_or("remote"), site),
    })
}

fn data(state: &State, kind: &str, site: &Site) -> Value {
    let zone = site.timezone.unwrap_or_else(host_zone);
    let mut data = Data::write(state, kind == "sequence", zone);
    let heard = state.last_update.map_or(Value::Null, |at| time::iso(at, zone).into());
    data.insert("lastUpdate".into(), heard);
    Value::Object(data)
}
