//! Answers of systemd as its program writes them, and the program itself.

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Severity, Verdict};
use serde_json::{Value, json};

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look, probe},
};

/// What is made of these options.
fn check(options: Value) -> Systemd {
    let options = options.as_object().expect("options");
    Options::read(options, KIND.options, Systemd::read).0.expect("a check")
}

/// What is said at 12:00 of a unit with these properties, beside those of one that runs, after a run that kept this.
fn said(options: Value, properties: &str, kept: Option<Value>) -> Outcome {
    let usual = "Id=web.service\nLoadState=loaded\nActiveState=active\nSubState=running\nResult=success\nNRestarts=4\n\
                 ExecMainCode=0\nExecMainStatus=0\nUnitFileState=enabled\nNeedDaemonReload=no\nConditionResult=yes\n\
                 ConditionTimestamp=Thu 2026-11-26 10:00:00 UTC\nStateChangeTimestamp=Thu 2026-11-26 10:00:00 UTC\n\
                 Type=simple\n";
    // A property that comes again counts anew.
    let units = Unit::read_all(format!("{usual}{properties}\n").as_bytes());
    let name = CheckName::try_from("web").expect("a name");
    let now: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().expect("a time");
    let before = Before { kept, ..Before::default() };
    let zone = "Europe/Vienna".parse().expect("a zone");
    let look = Look { name: &name, now, zone, before: &before };
    check(options).judge(&units[0], &look)
}

fn web() -> Value {
    json!({"unit": "web"})
}

#[test]
fn a_unit_in_the_state_that_is_expected_passes() {
    let outcome = said(web(), "", None);
    assert_eq!(outcome.text, "web.service is active (running) for 2 h");
    assert_eq!(
        (outcome.severity(), outcome.level.as_deref()),
        (Severity::Ok, Some("active (running)"))
    );
    assert_eq!(
        outcome.log,
        [
            "web.service: active (running) since 2026-11-26T11:00:00+01:00",
            "Restarts: 4",
            "Unit file: enabled"
        ]
    );
    for (expect, properties) in [
        (json!(["active"]), "ActiveState=reloading\nSubState=reload"),
        (json!("running"), ""),
        (json!(["active", "inactive"]), "ActiveState=inactive\nSubState=dead"),
        (json!(["inactive"]), "ActiveState=inactive\nSubState=dead\nResult=exec-condition"),
        (json!(["activating"]), "ActiveState=activating\nSubState=start"),
        (json!(["failed"]), "ActiveState=failed\nSubState=failed\nResult=exit-code"),
        (
            json!(["waiting"]),
            "Id=a.timer\nSubState=waiting\nNextElapseUSecRealtime=Fri 2026-11-27 00:00:00 UTC",
        ),
    ] {
        let outcome = said(json!({"unit": "web", "expect": expect}), properties, None);
        assert_eq!(outcome.severity(), Severity::Ok, "{properties}: {outcome:?}");
    }
    let masked = said(web(), "LoadState=masked", None);
    assert_eq!((masked.verdict, masked.severity()), (Verdict::Pass, Severity::Warning));
    let timer = said(web(), "Id=a.timer\nNextElapseUSecRealtime=Fri 2026-11-27 00:00:00 UTC", None);
    assert_eq!(timer.log[2], "Next run: 2026-11-27T01:00:00+01:00");
}

#[test]
fn every_other_state_is_told_with_what_to_do() {
    for (properties, text) in [
        (
            "ActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainCode=1\nExecMainStatus=203",
            "web.service has failed for 2 h, expected active: it ended with 203; see `journalctl -u web.service`",
        ),
        (
            "ActiveState=activating\nSubState=auto-restart\nResult=signal\nExecMainCode=2\nExecMainStatus=11",
            "web.service waits to be started anew, expected active: it was ended by SIGSEGV (signal 11); see \
             `journalctl -u web.service`",
        ),
        (
            "ActiveState=activating\nSubState=start",
            "web.service is activating (start) for 2 h, expected active",
        ),
        (
            "ActiveState=inactive\nSubState=dead",
            "web.service is inactive (dead) for 2 h, expected active: `systemctl start web.service`",
        ),
        (
            "ActiveState=inactive\nSubState=dead\nStateChangeTimestamp=",
            "web.service is inactive (dead), expected active: `systemctl start web.service`",
        ),
        (
            "ActiveState=inactive\nSubState=dead\nType=oneshot",
            "web.service is inactive (dead) for 2 h, expected active: it is of type oneshot and ended well, which is its rest \
             where `expect` has `inactive`",
        ),
        (
            "ActiveState=inactive\nSubState=dead\nConditionResult=no",
            "web.service is inactive (dead) for 2 h, expected active: a condition in its file kept it from being started",
        ),
        (
            "LoadState=not-found\nActiveState=inactive\nSubState=dead",
            "there is no unit web.service: is its name right, and is installed what it belongs to?",
        ),
        (
            "LoadState=masked\nActiveState=inactive\nSubState=dead",
            "web.service is masked, so that nothing can start it, expected active: `systemctl unmask web.service`",
        ),
        (
            "LoadState=bad-setting\nActiveState=inactive\nSubState=dead\n\
             LoadError=org.freedesktop.systemd1.BadUnitSetting \"Unit web.service has a bad unit file setting.\"",
            "the file of web.service cannot be used: Unit web.service has a bad unit file setting. See `systemctl status \
             web.service`",
        ),
    ] {
        let outcome = said(web(), properties, None);
        assert_eq!((outcome.verdict, &*outcome.text), (Verdict::Fail, text));
    }
    let job = json!({"unit": "web", "expect": ["active", "inactive"], "user": true});
    let outcome = said(job, "ActiveState=inactive\nSubState=dead\nResult=timeout", None);
    assert_eq!(
        outcome.text,
        "web.service is inactive (dead), but it took too long to start or to stop: see `journalctl --user -u web.service`"
    );
}

