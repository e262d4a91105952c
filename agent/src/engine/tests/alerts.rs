//! Whom what is told to, as the running engine does it.

use std::fs;

use fletchck_shared::{
    policy::{Ack, Pattern, Silence, SilenceKind, Span, When},
    state::Failure,
};

use super::*;

pub(super) fn ack() -> Ack {
    let at = DateTime::UNIX_EPOCH;
    let comment = "on my way".into();
    Ack { by: "ann".into(), at, comment, sticky: false, until: None, failure: None, told: false }
}

pub(super) fn silence(running: &Running, check: &str, minutes: i64) -> Box<Silence> {
    let start = running.wall.now();
    Box::new(Silence {
        kind: SilenceKind::Silence,
        pattern: Pattern { check: Some(check.into()), ..Pattern::default() },
        when: When::Once(Span { start, end: start + TimeDelta::minutes(minutes) }),
        by: "ann".into(),
        reason: "painting".into(),
    })
}

/// Three checks, each on the one before: `c` on `b` on `a`.
fn chain(target: &Path, skip: bool) -> Value {
    let mut checks = json!({});
    for (name, on) in [("a", None), ("b", Some("a")), ("c", Some("b"))] {
        let mut check = volume(&target.join(name));
        check["depends"] = on.into_iter().collect();
        check["skip"] = skip.into();
        checks[name] = check;
    }
    with_log(checks)
}

#[tokio::test]
async fn what_depends_on_a_failing_check_is_not_told_however_far_away_that_is() {
    let target = tempfile::tempdir().expect("folder");
    let make = |name: &str| fs::create_dir(target.path().join(name)).expect("made");
    make("b");
    let running = Running::start(chain(target.path(), false)).await;
    running.run("a").await;
    assert_eq!(running.told("a").await, ["failed"]);
    assert_eq!(running.run("b").await.state.word(), "pass", "it runs all the same");
    let view = running.run("c").await;
    assert_eq!(view.state.word(), "fail");
    let hidden = view.state.alert.hidden.clone().expect("hidden");
    assert_eq!(hidden.why, "it depends on `a`, which fails");
    assert!(running.told("c").await.is_empty());
    // Once all is well, what was hidden runs at once, and tells that it fails by itself.
    make("a");
    running.run("a").await;
    running.settled(|| running.view("c").state.alert.told.len() == 1).await;
    assert_eq!(running.told("c").await, ["failed"]);
}

#[tokio::test]
async fn what_a_check_depends_on_is_looked_at_before_anyone_is_told() {
    let target = tempfile::tempdir().expect("folder");
    for name in ["a", "b", "c"] {
        fs::create_dir(target.path().join(name)).expect("made");
    }
    let running = Running::start(chain(target.path(), false)).await;
    for name in ["a", "b", "c"] {
        running.run(name).await;
    }
    fs::remove_dir(target.path().join("a")).expect("gone");
    fs::remove_dir(target.path().join("b")).expect("gone");
    // `b` is the first to notice, and `a` is at fault.
    running.run("b").await;
    running.settled(|| running.view("a").state.word() == "fail").await;
    running.settle().await;
    assert_eq!(running.told("a").await, ["failed"]);
    assert!(running.told("b").await.is_empty());
    // An end is told whatever fails elsewhere, where the beginning was.
    fs::create_dir(target.path().join("a")).expect("made");
    running.run("a").await;
    running.settled(|| running.view("b").state.alert.told.len() == 1).await;
    assert_eq!(running.told("a").await, ["failed", "recovered"]);
    assert_eq!(running.told("b").await, ["failed"]);
}

#[tokio::test]
async fn a_check_that_is_to_be_skipped_does_not_run_as_in_the_original() {
    let target = tempfile::tempdir().expect("folder");
    let running = Running::start(chain(target.path(), true)).await;
    running.run("a").await;
    assert_eq!(running.run("b").await.state.word(), "blocked");
    assert_eq!(running.run("c").await.state.word(), "blocked");
    assert!(running.told("c").await.is_empty());
}

