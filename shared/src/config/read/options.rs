//! Options of checks and actions, and secrets.

use serde_json::{Map, Value};

use crate::{
    Secret,
    config::{Fault, Path, SECRETS, near, table::Table},
};

/// A secret that stands in the configuration itself or, once its file was read, beside the key that names the file.
pub(super) fn secret(
    table: &mut Table<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Option<Secret> {
    let secret = table.secret(key).map(Secret::new);
    if table.text(file_key).is_some() && secret.is_none() {
        table.push(unread(&table.path(file_key)));
    }
    secret
}

/// The options that a type has, of those that were given: without nulls, which mean the default, and without the keys
/// that name files of secrets. Unknown ones are warned of.
pub(super) fn known(
    given: &Map<String, Value>,
    path: &Path,
    options: &[&'static str],
    faults: &mut Vec<Fault>,
) -> Map<String, Value> {
    let mut known = Map::new();
    for (key, value) in given {
        if options.contains(&key.as_str()) {
            if !value.is_null() {
                known.insert(key.clone(), value.clone());
            }
        } else if let Some(secret) = secret_of(key).filter(|secret| options.contains(secret)) {
            if !value.is_null() && given.get(secret).is_none_or(Value::is_null) {
                faults.push(unread(&path.key(key)));
            }
        // The original keeps there how far it has read a file.
        } else if !(key.starts_with('_') || key == "timezone") {
            let right = match near::nearest(key, options.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "it is kept in the file and does nothing".into(),
            };
            faults.push(Fault::warning(path.key(key), "unknown option of this type", right));
        }
    }
    known
}

/// The key of the secret whose file a key names.
fn secret_of(key: &str) -> Option<&str> {
    key.strip_suffix("_file").filter(|key| SECRETS.contains(key))
}

fn unread(path: &Path) -> Fault {
    Fault::error(
        path.clone(),
        "the secret was not read from its file",
        "a file with the secret in it",
    )
}
