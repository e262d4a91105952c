//! Logs that grow, are rotated, cut and deleted.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::PathBuf,
};

use fletchck_shared::{Outcome, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checks::{
    Before,
    testing::{faults, look_after, probe},
};

/// A log, and a check of it from run to run.
struct Watch {
    folder: TempDir,
    options: Value,
    before: Before,
}

impl Watch {
    fn new(options: Value) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), options, before: Before::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.log")
    }

    fn append(&self, bytes: &[u8]) {
        let mut file =
            OpenOptions::new().create(true).append(true).open(self.path()).expect("a log");
        file.write_all(bytes).expect("written");
    }

    /// One run, after which the check stands as it found it.
    async fn run(&mut self) -> Outcome {
        let mut options = self.options.clone();
        options["filename"] = self.path().display().to_string().into();
        let mut outcome = look_after(&*probe("file", options), &self.before).await;
        self.before.failing = outcome.verdict == Verdict::Fail;
        if outcome.keep.is_some() {
            self.before.kept.clone_from(&outcome.keep);
        }
        outcome.text = outcome.text.replace(&*self.folder.path().to_string_lossy(), "");
        outcome
    }

    /// The sentence of one run that passes or fails.
    async fn says(&mut self, verdict: Verdict) -> String {
        let outcome = self.run().await;
        assert_eq!(outcome.verdict, verdict, "{outcome:?}");
        outcome.text
    }
}

fn both() -> Watch {
    Watch::new(json!({"failpattern": "ERROR", "passpattern": "OK"}))
}

#[tokio::test]
async fn a_failure_lasts_until_a_line_passes() {
    let mut log = both();
    log.append(b"ERROR before it was watched\n");
    assert_eq!(log.says(Verdict::Pass).await, "/app.log is read from its end on, at 28 B");
    assert_eq!(log.says(Verdict::Pass).await, "none of 0 new lines in /app.log failed");
    log.append(b"one\nERROR \x07two\nthree\n");
    let outcome = log.run().await;
    assert_eq!(outcome.text, "1 of 3 new lines in /app.log failed, the last: ERROR  two");
    assert_eq!(outcome.level.as_deref(), Some("0 pass, 1 fail"));
    log.append(b"more\n");
    let lasts = "no line in /app.log has passed since the last one that failed, 1 new line since the last run";
    assert_eq!(log.says(Verdict::Fail).await, lasts);
    log.append(b"ERROR\nOK again\n");
    let passes = "the last of 2 new lines in /app.log that matches passes: OK again";
    assert_eq!(log.says(Verdict::Pass).await, passes);
}

#[tokio::test]
async fn without_a_passpattern_a_run_without_failure_passes() {
    let mut log = Watch::new(json!({"failpattern": "ERROR"}));
    log.append(b"");
    log.says(Verdict::Pass).await;
    log.append(b"ERROR\n");
    log.says(Verdict::Fail).await;
    log.says(Verdict::Pass).await;
    let mut any = Watch::new(json!({"ignorePattern": "harmless"}));
    any.append(b"");
    any.says(Verdict::Pass).await;
    any.append(b"\n  \nharmless\n");
    any.says(Verdict::Pass).await;
    any.append(b"anything\n");
    any.says(Verdict::Fail).await;
    any.says(Verdict::Pass).await;
}

#[tokio::test]
async fn a_log_that_is_rotated_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let mut log = both();
    log.append(b"start\n");
    log.says(Verdict::Pass).await;
    log.append(b"ERROR in the old one\n");
    let old = log.folder.path().join("app.log.1");
    fs::rename(log.path(), &old).expect("renamed");
    log.append(b"nothing\n");
    let outcome = log.run().await;
    assert_eq!(outcome.text, "1 of 2 new lines in /app.log failed, the last: ERROR in the old one");
    assert!(outcome.log.last().expect("a line").starts_with("Rotated: "), "{:?}", outcome.log);
    // The old one is gone: the new one is read all the same.
    fs::rename(log.path(), log.folder.path().join("elsewhere")).expect("renamed");
    log.append(b"OK\n");
    let outcome = log.run().await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert!(outcome.log.last().expect("a line").starts_with("Replaced "), "{:?}", outcome.log);
}

