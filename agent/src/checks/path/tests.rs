//! Files and folders as they are found.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, SystemTime},
};

use fletchck_shared::{Outcome, Verdict};
use serde_json::{Value, json};

use crate::checks::testing::{faults, look, probe};

/// A file of this size that was changed so many hours ago.
fn write(path: &Path, bytes: u64, hours: u64) {
    let file = File::create(path).expect("a file");
    file.set_len(bytes).expect("a size");
    let then = SystemTime::now() - Duration::from_secs(hours * 3600);
    file.set_modified(then).expect("a time");
}

/// What is seen of a path below a folder.
async fn seen(folder: &Path, path: &str, mut options: Value) -> Outcome {
    options["path"] = format!("{}/{path}", folder.display()).into();
    let mut outcome = look(&*probe("path", options)).await;
    outcome.text = outcome.text.replace(&*folder.to_string_lossy(), "");
    outcome
}

#[tokio::test]
async fn a_backup_is_young_and_large_enough_or_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let backup = json!({"maxAge": "26 h", "minSize": "1 MB"});
    let outcome = seen(folder, "db-*.gz", backup.clone()).await;
    assert_eq!(outcome.text, "no file or folder matches /db-*.gz");
    write(&folder.join("db-1.gz"), 2_000_000, 50);
    let outcome = seen(folder, "db-*.gz", backup.clone()).await;
    assert_eq!(outcome.text, "/db-1.gz is 2.1 days old, longer than 26 h");
    write(&folder.join("db-2.gz"), 10, 3);
    let outcome = seen(folder, "db-*.gz", backup.clone()).await;
    assert_eq!(outcome.text, "/db-2.gz, the newest of 2, has 10 B, less than 1 MB");
    assert_eq!(outcome.verdict, Verdict::Fail);
    write(&folder.join("db-2.gz"), 1_500_000, 3);
    let outcome = seen(folder, "db-*.gz", backup).await;
    assert_eq!(outcome.text, "/db-2.gz, the newest of 2, is 3 h old and has 1.5 MB");
    assert_eq!((outcome.verdict, outcome.level.as_deref()), (Verdict::Pass, Some("3 h")));
    let every = json!({"maxAge": "26 h", "which": "every"});
    let outcome = seen(folder, "db-*.gz", every).await;
    assert_eq!(
        outcome.text,
        "1 of 2 are not as they must be: /db-1.gz is 2.1 days old, longer than 26 h"
    );
}

#[tokio::test]
async fn a_file_that_grows_old_or_large_is_a_warning_before_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write(&folder.join("a.gz"), 2_000_000, 3);
    write(&folder.join("b.gz"), 10, 30);
    let old = json!({"maxAge": "50 h", "warnAge": "26 h"});
    let outcome = seen(folder, "b.gz", old.clone()).await;
    assert_eq!(outcome.text, "/b.gz is 30 h old and has 10 B, over the warning at 26 h");
    assert_eq!((outcome.verdict, outcome.warning), (Verdict::Pass, true));
    let newest = seen(folder, "*.gz", old).await;
    assert!(!newest.warning, "{newest:?}");
    let every = json!({"which": "every", "warnSize": "1 MB", "warnAlerts": true});
    let outcome = seen(folder, "*.gz", every).await;
    assert_eq!(
        outcome.text,
        "all 2 that match /*.gz are as they must be, /a.gz is over the warning at 1 MB"
    );
    assert_eq!((outcome.verdict, outcome.warning), (Verdict::Fail, true));
    let late = json!({"path": "/a", "maxAge": 5, "warnAge": 5, "maxSize": 5, "warnSize": 6});
    assert_eq!(faults("path", late), ["warnAge", "warnSize"]);
}

