use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{load_set, site};
use crate::config::{SaveError, create, edit, load, replace};

#[test]
fn a_toml_file_keeps_its_comments() {
    let folder = site(&[(
        "site.toml",
        "# mine\ntimezone = \"UTC\" # of all\n\n[checks.root] # the disk\ntype = \"disk\"\nthreshold = 2 # twice\npriority = 1\n",
    )]);
    let path = folder.path().join("site.toml");
    edit(&path, |map| {
        map["checks"]["root"]["threshold"] = json!(3);
        map["checks"]["root"]["publish"] = json!(null);
        let root = map["checks"]["root"].as_object_mut().expect("an object");
        root.shift_remove("priority");
        map["checks"]["a b"] = json!({"type": "disk", "options": {"level": 5}, "actions": ["x"]});
    })
    .expect("saved");
    insta::assert_snapshot!(fs::read_to_string(&path).expect("saved"), @r#"
    # mine
    timezone = "UTC" # of all

    [checks.root] # the disk
    type = "disk"
    threshold = 3 # twice

    [checks."a b"]
    type = "disk"
    actions = ["x"]

    [checks."a b".options]
    level = 5
    "#);
    let loaded = load_set(&folder, "site.toml", &[]);
    assert_eq!(loaded.document["checks"]["a b"]["options"]["level"], 5);
}

#[test]
fn a_save_is_private_keeps_the_old_file_and_follows_a_link() {
    let folder = site(&[("real/site.json", "{}")]);
    let real = folder.path().join("real/site.json");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("set");
    let link = folder.path().join("link.json");
    symlink("real/site.json", &link).expect("linked");
    replace(&link, b"{\"a\": 1}").expect("saved");
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert_eq!(fs::read(&real).expect("there"), b"{\"a\": 1}");
    assert_eq!(fs::read(folder.path().join("real/site.json.bak")).expect("kept"), b"{}");
    let mode = |name: &str| {
        let about = fs::metadata(folder.path().join(name)).expect("there");
        about.permissions().mode() & 0o777
    };
    assert_eq!((mode("real/site.json"), mode("real/site.json.bak")), (0o600, 0o600));
    assert_eq!(fs::read_dir(folder.path().join("real")).expect("there").count(), 2);
}

#[test]
fn a_new_configuration_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fletchck.conf");
    let map = Map::from_iter([("timezone".to_owned(), json!("UTC"))]);
    create(&path, &map).expect("saved");
    assert_eq!(load(&path).expect("read").document, map);
    assert!(!folder.path().join("fletchck.conf.bak").exists(), "there was none before");
}

#[test]
fn a_save_that_fails_says_why_and_leaves_everything_as_it_was() {
    // No user can make a file there, whatever his rights.
    let error = replace(Path::new("/proc/version"), b"{}").expect_err("not writable");
    assert!(matches!(error, SaveError::Write { .. }));
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.starts_with("cannot save /proc/version: cannot write into its folder"), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = folder.path().join("no/folder/site.json");
    replace(&nowhere, b"{}").expect_err("no folder");
    let circle = folder.path().join("circle");
    symlink("circle", &circle).expect("linked");
    replace(&circle, b"{}").expect_err("leads nowhere");
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
}

#[test]
fn changes_at_once_come_one_after_the_other() {
    let folder = site(&[("site.json", "{\"n\": 0}")]);
    let path = folder.path().join("site.json");
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let more = |map: &mut Map<String, Value>| {
                    map["n"] = json!(map["n"].as_i64().unwrap_or(0) + 1);
                };
                edit(&path, more).expect("saved");
            });
        }
    });
    assert_eq!(load(&path).expect("read").document["n"], 8);
}