#[tokio::test]
async fn a_log_that_is_cut_is_read_from_its_beginning() {
    let mut log = both();
    log.append(b"a long line to begin with\n");
    log.says(Verdict::Pass).await;
    File::create(log.path()).expect("cut");
    log.append(b"ERROR\n");
    log.says(Verdict::Fail).await;
}

#[tokio::test]
async fn a_missing_log_fails_and_is_read_whole_once_it_is_there() {
    let mut log = both();
    let outcome = log.run().await;
    assert_eq!(outcome.text, "/app.log does not exist");
    assert!(outcome.log[0].starts_with("File not found '/"), "{:?}", outcome.log);
    log.append(b"ERROR at once\n");
    log.says(Verdict::Fail).await;
    log.append(b"OK\n");
    log.says(Verdict::Pass).await;
    let hidden = log.folder.path().join("hidden");
    fs::rename(log.path(), &hidden).expect("renamed");
    log.says(Verdict::Fail).await;
    fs::rename(&hidden, log.path()).expect("renamed");
    // That it was away was no line of the log, which was well.
    assert_eq!(log.says(Verdict::Pass).await, "none of 0 new lines in /app.log failed");
}

#[tokio::test]
async fn a_line_that_is_written_in_two_parts_is_one() {
    let mut log = Watch::new(json!({"failpattern": "ERROR disk"}));
    log.append(b"");
    log.says(Verdict::Pass).await;
    log.append(b"ERROR ");
    log.says(Verdict::Pass).await;
    log.says(Verdict::Pass).await;
    log.append(b"disk\n");
    assert_eq!(
        log.says(Verdict::Fail).await,
        "1 of 1 new line in /app.log failed, the last: ERROR disk"
    );
}

#[tokio::test]
async fn ten_gigabytes_at_once_are_skipped_to_their_last_lines() {
    let mut log = both();
    log.append(b"");
    log.says(Verdict::Pass).await;
    let file = OpenOptions::new().write(true).open(log.path()).expect("a log");
    file.set_len(10_000_000_000).expect("a size");
    log.append(b"\nERROR at last\n");
    log.options["timeout"] = json!(60);
    let outcome = log.run().await;
    assert_eq!(
        outcome.text,
        "1 of 1 new line in /app.log failed, the last: ERROR at last (9.9 GB were too much to read)"
    );
    // What there is no time for is left for the next run.
    log.options["timeout"] = json!(0.001);
    file.set_len(10_050_000_000).expect("a size");
    log.append(b"\nOK\n");
    let outcome = log.run().await;
    assert!(outcome.text.contains(" are left for the next run)"), "{outcome:?}");
    log.options["timeout"] = json!(60);
    assert_eq!(log.run().await.level.as_deref(), Some("1 pass, 0 fail"));
}

#[tokio::test]
async fn the_originals_cursor_is_taken_over_once() {
    use std::os::unix::fs::MetadataExt as _;
    let mut log = both();
    log.append(b"ERROR old\nERROR new\n");
    let metadata = fs::metadata(log.path()).expect("a log");
    let path = log.path().display().to_string();
    for (key, value) in [
        ("_path", json!(path)),
        ("_ino", json!(metadata.ino())),
        ("_dev", json!(metadata.dev())),
        ("_cp", json!(10)),
    ] {
        log.options[key] = value;
    }
    assert_eq!(
        log.says(Verdict::Fail).await,
        "1 of 1 new line in /app.log failed, the last: ERROR new"
    );
    log.append(b"OK\n");
    assert_eq!(log.run().await.level.as_deref(), Some("1 pass, 0 fail"));
}

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in ["/dev/null".into(), folder.path().display().to_string()] {
        let options = json!({"filename": path});
        let outcome = look_after(&*probe("file", options), &Before::default()).await;
        assert!(outcome.text.contains("is no regular file"), "{outcome:?}");
    }
}

#[test]
fn options_are_judged() {
    assert_eq!(faults("file", json!({})), ["filename"]);
    assert_eq!(faults("file", json!({"filename": "app.log"})), ["filename"]);
    let shadowed = json!({"filename": "/a", "passpattern": "OK"});
    assert_eq!(faults("file", shadowed), ["passpattern"]);
    let nulls = json!({"filename": "/a", "_path": "/a", "_ino": null, "_dev": null, "_cp": null});
    assert_eq!(faults("file", nulls), Vec::<String>::new());
}
