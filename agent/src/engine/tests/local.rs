//! Checks that run here.

use std::fs;

use super::*;

#[tokio::test]
async fn a_check_that_fails_and_recovers_is_stored_told_and_published() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let mut check = volume(&path);
    check["publish"] = "v1/disk".into();
    let running = Running::start(with_log(json!({ "disk": check }))).await;

    let view = running.run("disk").await;
    assert_eq!(view.state.word(), "fail");
    fs::create_dir(&path).expect("made");
    let view = running.run("disk").await;
    assert_eq!(view.state.word(), "pass", "{}", view.state.text);
    assert_eq!(actions(&view), ["tell"]);

    assert_eq!(running.transitions("disk").await, ["failed!", "recovered!"]);
    assert_eq!(running.undelivered().await, 0);
    let outgoing = running.outgoing().await;
    let topics: Vec<_> = outgoing.iter().map(|row| (row.topic.as_str(), row.keep)).collect();
    let fleet = "fletchck/hub-1/check/disk";
    // Both were transitions, and a transition is not replaced by a later state.
    assert_eq!(topics, [("v1/disk", true), (fleet, true), ("v1/disk", true), (fleet, true)]);
    running.run("disk").await;
    running.run("disk").await;
    assert_eq!(running.outgoing().await.len(), 6, "of two plain states the later one waits");
}

#[tokio::test]
async fn a_restart_resumes_and_tells_nothing_again() {
    let target = tempfile::tempdir().expect("folder");
    let config = with_log(json!({ "disk": volume(&target.path().join("volume")) }));
    let running = Running::start(config.clone()).await;
    let before = running.run("disk").await;
    assert_eq!(running.undelivered().await, 0);

    let running = running.restart(config).await;
    // As it is stored: how long its phases took is kept in microseconds.
    let stored = |state: &fletchck_shared::State| serde_json::to_value(state).expect("JSON");
    assert_eq!(stored(&running.view("disk").state), stored(&before.state));
    let view = running.run("disk").await;
    assert_eq!(view.state.fail_count, 2);
    assert_eq!(running.transitions("disk").await, ["failed!"]);
}

#[tokio::test]
async fn a_sequence_runs_its_members_by_priority_and_names_those_that_fail() {
    let target = tempfile::tempdir().expect("folder");
    let bad = target.path().join("nothing");
    let mut first = volume(target.path());
    first["priority"] = (-1).into();
    let mut resting = volume(&bad);
    resting["paused"] = true.into();
    let config = with_log(json!({
        "all": { "type": "sequence", "actions": ["tell"],
                 "options": { "checks": ["bad", "inner", "resting", "good"] } },
        "inner": { "type": "sequence", "options": { "checks": ["deep"] } },
        "deep": volume(target.path()),
        "bad": volume(&bad),
        "resting": resting,
        "good": first,
    }));
    let running = Running::start(config).await;
    let view = running.run("all").await;
    assert_eq!(view.state.text, "1 of 4 members fail: bad");
    let log = &view.state.log;
    assert!(log[0].starts_with("good (disk): PASS"), "{log:?}");
    assert!(log[1].starts_with("bad (disk): FAIL"), "{log:?}");
    assert!(log.iter().any(|line| line.starts_with("resting (disk): PAUSED")), "{log:?}");
    assert_eq!(running.view("deep").state.word(), "pass");
    assert_eq!(running.view("resting").state.word(), "paused");
    assert_eq!(running.transitions("all").await, ["failed!"]);
    assert_eq!(running.transitions("bad").await, ["failed!"]);
}

#[tokio::test]
async fn thousands_of_members_that_end_at_once_do_not_overflow_the_stack() {
    let members: Vec<String> = (0..5000).map(|n| format!("m{n}")).collect();
    let mut checks = serde_json::Map::new();
    for member in &members {
        checks.insert(member.clone(), json!({ "type": "disk", "paused": true }));
    }
    checks.insert("all".into(), json!({ "type": "sequence", "options": { "checks": members } }));
    let running = Running::start(json!({ "checks": checks })).await;
    assert_eq!(running.run("all").await.state.word(), "pass");
}

#[tokio::test]
async fn a_check_whose_dependency_fails_is_blocked_and_tells_nothing() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let mut hanging_on = volume(&path);
    hanging_on["depends"] = json!(["base"]);
    let running =
        Running::start(with_log(json!({ "base": volume(&path), "top": hanging_on }))).await;
    running.run("base").await;
    let view = running.run("top").await;
    assert_eq!((view.state.word(), view.state.fail_count), ("blocked", 0));
    assert_eq!(view.state.log, ["SOFTFAIL (depends=base)"]);
    fs::create_dir(&path).expect("made");
    running.run("base").await;
    assert_eq!(running.run("top").await.state.word(), "pass");
    assert!(running.transitions("top").await.is_empty());
}

