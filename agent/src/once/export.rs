//! A site as the original keeps it: all of the configuration in one document, with the runtime data of every check in it.

use std::path::Path;

use fletchck_shared::{
    State,
    config::{self as shared, SECRETS, Site},
    time,
    wire::Data,
};
use serde_json::{Map, Value, json};

use super::original;
use crate::{
    checks::file,
    config::{self, Loaded, host_zone},
    service::store_path,
    store::{Past, RemoteRow, Store},
};

/// A site for the original.
#[derive(Debug)]
pub struct Export {
    /// The document.
    pub document: Value,
    /// What is not in it, a sentence each.
    pub warnings: Vec<String>,
}

/// The document of a site in the original's format, with `data` as of now: what the file, the fragments in `conf.d` and
/// the variables say together. Keys that only this program knows stay in it; the original carries them. Secrets of
/// variables and of files of their own are not in it.
///
/// # Errors
/// It is no configuration, or the store cannot be read.
pub fn export(path: &Path) -> anyhow::Result<Export> {
    let (loaded, mut document, mut secrets) = config::load_whole(path)?;
    let past = Store::read_past(&store_path(&loaded.path))?;
    in_files(&document, &mut secrets);
    let warnings = secrets.into_iter().map(|path| {
        format!("{path} is a secret from elsewhere, which is left out; the original needs it in its file")
    });
    let mut warnings: Vec<String> = warnings.collect();
    add_data(&mut document, &loaded, &past);
    original::fit(&mut document, &loaded.faults, &mut warnings);
    Ok(Export { document: Value::Object(document), warnings })
}

/// The secrets that lie in files of their own.
fn in_files(document: &Map<String, Value>, secrets: &mut Vec<String>) {
    let root = shared::Path::root();
    let mqtt = document.get("mqtt").map(|mqtt| (root.key("mqtt"), mqtt));
    let options = ["actions", "checks"].into_iter().flat_map(|section| {
        let entries = document.get(section).and_then(Value::as_object).into_iter().flatten();
        let path = root.key(section);
        entries.filter_map(move |(name, entry)| {
            Some((path.key(name).key("options"), entry.get("options")?))
        })
    });
    for (path, map) in mqtt.into_iter().chain(options) {
        let fields = map.get("headers").and_then(Value::as_object).into_iter().flatten();
        let fields = fields.filter_map(|(key, file)| Some((key.strip_suffix("_file")?, file)));
        let fields = fields.map(|(key, file)| (path.key("headers").key(key), file));
        let keys = SECRETS.iter().filter_map(|key| Some((*key, map.get(format!("{key}_file"))?)));
        let keys = keys.map(|(key, file)| (path.key(key), file));
        let named =
            keys.chain(fields).filter(|(_, file)| file.as_str().is_some_and(|f| !f.is_empty()));
        secrets.extend(named.map(|(path, _)| path.to_string()));
    }
}

fn add_data(document: &mut Map<String, Value>, loaded: &Loaded, past: &Past) {
    let site = &loaded.site;
    if !matches!(document.get("checks"), Some(Value::Object(_))) {
        document.insert("checks".into(), Value::Object(Map::new()));
    }
    let Some(Value::Object(checks)) = document.get_mut("checks") else { return };
    for (name, check) in &site.checks {
        let stored = past.checks.get(name).map(|row| &row.state).or(check.seed.as_ref());
        if let (Some(Value::Object(entry)), Some(state)) = (checks.get_mut(name.as_str()), stored) {
            let kind = check.sub_kind.as_ref().unwrap_or(&check.kind);
            entry.insert("data".into(), data(state, kind, site));
            if let Some(kept) = state.kept.as_ref().filter(|_| check.kind == file::KIND.name) {
                let options = entry.entry("options").or_insert_with(|| json!({}));
                if let Value::Object(options) = options {
                    options.extend(file::left_off(kept));
                }
            }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_export_has_the_checks_and_actions_of_fragments_and_names_the_secrets_it_leaves_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fletchck.conf");
        let fragments = folder.path().join("conf.d");
        fs::create_dir(&fragments).expect("made");
        let main = r#"{"mqtt": {"username": "u", "password_file": "secret"},
            "checks": {"root": {"type": "disk"}}}"#;
        let more = r#"{"actions": {"tell": {"type": "log"}},
            "checks": {"ram": {"type": "memory", "actions": ["tell"]}, "root": {"threshold": 3}}}"#;
        fs::write(&path, main).expect("written");
        fs::write(fragments.join("10-more.json"), more).expect("written");
        let exported = export(&path).expect("exported");
        let checks = exported.document["checks"].as_object().expect("checks");
        assert_eq!(checks.keys().collect::<Vec<_>>(), ["root", "ram"]);
        assert_eq!(
            (&checks["root"]["type"], &checks["root"]["threshold"]),
            (&json!("disk"), &json!(3))
        );
        assert_eq!(exported.document["actions"]["tell"]["type"], "log");
        let told = exported.warnings.join("\n");
        assert!(told.starts_with("mqtt.password is a secret from elsewhere"), "{told}");
    }
}
