//! Who hears of a failure and of its end, where that changes or is somebody else's: steps of an escalation, accounts, recipients
//! that come and go, hubs.

use std::fs;

use fletchck_shared::policy::Ack;

use super::{
    alerts::{ack, silence},
    *,
};

#[tokio::test]
async fn an_escalation_counts_although_the_actions_before_it_could_not_be_made() {
    let target = tempfile::tempdir().expect("folder");
    let mut disk = volume(&target.path().join("nothing"));
    disk["actions"] = json!(["mail", "no such"]);
    disk["escalate"] = json!([{ "after": 900, "actions": ["boss"] }]);
    let mut mute = disk.clone();
    mute["actions"] = json!([]);
    let checks = json!({ "disk": disk, "mute": mute });
    let mut config = json!({ "actions": { "boss": { "type": "log" } }, "checks": checks });
    config["actions"]["mail"] = json!({ "type": "email", "options": { "sender": 5 } });
    let (faulty, faults) = config::read(&config, &Built, Tz::UTC);
    assert!(!faults.is_empty() && !faulty.actions.keys().any(|name| name.as_str() == "mail"));
    let running = Running::start(with_log(json!({}))).await;
    running.ask(Request::Reload(Box::new(faulty), faults)).await;
    running.run("disk").await;
    running.run("mute").await;
    running.pass(TimeDelta::minutes(14)).await;
    assert!(running.told("disk").await.is_empty());
    running.pass(TimeDelta::minutes(2)).await;
    assert_eq!(running.told("disk").await, ["escalated"]);
    assert!(running.told("mute").await.is_empty(), "its owner wants nobody to hear of it");
}

#[tokio::test]
async fn a_change_that_nobody_could_be_told_of_ends_an_acknowledgement_all_the_same() {
    let target = tempfile::tempdir().expect("folder");
    let (a, b) = (target.path().join("a"), target.path().join("b"));
    fs::create_dir(&b).expect("made");
    let config = |actions: Value| {
        let all =
            json!({ "type": "sequence", "options": { "checks": ["a", "b"] }, "actions": actions });
        let (mut one, mut two) = (volume(&a), volume(&b));
        (one["actions"], two["actions"]) = (json!([]), json!([]));
        json!({ "all": all, "a": one, "b": two })
    };
    let (told, nobody) =
        (with_log(config(json!(["tell"]))), json!({ "checks": config(json!([])) }));
    let running = Running::start(told.clone()).await;
    running.run("all").await;
    running.ask(Request::Reload(Box::new(site(&nobody)), Vec::new())).await;
    running.ask(Request::Acknowledge(name("all"), ack())).await;
    fs::rename(&b, &a).expect("moved");
    assert_eq!(running.run("all").await.state.alert.ack, None, "it fails otherwise");
    running.ask(Request::Reload(Box::new(site(&told)), Vec::new())).await;
    assert_eq!(running.told("all").await, ["failed", "changed"]);
}

#[tokio::test]
async fn an_account_is_told_once_that_a_failure_was_taken_on_and_not_in_a_silence() {
    let target = tempfile::tempdir().expect("folder");
    let mut disk = volume(&target.path().join("nothing"));
    disk["actions"] = json!(["pager"]);
    let mut config = with_log(json!({ "disk": disk }));
    let nobody = json!({ "token": "0123456789", "url": "http://127.0.0.1:1" });
    config["actions"]["pager"] = json!({ "type": "pagerduty", "options": nobody });
    let running = Running::start(config.clone()).await;
    running.run("disk").await;
    let acknowledge = |by: &str| Request::Acknowledge(name("disk"), Ack { by: by.into(), ..ack() });
    running.ask(Request::Silence(silence(&running, "disk", 10))).await;
    running.ask(acknowledge("ann")).await;
    assert_eq!(running.told("disk").await, ["failed"], "nothing at all is told in a silence");
    running.ask(Request::EndSilence(1)).await;
    running.ask(acknowledge("ann")).await;
    assert_eq!(running.told("disk").await, ["failed", "acknowledged"]);
    let running = running.restart(config).await;
    running.ask(acknowledge("bob")).await;
    assert_eq!(
        running.told("disk").await,
        ["failed", "acknowledged"],
        "the account says so already"
    );
    assert_eq!(running.view("disk").state.alert.ack.as_ref().map(|ack| &*ack.by), Some("bob"));
    running.ask(Request::TakeBack(name("disk"))).await;
    running.ask(acknowledge("ann")).await;
    assert_eq!(running.told("disk").await.len(), 3);
}

#[tokio::test]
async fn a_recipient_who_came_during_a_failure_hears_of_no_end_without_its_beginning() {
    let target = tempfile::tempdir().expect("folder");
    let path = target.path().join("volume");
    let config = |recipients: &[&str]| {
        let options = json!({ "recipients": recipients, "sender": "watch@example.org",
            "hostname": "127.0.0.1", "port": 1 });
        let mut config = json!({ "checks": { "disk": volume(&path) } });
        config["actions"]["tell"] = json!({ "type": "email", "options": options });
        config
    };
    let told = async |running: &Running| {
        let read = |db: &mut rusqlite::Connection| {
            let mut select = db.prepare("SELECT grp || ' ' || news FROM told ORDER BY rowid")?;
            select.query_map((), |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        };
        running.store.call(read).await.expect("read")
    };
    let running = Running::start(config(&["ann@a.org"])).await;
    let reload = async |running: &Running, recipients: &[&str]| {
        let site = Box::new(site(&config(recipients)));
        running.ask(Request::Reload(site, Vec::new())).await;
    };
    running.run("disk").await;
    reload(&running, &["ann@a.org", "bob@a.org"]).await;
    let running = running.restart(config(&["ann@a.org", "bob@a.org"])).await;
    fs::create_dir(&path).expect("made");
    running.run("disk").await;
    assert_eq!(told(&running).await, ["ann@a.org failed", "ann@a.org recovered"]);
    // Where one came in the place of another, the end is for whoever is there.
    fs::remove_dir(&path).expect("gone");
    running.run("disk").await;
    reload(&running, &["ann@a.org", "eve@a.org"]).await;
    fs::create_dir(&path).expect("made");
    running.run("disk").await;
    let mut last = told(&running).await.split_off(4);
    last.sort_unstable();
    assert_eq!(last, ["ann@a.org recovered", "eve@a.org recovered"]);
}

#[tokio::test]
async fn what_is_silenced_here_is_published_so_that_a_hub_tells_nobody_either() {
    let target = tempfile::tempdir().expect("folder");
    let mut disk = volume(&target.path().join("nothing"));
    disk["actions"] = json!([]);
    let running = Running::start(json!({ "checks": { "disk": disk } })).await;
    let published = async || {
        running.settle().await;
        let outgoing = running.outgoing().await;
        let last = outgoing.iter().rfind(|row| row.topic.ends_with("/check/disk"));
        let message = Message::parse(&last.expect("published").payload, Tz::UTC);
        message.expect("a message").report.held
    };
    running.run("disk").await;
    assert_eq!(published().await, None);
    running.ask(Request::Silence(silence(&running, "d*k", 10))).await;
    let held = published().await.expect("held");
    assert!(
        held.starts_with("it is silenced by ann until ") && held.ends_with(": painting"),
        "{held}"
    );
    running.pass(TimeDelta::minutes(11)).await;
    assert_eq!(published().await, None, "it ends by itself, and nothing has run since");
}