#[tokio::test]
async fn a_silence_is_kept_over_a_restart_and_ends_by_itself() {
    let target = tempfile::tempdir().expect("folder");
    let config = with_log(json!({ "disk": volume(&target.path().join("nothing")) }));
    let running = Running::start(config.clone()).await;
    running.ask(Request::Silence(silence(&running, "d*k", 10))).await;
    let view = running.run("disk").await;
    let hidden = view.state.alert.hidden.clone().expect("hidden");
    assert!(hidden.why.contains("silenced by ann") && hidden.why.ends_with(": painting"));
    let running = running.restart(config).await;
    running.run("disk").await;
    assert!(running.told("disk").await.is_empty());
    assert_eq!(running.board().silences().len(), 1);
    running.wall.pass(TimeDelta::minutes(10));
    running.run("disk").await;
    assert_eq!(running.told("disk").await, ["failed"]);
    running.ask(Request::Silence(silence(&running, "x", 1))).await;
    assert_eq!(running.board().silences().keys().collect::<Vec<_>>(), [&2], "the first is gone");
    running.ask(Request::EndSilence(2)).await;
    assert!(running.board().silences().is_empty());
}

#[tokio::test]
async fn an_acknowledgement_needs_a_failure_and_is_kept_until_it_is_over() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let config = with_log(json!({ "disk": volume(&path) }));
    let running = Running::start(config.clone()).await;
    let acknowledge = || Request::Acknowledge(name("disk"), ack());
    let refused = running.engine.handle.ask(acknowledge()).await.expect_err("it does not fail");
    assert!(refused.to_string().contains("does not fail"), "{refused}");
    running.run("disk").await;
    running.ask(acknowledge()).await;
    let running = running.restart(config).await;
    let taken = Ack { failure: Some(Failure::Whole), ..ack() };
    assert_eq!(running.view("disk").state.alert.ack, Some(taken));
    fs::create_dir(&path).expect("made");
    assert_eq!(running.run("disk").await.state.alert.ack, None);
    assert_eq!(running.told("disk").await, ["failed", "recovered"]);
}

#[tokio::test]
async fn a_failure_is_told_to_an_action_that_comes_later_and_no_end_to_one_that_never_heard() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let mut mute = volume(&path);
    mute["actions"] = json!([]);
    let running = Running::start(with_log(json!({ "disk": mute.clone() }))).await;
    running.run("disk").await;
    let told = with_log(json!({ "disk": volume(&path) }));
    running.ask(Request::Reload(Box::new(site(&told)), Vec::new())).await;
    assert_eq!(running.told("disk").await, ["failed"]);

    let running = Running::start(with_log(json!({ "disk": mute }))).await;
    running.run("disk").await;
    fs::create_dir(&path).expect("made");
    running.run("disk").await;
    running.ask(Request::Reload(Box::new(site(&told)), Vec::new())).await;
    running.run("disk").await;
    assert!(running.told("disk").await.is_empty());
}

#[tokio::test]
async fn an_action_that_was_away_at_a_recovery_is_told_of_it_once_it_is_there_again() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let told = with_log(json!({ "disk": volume(&path) }));
    let mut mute = volume(&path);
    mute["actions"] = json!([]);
    let nobody = json!({ "checks": { "disk": mute } });
    let running = Running::start(told.clone()).await;
    running.run("disk").await;
    assert_eq!(running.told("disk").await, ["failed"]);
    running.ask(Request::Reload(Box::new(site(&nobody)), Vec::new())).await;
    fs::create_dir(&path).expect("made");
    running.run("disk").await;
    assert_eq!(running.told("disk").await, ["failed"]);
    // What it knows is kept over a restart as well.
    let running = running.restart(nobody).await;
    running.ask(Request::Reload(Box::new(site(&told)), Vec::new())).await;
    assert_eq!(running.told("disk").await, ["failed", "recovered"]);
    assert!(running.view("disk").state.alert.told.is_empty());
    running.run("disk").await;
    assert_eq!(running.told("disk").await.len(), 2);
}

