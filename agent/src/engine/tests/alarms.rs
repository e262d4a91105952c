//! What is told because time has passed, while nothing happens: nothing runs in between, and nobody asks.

use std::fs;

use fletchck_shared::policy::Ack;

use super::{
    alerts::{ack, silence},
    *,
};

/// Two checks that fail, `disk` and `other`, with this policy.
fn failing(policy: &Value) -> Value {
    let mut config = with_log(json!({ "disk": volume(nowhere()), "other": volume(nowhere()) }));
    config["defaults"] = policy.clone();
    config["actions"]["boss"] = json!({ "type": "log" });
    config
}

fn nowhere() -> &'static Path {
    Path::new("/there is none")
}

/// What was told of a check, oldest first, with whom.
async fn whom(running: &Running, check: &str) -> Vec<String> {
    let check = check.to_owned();
    let read = move |db: &mut rusqlite::Connection| {
        let sql = "SELECT action || ' ' || news FROM told WHERE name = ?1 ORDER BY rowid";
        db.prepare(sql)?.query_map([check], |row| row.get(0))?.collect()
    };
    running.store.call(read).await.expect("read")
}

#[tokio::test]
async fn reminders_come_by_themselves_with_longer_and_longer_pauses() {
    let running =
        Running::start(failing(&json!({ "remind": { "every": 600, "backoff": 2, "most": 3 } })))
            .await;
    let ran = running.run("disk").await.state.last_check;
    let mut told = vec!["failed"];
    for pause in [10, 20, 40] {
        running.pass(TimeDelta::minutes(pause - 1)).await;
        assert_eq!(running.told("disk").await, told, "before {pause} minutes are over");
        running.pass(TimeDelta::minutes(1)).await;
        told.push("reminder");
        assert_eq!(running.told("disk").await, told, "after {pause} minutes");
    }
    running.pass(TimeDelta::hours(3)).await;
    assert_eq!(running.told("disk").await, told, "three, and no more");
    assert_eq!(running.view("disk").state.last_check, ran);
}

#[tokio::test]
async fn reminders_are_kept_to_over_a_restart() {
    let config = failing(&json!({ "remind": 600 }));
    let running = Running::start(config.clone()).await;
    running.run("disk").await;
    running.pass(TimeDelta::minutes(7)).await;
    let running = running.restart(config).await;
    running.pass(TimeDelta::minutes(2)).await;
    assert_eq!(running.told("disk").await, ["failed"]);
    running.pass(TimeDelta::minutes(1)).await;
    assert_eq!(running.told("disk").await, ["failed", "reminder"]);
}

#[tokio::test]
async fn a_failure_that_nobody_takes_on_is_told_to_the_next_by_itself() {
    let step = json!([{ "after": 900, "actions": ["boss"] }]);
    let running = Running::start(failing(&json!({ "escalate": step }))).await;
    running.run("disk").await;
    running.run("other").await;
    running.ask(Request::Acknowledge(name("disk"), ack())).await;
    running.pass(TimeDelta::minutes(14)).await;
    assert_eq!(whom(&running, "other").await, ["tell failed"]);
    running.pass(TimeDelta::minutes(60)).await;
    assert_eq!(whom(&running, "other").await, ["tell failed", "boss escalated"]);
    assert_eq!(whom(&running, "disk").await, ["tell failed"], "somebody has taken it on");
    running.ask(Request::TakeBack(name("disk"))).await;
    assert_eq!(whom(&running, "disk").await, ["tell failed", "boss escalated"]);
}

#[tokio::test]
async fn an_acknowledgement_that_is_over_lets_reminders_come_again() {
    let running = Running::start(failing(&json!({ "remind": 600 }))).await;
    running.run("disk").await;
    let until = Some(running.wall.now() + TimeDelta::minutes(30));
    running.ask(Request::Acknowledge(name("disk"), Ack { until, ..ack() })).await;
    running.pass(TimeDelta::minutes(29)).await;
    assert_eq!(running.told("disk").await, ["failed"]);
    running.pass(TimeDelta::minutes(1)).await;
    assert_eq!(running.told("disk").await, ["failed", "reminder"]);
    assert_eq!(running.view("disk").state.alert.ack, None);
}

#[tokio::test]
async fn a_silence_that_ends_tells_what_still_fails_without_another_run() {
    let running = Running::start(failing(&json!({}))).await;
    running.ask(Request::Silence(silence(&running, "disk", 10))).await;
    // A run takes a second of the clock.
    let ran = running.run("disk").await.state.last_check;
    running.pass(TimeDelta::minutes(9)).await;
    assert!(running.told("disk").await.is_empty());
    assert_eq!(running.board().silences().len(), 1);
    running.pass(TimeDelta::minutes(1)).await;
    assert_eq!(running.told("disk").await, ["failed"]);
    assert_eq!(running.view("disk").state.last_check, ran);
    assert!(running.board().silences().is_empty(), "it is forgotten");
}

#[tokio::test]
async fn a_check_that_goes_back_and_forth_is_told_once_as_that_and_once_when_it_is_steady() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let config = with_log(json!({ "disk": volume(&path) }));
    let mut running = Running::start(config.clone()).await;
    let back_and_forth = async |running: &Running| {
        for _ in 0..6 {
            running.run("disk").await;
            fs::create_dir(&path).expect("made");
            running.run("disk").await;
            fs::remove_dir(&path).expect("gone");
        }
    };
    back_and_forth(&running).await;
    // That it does is known over a restart.
    running = running.restart(config).await;
    back_and_forth(&running).await;
    let mut told = ["failed", "recovered"].repeat(3);
    told.push("flapping");
    assert_eq!(running.told("disk").await, told);
    fs::create_dir(&path).expect("made");
    for _ in 0..20 {
        running.run("disk").await;
    }
    told.push("steady");
    assert_eq!(running.told("disk").await, told);
    fs::remove_dir(&path).expect("gone");
    running.run("disk").await;
    told.push("failed");
    assert_eq!(running.told("disk").await, told, "it is told of as before");
}
