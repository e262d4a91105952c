use std::{fs, os::unix::fs::PermissionsExt as _};

use fletchck_shared::{Severity, Verdict};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::checks::testing::{faults, look, probe};

async fn shell(script: &str, more: Value) -> Outcome {
    let mut options = json!({"command": ["/bin/sh", "-c", script]});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    look(&*probe("exec", options)).await
}

#[tokio::test]
async fn a_code_is_a_verdict() {
    for (script, verdict, severity, text) in [
        ("echo OK: well", Verdict::Pass, Severity::Ok, "OK: well"),
        ("true", Verdict::Pass, Severity::Ok, "`sh` ended with 0 and said nothing"),
        ("echo hm; exit 1", Verdict::Fail, Severity::Warning, "hm"),
        ("echo ill; exit 2", Verdict::Fail, Severity::Critical, "ill"),
        ("echo ill >&2; exit 2", Verdict::Fail, Severity::Critical, "ill"),
        (
            "echo usage; exit 3",
            Verdict::Fail,
            Severity::Critical,
            "usage (unknown: `sh` could not tell)",
        ),
        (
            "exit 9",
            Verdict::Fail,
            Severity::Critical,
            "`sh` ended with 9, expected 0 (pass), 1 (warning), 2 (failure) or 3 (unknown)",
        ),
        (
            "exit 127",
            Verdict::Fail,
            Severity::Critical,
            "`sh` ended with 127, as a shell does for a command that is not found",
        ),
        (
            "echo so; kill -KILL $$",
            Verdict::Fail,
            Severity::Critical,
            "`sh` was ended by SIGKILL (signal 9); it said `so`",
        ),
    ] {
        let outcome = shell(script, json!({})).await;
        assert_eq!((outcome.verdict, outcome.severity()), (verdict, severity), "{script}");
        assert_eq!(outcome.text, text, "{script}");
        assert_eq!(outcome.log[0], text);
    }
    let quiet = shell("echo hm; exit 1", json!({"warnAlerts": false})).await;
    assert_eq!((quiet.verdict, quiet.severity()), (Verdict::Pass, Severity::Warning));
}

#[tokio::test]
async fn numbers_are_level_and_log() {
    let script = "echo 'OK - fine | a=U b=0.5s;1;2'; echo more; echo complaint >&2";
    let outcome = shell(script, json!({})).await;
    assert_eq!(outcome.level.as_deref(), Some("0.5s"));
    assert_eq!(
        outcome.log,
        [
            "OK - fine",
            "more",
            "a: unknown",
            "b: 0.5s, warning over 1, critical over 2",
            "complaint"
        ]
    );
    assert_eq!(outcome.phases[0].name, "run");
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed() {
    let outcome = shell("echo so far; sleep 300", json!({"timeout": 0.3})).await;
    assert_eq!(outcome.text, "`sh` did not end within 0.3 s and was killed; it said `so far`");
}

#[tokio::test]
async fn variables_and_directory_are_the_commands_alone() {
    let dir = TempDir::new().expect("a folder");
    let options = json!({"env": {"PASS": "hunter22"}, "directory": dir.path()});
    let outcome = shell(r#"pwd; test "$PASS" = hunter22"#, options).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.text, dir.path().to_str().expect("a path"));
    assert!(!format!("{outcome:?}").contains("hunter22"));
    let without = shell("env | grep -c FLETCHCK; true", json!({})).await;
    assert_eq!(without.text, "0");
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_told_why() {
    let dir = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str, mode| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path.to_str().expect("a path").to_owned()
    };
    for (command, more, words) in [
        ("/no/such/program".to_owned(), json!({}), "does not exist: which package has it?"),
        (
            "no-such-program".to_owned(),
            json!({}),
            "is in no directory of PATH: give its whole path",
        ),
        (file("dull", "#!/bin/sh\n", 0o644), json!({}), "this user may not execute it"),
        (file("lost", "#!/no/such/shell\n", 0o755), json!({}), "its first line names"),
        (file("odd", "\u{1}\u{2}", 0o755), json!({}), "it is no program"),
        (
            "/bin/true".to_owned(),
            json!({"directory": "/no/such"}),
            "there is no directory `/no/such`",
        ),
    ] {
        let mut options = json!({"command": [command]});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let outcome = look(&*probe("exec", options)).await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert!(outcome.text.contains(words), "{}", outcome.text);
    }
}

#[test]
fn a_command_is_a_list() {
    for command in [
        json!(null),
        json!("check_load -w 5"),
        json!([]),
        json!([""]),
        json!(["./here"]),
        json!(["a", 1]),
        json!(["a", "b\u{0}"]),
    ] {
        assert_eq!(faults("exec", json!({"command": command})), ["command"], "{command}");
    }
    let options = json!({"command": ["a"], "env": {"A=B": "c"}, "directory": "d"});
    assert_eq!(faults("exec", options), ["env", "directory"]);
}
