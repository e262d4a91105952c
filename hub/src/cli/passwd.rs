//! `fletchck passwd [USER]`.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use fletchck_agent::{
    config::{edit, load},
    say,
};
use fletchck_shared::Secret;
use serde_json::{Map, Value, json};

use super::terminal;
use crate::password;

/// Sets the password of a user of the pages, and makes the user if there is none of that name.
///
/// # Errors
/// The site has no pages, the password is too short, or the configuration cannot be changed. Nothing is changed then.
pub fn passwd(path: &Path, user: &str) -> Result<()> {
    ensure!(!user.is_empty(), "a user has a name; the empty one stands for unknown users");
    // What can fail fails before anyone types a password.
    let loaded = load(path)?;
    let pages = loaded.document.get("webui").is_some_and(Value::is_object);
    ensure!(pages, "{} has no `webui` section, so it has no users", path.display());
    set(path, user, &terminal::new_password(user)?)?;
    say::out(&format!("password of `{user}` set in {}\n", path.display()))?;
    Ok(())
}

fn set(path: &Path, user: &str, password: &Secret) -> Result<()> {
    let hash = password::hash(password)?;
    let change = |map: &mut Map<String, Value>| {
        let users = map.get_mut("webui").and_then(Value::as_object_mut).map(|webui| {
            let users = webui.entry("users").or_insert_with(|| json!({}));
            if !users.is_object() {
                *users = json!({});
            }
            users
        });
        if let Some(users) = users {
            users[user] = hash.reveal().into();
        }
    };
    let written = edit(path, change).context("the password is the old one")?;
    ensure!(written, "{} changed meanwhile and has no `webui` section", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_password_is_set_and_everything_else_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.conf");
        fs::write(&path, r#"{"x": 1, "webui": {"users": null, "y": 2}}"#).expect("written");
        set(&path, "ann", &Secret::new("correct horse")).expect("set");
        let saved: Value = serde_json::from_slice(&fs::read(&path).expect("saved")).expect("JSON");
        assert_eq!((&saved["x"], &saved["webui"]["y"]), (&json!(1), &json!(2)));
        let hash = saved["webui"]["users"]["ann"].as_str().expect("a hash");
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        fs::write(&path, "{}").expect("written");
        passwd(&path, "ann").expect_err("no pages");
        assert_eq!(fs::read(&path).expect("untouched"), b"{}");
    }
}
