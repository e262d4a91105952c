//! How grave a failure is, where that is decided at the agent.

use fletchck_shared::Severity;

use super::*;

/// A hub that tells `tell` of all failures, and `pager` of the grave ones.
fn hub(checks: Value) -> Value {
    let mut config = with_log(checks);
    config["actions"]["pager"] = json!({ "type": "log", "severity": "critical" });
    config["fleet"] = json!({ "actions": ["tell", "pager"] });
    config
}

async fn hear(running: &Running, grade: Option<&str>) {
    running.wall.pass(TimeDelta::seconds(1));
    let at = running.wall.now().to_rfc3339();
    let mut message = json!({ "name": "root", "type": "disk", "agent": "nas", "data": {
        "failState": true, "severity": "critical", "lastCheck": at,
    } });
    if let Some(grade) = grade {
        message["data"]["grade"] = grade.into();
    }
    running.hear(Some("nas"), "fletchck/nas/check/root", &message).await;
}

/// Who was told of what.
async fn told(running: &Running) -> Vec<String> {
    let read = |db: &mut rusqlite::Connection| {
        let mut select = db.prepare("SELECT action || ' ' || news FROM told ORDER BY rowid")?;
        select.query_map((), |row| row.get(0))?.collect()
    };
    running.store.call(read).await.expect("read")
}

#[tokio::test]
async fn a_failure_that_its_agent_calls_a_warning_is_not_told_to_whoever_wants_the_grave_ones() {
    let config = hub(json!({}));
    let running = Running::start(config.clone()).await;
    hear(&running, Some("warning")).await;
    assert_eq!(told(&running).await, ["tell failed"]);
    let view = running.view("nas/root");
    assert_eq!((view.state.word(), view.grade), ("fail", Severity::Warning));
    assert!(view.state.failing(), "what depends on it knows that it fails");
    let running = running.restart(config).await;
    assert_eq!(running.view("nas/root").grade, Severity::Warning);
    // Its owner thinks better of it.
    hear(&running, None).await;
    assert_eq!(running.view("nas/root").grade, Severity::Critical);
    assert_eq!(told(&running).await, ["tell failed", "pager failed"]);
}

#[tokio::test]
async fn what_the_hub_has_decided_is_more_than_what_an_agent_says() {
    let mut config = hub(json!({ "nas": {
        "type": "remote", "remoteId": "root", "severity": "critical", "actions": ["pager"],
    } }));
    let running = Running::start(config.clone()).await;
    running.wall.pass(TimeDelta::seconds(1));
    let message = json!({ "name": "root", "type": "disk", "data": { "failState": true, "grade": "warning" } });
    running.hear(None, "v1/root", &message).await;
    assert_eq!(told(&running).await, ["pager failed"]);
    // Without that the agent's word holds, at once.
    config["checks"]["nas"]["severity"] = Value::Null;
    config["checks"]["nas"].as_object_mut().expect("a check").remove("severity");
    running.ask(Request::Reload(Box::new(site(&config)), Vec::new())).await;
    assert_eq!(running.view("nas").grade, Severity::Warning);
}

#[tokio::test]
async fn what_its_owner_has_decided_is_published_with_a_check() {
    let mut disk = volume(Path::new("/there is none"));
    disk["severity"] = "warning".into();
    let mut config = with_log(json!({ "disk": disk }));
    let running = Running::start(config.clone()).await;
    let published = async || {
        running.run("disk").await;
        let outgoing = running.outgoing().await;
        let last = outgoing.last().expect("published");
        Message::parse(&last.payload, Tz::UTC).expect("a message").report
    };
    let report = published().await;
    assert_eq!(report.grade, Some(Severity::Warning));
    assert_eq!(
        report.failure,
        Some(fletchck_shared::state::Failure::Whole),
        "it fails all the same"
    );
    config["checks"]["disk"]["severity"] = "critical".into();
    running.ask(Request::Reload(Box::new(site(&config)), Vec::new())).await;
    assert_eq!(published().await.grade, None);
}