#[tokio::test]
async fn a_reload_touches_only_what_changed_and_clears_what_is_gone() {
    let target = tempfile::tempdir().expect("folder");
    let mut published = volume(target.path());
    published["publish"] = "v1/old".into();
    let running = Running::start(with_log(json!({
        "same": volume(target.path()), "moved": published, "gone": volume(target.path()),
    })))
    .await;
    for check in ["same", "moved", "gone"] {
        running.run(check).await;
    }
    let before = running.view("same");
    let mut moved = volume(target.path());
    moved["publish"] = "v1/new".into();
    let after = site(&with_log(json!({ "moved": moved, "same": volume(target.path()) })));
    running.ask(Request::Reload(Box::new(after), Vec::new())).await;

    assert_eq!(running.view("same").state, before.state);
    assert_eq!(running.view("moved").state.word(), "pass", "its state is kept");
    assert!(running.board().check("gone").is_none());
    let names: Vec<_> = running.board().checks().iter().map(|v| v.name.to_string()).collect();
    assert_eq!(names, ["moved", "same"]);
    let cleared: Vec<_> = running
        .outgoing()
        .await
        .into_iter()
        .filter(|row| row.payload.is_empty())
        .map(|row| row.topic)
        .collect();
    assert_eq!(cleared, ["fletchck/hub-1/check/gone", "v1/old"]);
}

#[tokio::test]
async fn what_was_deleted_while_nothing_ran_is_cleared_at_the_start() {
    let target = tempfile::tempdir().expect("folder");
    let mut published = volume(target.path());
    published["publish"] = "v1/gone".into();
    let running = Running::start(json!({ "checks": { "gone": {
        "type": "disk", "publish": "v1/gone", "options": { "volume": target.path() },
    } } }))
    .await;
    running.run("gone").await;
    let running = running.restart(json!({ "checks": {} })).await;
    let outgoing = running.outgoing().await;
    let cleared = outgoing.iter().filter(|row| row.payload.is_empty()).map(|row| &*row.topic);
    assert_eq!(cleared.collect::<Vec<_>>(), ["v1/gone", "fletchck/hub-1/check/gone"]);
    let running = running.restart(json!({ "checks": {} })).await;
    assert_eq!(running.outgoing().await.len(), outgoing.len(), "once is enough");
}

#[tokio::test]
async fn a_store_that_refuses_keeps_no_alert_back() {
    let target = tempfile::tempdir().expect("folder");
    let config = with_log(json!({ "disk": volume(&target.path().join("nothing")) }));
    let running = Running::start(config).await;
    let refuse = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.checks
                  BEGIN SELECT raise(ABORT, 'disk full'); END";
    running.store.call(move |db| db.execute_batch(refuse)).await.expect("refuses from now on");
    let view = running.run("disk").await;
    assert_eq!(view.state.word(), "fail");
    assert!(running.transitions("disk").await.is_empty(), "nothing is stored");
    running.store.call(|db| db.execute_batch("DROP TRIGGER refuse")).await.expect("room again");
    running.run("disk").await;
    assert_eq!(running.transitions("disk").await, ["failed"], "stored with the next commit");
    assert_eq!(running.view("disk").state.alert.told.len(), 1);
    assert_eq!(running.undelivered().await, 0, "and told once, when it happened");
}

#[tokio::test]
async fn a_store_that_refuses_keeps_nothing_from_being_published() {
    let target = tempfile::tempdir().expect("folder");
    let config = with_log(json!({ "disk": volume(&target.path().join("nothing")) }));
    let running = Running::start(config).await;
    let mut again = running.board().to_say_again();
    let refuse = "CREATE TEMP TRIGGER refuse BEFORE INSERT ON main.checks
                  BEGIN SELECT raise(ABORT, 'disk full'); END";
    running.store.call(move |db| db.execute_batch(refuse)).await.expect("refuses from now on");
    running.run("disk").await;
    assert!(again.has_changed().expect("the board is there"), "all is said again");
    assert!(running.outgoing().await.is_empty(), "for nothing waits in the outbox");
    again.mark_unchanged();
    running.run("disk").await;
    assert!(!again.has_changed().expect("the board is there"), "though not with every commit");
    running.wall.pass(TimeDelta::seconds(10));
    running.run("disk").await;
    assert!(again.has_changed().expect("the board is there"));
}

