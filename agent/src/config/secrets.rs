//! Secrets that lie in files of their own: `password_file` instead of `password`.

use std::{
    collections::BTreeSet,
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt,
    path::{Path as FilePath, PathBuf},
};

use fletchck_shared::config::{Fault, Path, SECRETS};
use serde_json::{Map, Value};

use super::layer::Merged;

/// Largest file that is taken for a secret, in bytes.
const MAX: u64 = 64 * 1024;

/// The option with fields of a request.
const FIELDS: &str = "headers";

/// What was found while secrets were read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) warnings: Vec<Fault>,
    /// Paths of keys that name a file, and why it could not be read.
    pub(super) unread: Vec<(String, String)>,
    /// Every file that was named.
    pub(super) files: BTreeSet<PathBuf>,
}

/// Puts the content of each file that a `_file` key names beside it. Relative paths begin at `folder`.
pub(super) fn read(merged: &mut Merged, folder: &FilePath) -> Read {
    let mut read = Read::default();
    let mut map = std::mem::take(&mut merged.map);
    let root = Path::root();
    for section in ["mqtt", "heartbeat"] {
        if let Some(Value::Object(keys)) = map.get_mut(section) {
            fill(keys, &root.key(section), folder, merged, &mut read);
        }
    }
    for section in ["actions", "checks"] {
        let Some(Value::Object(entries)) = map.get_mut(section) else { continue };
        for (name, entry) in entries {
            if let Some(Value::Object(options)) = entry.get_mut("options") {
                let path = root.key(section).key(name).key("options");
                fill(options, &path, folder, merged, &mut read);
            }
        }
    }
    merged.map = map;
    read
}

fn fill(
    map: &mut Map<String, Value>,
    path: &Path,
    folder: &FilePath,
    merged: &Merged,
    read: &mut Read,
) {
    for key in SECRETS {
        one(map, key, path, folder, merged, read);
    }
    // Any field of a request may be a secret, and what it is called is up to the other side.
    if let Some(Value::Object(fields)) = map.get_mut(FIELDS) {
        let named = fields.keys().filter_map(|key| key.strip_suffix("_file"));
        let named: Vec<String> = named.filter(|key| !key.is_empty()).map(String::from).collect();
        for key in named {
            one(fields, &key, &path.key(FIELDS), folder, merged, read);
        }
    }
}

/// One secret, if a file is named for it.
fn one(
    map: &mut Map<String, Value>,
    key: &str,
    path: &Path,
    folder: &FilePath,
    merged: &Merged,
    read: &mut Read,
) {
    let file_key = format!("{key}_file");
    let Some(Value::String(file)) = map.get(&file_key).filter(|v| *v != "") else { return };
    let file_path = path.key(&file_key);
    if map.get(key).is_some_and(|secret| !secret.is_null() && secret != "") {
        // Whoever sets a variable wants it to count, whatever the file says.
        let set = merged.origin(path.key(key).as_str()).is_some_and(|o| o.contains(super::PREFIX));
        if set {
            return;
        }
        let wrong = format!("`{key}` is given as well, and the file counts");
        read.warnings.push(Fault::warning(file_path.clone(), wrong, "keep one of them"));
    }
    let file = folder.join(file);
    read.files.insert(file.clone());
    match secret(&file) {
        Ok((secret, open)) => {
            if open {
                let wrong = format!("everyone on this machine can read {}", file.display());
                let right = format!("`chmod 600 {}`", file.display());
                read.warnings.push(Fault::warning(file_path, wrong, right));
            }
            map.insert(key.into(), secret.into());
        }
        Err(why) => {
            // The secret beside it is an older one, most likely: rather no part than a locked account.
            map.remove(key);
            let why = format!("cannot use {}: {why}", file.display());
            read.unread.push((file_path.into(), why));
        }
    }
}

/// The secret in a file, and whether everyone can read it.
fn secret(path: &FilePath) -> Result<(String, bool), String> {
    let file = fs::File::open(path).map_err(|e| e.to_string())?;
    let about = file.metadata().map_err(|e| e.to_string())?;
    if !about.is_file() {
        return Err("it is no file".into());
    }
    let mut text = String::new();
    file.take(MAX + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MAX {
        return Err(format!("it is longer than {MAX} bytes"));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("it is empty".into());
    }
    Ok((text.into(), about.permissions().mode() & 0o007 != 0))
}