#[tokio::test]
async fn a_lost_broker_raises_one_alert() {
    let mut config = with_log(json!({}));
    config["fleet"] = json!({ "actions": ["tell"], "grace": 30 });
    let running = Running::start(config.clone()).await;
    running.ask(Request::BrokerBack).await;
    running.ask(Request::BrokerAway("connection refused".into())).await;
    running.ask(Request::BrokerAway("connection refused".into())).await;
    assert!(running.told("broker").await.is_empty(), "it has its grace");
    running.wall.pass(TimeDelta::seconds(31));
    // By the trigger of its check, or the alarm that the engine has set.
    running.ask(Request::Run(name("broker"))).await;
    let view = running.view("broker");
    assert!(view.state.text.starts_with("connection refused (since "), "{}", view.state.text);
    let running = running.restart(config).await;
    running.ask(Request::BrokerBack).await;
    assert_eq!(running.told("broker").await, ["failed", "recovered"]);
}

#[tokio::test]
async fn an_uplink_that_fails_raises_one_alert() {
    let target = tempfile::tempdir().expect("folder");
    let refused = || json!({ "type": "tcp", "options": { "hostname": "127.0.0.1", "port": 1 }, "actions": ["tell"] });
    let mut config = with_log(json!({
        "line": volume(&target.path().join("nothing")), "web": refused(), "mail": refused(),
        "disk": volume(&target.path().join("nothing")),
    }));
    config["uplink"] = "line".into();
    config["defaults"] = json!({ "skip": false });
    let running = Running::start(config).await;
    running.run("web").await;
    running.settled(|| running.view("line").state.word() == "fail").await;
    running.run("mail").await;
    running.run("disk").await;
    for (check, told) in [("line", 1), ("web", 0), ("mail", 0), ("disk", 1)] {
        assert_eq!(running.told(check).await.len(), told, "{check}");
    }
}

#[tokio::test]
async fn what_is_held_back_for_an_uplink_is_published_so_that_a_hub_holds_it_back_too() {
    let target = tempfile::tempdir().expect("folder");
    let line = target.path().join("line");
    let web = json!({ "type": "tcp", "options": { "hostname": "127.0.0.1", "port": 1 } });
    let mut config = with_log(json!({ "line": volume(&line), "web": web }));
    config["uplink"] = "line".into();
    config["defaults"] = json!({ "skip": false });
    let running = Running::start(config).await;
    running.run("web").await;
    running.settled(|| running.view("line").state.word() == "fail").await;
    let published = async || {
        running.settle().await;
        let outgoing = running.outgoing().await;
        let last = outgoing.iter().rfind(|row| row.topic.ends_with("/check/web"));
        let message = Message::parse(&last.expect("published").payload, Tz::UTC);
        message.expect("a message").report
    };
    let report = published().await;
    assert_eq!(report.held.as_deref(), Some("it depends on `line`, which fails"));
    assert!(report.reached());
    fs::create_dir(&line).expect("made");
    let before = running.view("web").state.last_check;
    running.run("line").await;
    running.settled(|| running.view("web").state.last_check != before).await;
    assert_eq!(published().await.held, None, "it fails by itself");
}

#[tokio::test]
async fn a_silence_by_label_holds_for_the_agents_that_have_it_and_over_a_restart() {
    let mut config = with_log(json!({}));
    config["fleet"] = json!({ "actions": ["tell"] });
    let running = Running::start(config.clone()).await;
    let label = |agent: &str, room: &str| {
        let agent = AgentId::try_from(agent).expect("an id");
        Request::Labels(agent, [("room".to_owned(), room.to_owned())].into())
    };
    running.ask(label("nas", "cellar")).await;
    running.ask(label("pi", "attic")).await;
    let mut silence = silence(&running, "*", 60);
    silence.pattern.labels = [("room".to_owned(), "cellar".to_owned())].into();
    running.ask(Request::Silence(silence)).await;
    let fails = |agent: &str| json!({ "name": "root", "type": "disk", "agent": agent, "data": { "failState": true } });
    for agent in ["nas", "pi"] {
        let topic = format!("fletchck/{agent}/check/root");
        running.hear(Some(agent), &topic, &fails(agent)).await;
    }
    // Agents are not heard yet after a start, and their labels count all the same.
    let running = running.restart(config).await;
    assert!(running.told("nas/root").await.is_empty());
    assert_eq!(running.told("pi/root").await, ["failed"]);
    running.ask(label("nas", "attic")).await;
    assert_eq!(running.told("nas/root").await, ["failed"], "it stands elsewhere now");
}