#[test]
fn what_waits_for_a_store_that_refuses_is_bounded() {
    let row = |topic: usize, keep| OutgoingRow {
        topic: topic.to_string(),
        payload: Vec::new(),
        qos: 1,
        retain: true,
        keep,
    };
    let outgoing = (0..50_000).map(|n| row(n % 100, n % 2 == 0)).collect();
    let mut batch = Batch { outgoing, ..Batch::default() };
    batch.bound();
    assert_eq!(batch.outgoing.len(), 10_000);
    assert_eq!(batch.outgoing.last().map(|row| row.topic.as_str()), Some("99"));
    let plain = batch.outgoing.iter().filter(|row| !row.keep).count();
    assert_eq!(plain, 50, "of a topic the last one, unless it must arrive");
}

#[tokio::test]
async fn deliveries_that_nobody_will_make_are_forgotten_in_time() {
    let target = tempfile::tempdir().expect("folder");
    let running = Running::start(with_log(json!({
        "disk": volume(&target.path().join("nothing")),
    })))
    .await;
    running.run("disk").await;
    let add = "INSERT INTO deliveries (name, action, grp, notice, made, dead)
               SELECT name, 'gone', '', '{}', at, NULL FROM transitions UNION ALL
               SELECT name, 'tell', '', '{}', at, at FROM transitions";
    running.store.call(move |db| db.execute_batch(add)).await.expect("added");
    let tell = || vec![ActionName::try_from("tell").expect("a name")];
    let trim = async |days| {
        let now = running.wall.now() + TimeDelta::days(days);
        running.store.trim_deliveries(tell(), now).await.expect("trimmed")
    };
    assert_eq!(trim(29).await, 1, "it may come back");
    assert_eq!(trim(31).await, 0);
    assert_eq!(running.undelivered().await, 0);
}

#[tokio::test]
async fn a_run_that_begins_is_shown_and_stores_nothing() {
    // The first look at the processor takes a second.
    let slow = json!({ "slow": { "type": "cpu", "options": { "level": 100 } } });
    let running = Running::start(json!({ "checks": slow })).await;
    let changes = || running.store.call(|db| Ok(db.total_changes()));
    let before = changes().await.expect("counted");
    running.ask(Request::Run(name("slow"))).await;
    assert!(running.view("slow").running);
    assert_eq!(changes().await.expect("counted"), before);
    running.run("slow").await;
    assert!(changes().await.expect("counted") > before);
}

#[tokio::test]
async fn a_sequence_that_is_begun_anew_runs_its_members_one_after_another() {
    let config = |threshold: u32| {
        json!({ "checks": {
            "slow": { "type": "cpu", "options": { "level": 100 } },
            "quick": { "type": "memory", "options": { "level": 100 } },
            "all": {
                "type": "sequence", "threshold": threshold,
                "options": { "checks": ["slow", "quick"] },
            },
        } })
    };
    let running = Running::start(config(1)).await;
    running.ask(Request::Run(name("all"))).await;
    running.ask(Request::Reload(Box::new(site(&config(2))), Vec::new())).await;
    let view = running.run("all").await;
    assert_eq!(view.state.word(), "pass");
    assert!(running.view("slow").state.last_check <= running.view("quick").state.last_check);
}

#[tokio::test]
async fn a_check_that_is_mended_goes_on_where_it_was() {
    let target = tempfile::tempdir().expect("folder");
    let check = volume(&target.path().join("nothing"));
    let config = with_log(json!({ "disk": check }));
    let running = Running::start(config.clone()).await;
    let before = running.run("disk").await;
    // With a fault in it, it is left out.
    let mut faulty = site(&with_log(json!({})));
    faulty.left_out.insert(name("disk"));
    running.ask(Request::Reload(Box::new(faulty), Vec::new())).await;
    assert!(running.board().check("disk").is_none());
    running.ask(Request::Reload(Box::new(site(&config)), Vec::new())).await;
    assert_eq!(running.view("disk").state, before.state);
    running.run("disk").await;
    assert_eq!(running.transitions("disk").await, ["failed!"], "told once");
}

#[tokio::test]
async fn what_cannot_be_read_is_not_taken_for_deleted() {
    let target = tempfile::tempdir().expect("folder");
    let config = with_log(json!({ "disk": volume(target.path()) }));
    let running = Running::start(config.clone()).await;
    let before = running.run("disk").await;
    let mut unread = site(&with_log(json!({})));
    unread.incomplete = true;
    running.ask(Request::Reload(Box::new(unread), Vec::new())).await;
    running.ask(Request::Reload(Box::new(site(&config)), Vec::new())).await;
    assert_eq!(running.view("disk").state, before.state);
    let cleared = running.outgoing().await.into_iter().filter(|row| row.payload.is_empty());
    assert_eq!(cleared.count(), 0);
}