#[test]
fn restarts_are_counted_from_the_last_run() {
    let none = json!({"unit": "web", "restarts": 0});
    let first = said(none.clone(), "", None);
    assert_eq!(first.verdict, Verdict::Pass, "{first:?}");
    assert_eq!(first.keep, Some(json!({"unit": "web.service", "restarts": 4})));
    let outcome = said(none.clone(), "NRestarts=5", first.keep.clone());
    assert_eq!(
        outcome.text,
        "web.service is active (running) for 2 h, but was started anew once since the last run, expected never: see \
         `journalctl -u web.service`"
    );
    assert_eq!(outcome.log[1], "Restarts: 5, 1 since the last run");
    assert_eq!(outcome.keep, Some(json!({"unit": "web.service", "restarts": 5})));
    for (options, restarts, kept, passes) in [
        (&none, 4, first.keep.clone(), true),
        (&json!({"unit": "web", "restarts": 2}), 6, first.keep.clone(), true),
        (&json!({"unit": "web", "restarts": 2}), 7, first.keep.clone(), false),
        (&web(), 7000, first.keep.clone(), true),
        // Started by hand, which sets the count to 0, and once anew since.
        (&none, 1, first.keep.clone(), false),
        (&none, 0, first.keep.clone(), true),
        // What another unit has kept, or something else.
        (&none, 9, Some(json!({"unit": "db.service", "restarts": 4})), true),
        (&none, 9, Some(json!("4")), true),
    ] {
        let outcome = said(options.clone(), &format!("NRestarts={restarts}"), kept);
        assert_eq!(outcome.verdict == Verdict::Pass, passes, "{restarts}: {outcome:?}");
    }
    let old = said(none, "NRestarts=", None);
    assert!(old.text.ends_with("but its systemd does not count restarts: that takes version 235"));
    // A state that is wrong says more.
    let failed = said(web(), "ActiveState=failed\nNRestarts=9", first.keep);
    assert!(failed.text.starts_with("web.service has failed for 2 h"), "{failed:?}");
}

#[test]
fn a_refusal_is_put_into_words() {
    let system = Systemctl::new(false, Duration::from_secs(1));
    let user = Systemctl::new(true, Duration::from_secs(1));
    for (asked, errors, words) in [
        (
            &system,
            "System has not been booted with systemd as init system (PID 1). Can't operate.\nFailed to connect to bus: Host is down\n",
            "this machine was not started with systemd, so there are no units:",
        ),
        (
            &system,
            "Failed to connect to bus: Connection refused\n",
            "systemd does not answer: it says `Failed to connect to bus: Connection refused`",
        ),
        (
            &user,
            "Failed to connect to bus: No medium found\n",
            "has no manager of services that runs: is it the right user,",
        ),
        (
            &system,
            "Failed to connect to bus: Permission denied\n",
            "this user may not ask systemd: it says",
        ),
        (
            &system,
            "Failed to list units: Access denied\n",
            "this user may not ask systemd: it says",
        ),
        (&system, "\nFailed: \u{1b}[1mfoo\n", "`systemctl` ended with 1: Failed: \u{fffd}[1mfoo"),
        (&system, "", "`systemctl` ended with 1 and said nothing"),
    ] {
        let text = asked.refused(errors, 1);
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn this_machine_answers_within_its_time() {
    for options in
        [json!({}), json!({"unit": "no-such-unit"}), json!({"unit": "no-such-unit", "user": true})]
    {
        let outcome = look(&*probe("systemd", options.clone())).await;
        // With systemd or without: it has a sentence, and no unit has such a name.
        assert!(outcome.verdict == Verdict::Fail || options == json!({}), "{outcome:?}");
        assert!(outcome.conversation[0].starts_with("* runs systemctl "), "{outcome:?}");
        assert!(!outcome.text.contains("and said nothing"), "{outcome:?}");
    }
}

#[test]
fn options_are_judged() {
    for (options, wrong) in [
        (json!({"unit": "a b"}), vec!["unit"]),
        (json!({"unit": "a;b"}), vec!["unit"]),
        (json!({"unit": "getty@"}), vec!["unit"]),
        (json!({"unit": "a".repeat(250)}), vec!["unit"]),
        (json!({"unit": "a", "expect": []}), vec!["expect"]),
        (json!({"unit": "a", "expect": ["Active"]}), vec!["expect"]),
        (json!({"unit": "a", "ignore": ["b"]}), vec!["ignore"]),
        (json!({"unit": "a.timer", "restarts": 1}), vec!["restarts"]),
        (json!({"unit": "a-*", "restarts": 1, "expect": "active"}), vec!["expect", "restarts"]),
        (json!({"ignore": ["["]}), vec!["ignore"]),
        (json!({"unit": "a", "restarts": -1, "timeout": 0}), vec!["restarts", "timeout"]),
    ] {
        assert_eq!(faults("systemd", options.clone()), wrong, "{options}");
    }
    for right in [json!({}), json!({"unit": "*"}), json!({"unit": "backup@*", "ignore": ["a@*"]})] {
        assert_eq!(faults("systemd", right), [""; 0]);
    }
}