#[tokio::test]
async fn a_snooze_of_a_check_that_is_none_is_refused() {
    let running = Running::start(with_log(json!({}))).await;
    let mut snooze = silence(&running, "*", 60);
    snooze.pattern = Pattern { name: Some("typo".into()), ..Pattern::default() };
    let refused = running.engine.handle.ask(Request::Silence(snooze)).await;
    assert_eq!(refused, Err(Refused::NoSuchCheck(name("typo"))));
}

#[tokio::test]
async fn whoever_keeps_an_account_is_told_that_a_failure_was_taken_on() {
    let target = tempfile::tempdir().expect("folder");
    let mut disk = volume(&target.path().join("nothing"));
    disk["actions"] = json!(["tell", "pager"]);
    let mut config = with_log(json!({ "disk": disk }));
    let nobody = json!({ "token": "0123456789", "url": "http://127.0.0.1:1" });
    config["actions"]["pager"] = json!({ "type": "pagerduty", "options": nobody });
    let running = Running::start(config).await;
    running.run("disk").await;
    running.ask(Request::Acknowledge(name("disk"), ack())).await;
    let read = |db: &mut rusqlite::Connection| {
        let mut select = db.prepare("SELECT action || ' ' || news FROM told ORDER BY 1")?;
        select.query_map((), |row| row.get(0))?.collect()
    };
    let told: Vec<String> = running.store.call(read).await.expect("read");
    assert_eq!(told, ["pager acknowledged", "pager failed", "tell failed"]);
}

/// Nobody can look at a job that reports by itself, so nothing says at once whether it still fails.
#[tokio::test]
async fn a_missed_job_is_told_though_what_it_depends_on_failed_at_the_time() {
    let target = tempfile::tempdir().expect("folder");
    let router = target.path().join("router");
    let job = json!({ "type": "push", "actions": ["tell"], "depends": ["router"], "skip": false,
        "options": { "token": "0123456789abcdef", "period": 3600 } });
    let running = Running::start(with_log(json!({ "router": volume(&router), "job": job }))).await;
    running.run("router").await;
    running.wall.pass(TimeDelta::hours(3));
    running.ask(Request::Run(name("job"))).await;
    let hidden = running.view("job").state.alert.hidden.clone().expect("hidden");
    assert_eq!(hidden.why, "it depends on `router`, which fails");
    fs::create_dir(&router).expect("made");
    running.run("router").await;
    // It has a while to report, and is looked at again after that. That it is silent still, as its alarm or whoever asks for
    // a run finds in between, is no news.
    for (minutes, told) in [(4, 0), (1, 1)] {
        running.pass(TimeDelta::minutes(minutes)).await;
        running.ask(Request::Run(name("job"))).await;
        assert_eq!(running.told("job").await.len(), told, "after {minutes} minutes more");
    }
}

#[tokio::test]
async fn a_check_called_broker_keeps_no_lost_broker_from_being_told() {
    let mut config = with_log(json!({
        "broker": { "type": "remote", "options": { "timeout": 60 }, "actions": ["tell"] },
    }));
    config["fleet"] = json!({ "actions": ["tell"], "grace": 30 });
    let running = Running::start(config).await;
    let ours = "broker of hub-1";
    running.ask(Request::BrokerBack).await;
    running.ask(Request::BrokerAway("connection refused".into())).await;
    running.wall.pass(TimeDelta::seconds(61));
    running.ask(Request::Run(name(ours))).await;
    assert_eq!(running.told(ours).await, ["failed"]);
    assert_eq!(running.view("broker").state.word(), "stale", "as whatever is heard through it");
    running.ask(Request::BrokerBack).await;
    assert_eq!(running.told(ours).await, ["failed", "recovered"]);
    running.wall.pass(TimeDelta::seconds(61));
    running.ask(Request::Run(name("broker"))).await;
    let text = &running.view("broker").state.text;
    assert!(text.starts_with("expected an update every 60 s"), "{text}");
}