#[tokio::test]
async fn a_queue_is_worked_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let queue =
        json!({"which": "oldest", "maxAge": 3600, "maxCount": 2, "minCount": 0, "kind": "file"});
    fs::create_dir(folder.join("sub")).expect("a folder");
    let outcome = seen(folder, "*", queue.clone()).await;
    assert_eq!((outcome.verdict, outcome.text.as_str()), (Verdict::Pass, "no file matches /*"));
    for nth in 0..3 {
        write(&folder.join(nth.to_string()), 1, nth);
    }
    let outcome = seen(folder, "*", queue).await;
    assert_eq!(
        outcome.text,
        "3 match /*, more than 2; /2, the oldest of 3, is 2 h old, longer than 60 min"
    );
    let outcome = seen(folder, "*", json!({"maxCount": 10})).await;
    assert_eq!((outcome.verdict, outcome.level.as_deref()), (Verdict::Pass, Some("4")));
}

#[tokio::test]
async fn one_file_is_there_or_must_not_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let gone = seen(folder, "flag", json!({})).await;
    assert_eq!((gone.verdict, gone.text.as_str()), (Verdict::Fail, "/flag does not exist"));
    let gone = seen(folder, "flag", json!({"exists": false})).await;
    assert_eq!(gone.text, "/flag does not exist, as it must be");
    assert_eq!(gone.verdict, Verdict::Pass);
    write(&folder.join("flag"), 0, 2);
    let there = seen(folder, "flag", json!({"exists": false})).await;
    assert_eq!(there.text, "/flag exists and must not, changed 2 h ago");
    let there = seen(folder, "flag", json!({"kind": "folder"})).await;
    assert_eq!(there.text, "/flag is there, but it is no folder");
    let no_folder = seen(folder, "flag", json!({"kind": "folder", "exists": false})).await;
    assert_eq!(no_folder.text, "/flag is there, but it is no folder, as it must be");
    assert_eq!(no_folder.verdict, Verdict::Pass);
    let sized = seen(folder, "", json!({"minSize": 1})).await;
    assert!(sized.text.contains("is a folder, which has no size"), "{sized:?}");
    // A link to nothing leads to nothing.
    symlink("nowhere", folder.join("link")).expect("a link");
    assert_eq!(seen(folder, "link", json!({})).await.text, "/link does not exist");
}

#[tokio::test]
async fn a_file_from_the_future_is_not_young() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    write(&path, 1, 0);
    let then = SystemTime::now() + Duration::from_secs(50 * 3600);
    File::options().write(true).open(&path).expect("it").set_modified(then).expect("a time");
    let outcome = seen(folder.path(), "a", json!({"maxAge": "1 h"})).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(outcome.text, "/a is dated 2.1 days ahead: which clock is wrong?");
}

#[tokio::test]
async fn what_cannot_be_looked_at_fails_either_way() {
    let long = "x".repeat(300);
    for exists in [true, false] {
        let options = json!({"path": format!("/tmp/{long}"), "exists": exists});
        let outcome = look(&*probe("path", options)).await;
        assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
        assert!(outcome.text.contains("cannot be looked at: "), "{outcome:?}");
    }
}

#[test]
fn options_are_judged() {
    for (options, wrong) in [
        (json!({}), vec!["path"]),
        (json!({"path": "a"}), vec!["path"]),
        (json!({"path": "/a/**/b"}), vec!["path"]),
        (json!({"path": "/a["}), vec!["path"]),
        (json!({"path": "/a", "maxAge": "soon", "minSize": true}), vec!["maxAge", "minSize"]),
        (json!({"path": "/a", "maxAge": "1 h", "minAge": "2 h"}), vec!["minAge"]),
        (json!({"path": "/a", "exists": false, "maxAge": "1 h"}), vec!["maxAge"]),
        (json!({"path": "/a", "which": "all", "kind": "dir"}), vec!["kind", "which"]),
        (json!({"path": "/a", "minCount": -1}), vec!["minCount"]),
    ] {
        assert_eq!(faults("path", options.clone()), wrong, "{options}");
    }
}
