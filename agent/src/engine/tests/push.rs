//! Jobs that report by themselves.

use super::*;
use crate::checks::push::{PushKey, Signal};

const TOKEN: &str = "0123456789abcdef";

fn job(more: Value) -> Value {
    let mut check = json!({"type": "push", "actions": ["tell"],
        "options": {"token": TOKEN, "period": 3600, "grace": 600, "maxRuntime": 900}});
    for (key, value) in more.as_object().expect("options") {
        check[key] = value.clone();
    }
    with_log(json!({ "backup": check }))
}

impl Running {
    async fn report(&self, signal: Signal, said: &str) {
        let key = PushKey::of(TOKEN).expect("a token");
        let ping = Ping { key, signal, said: said.into(), at: self.wall.now() };
        self.ask(Request::Ping(ping)).await;
    }

    /// How the check stands after this time without a word.
    async fn after(&self, seconds: i64) -> String {
        self.wall.pass(TimeDelta::seconds(seconds));
        self.ask(Request::Run(name("backup"))).await;
        let view = self.view("backup");
        format!("{}: {}", view.state.word(), view.state.text)
    }
}

#[tokio::test]
async fn a_job_that_reports_is_well_until_a_report_is_missing() {
    let running = Running::start(job(json!({}))).await;
    running.report(Signal::Start, "").await;
    running.wall.pass(TimeDelta::seconds(90));
    running.report(Signal::Success, "copied 3 files\n\n1 GB").await;
    let view = running.view("backup");
    assert_eq!(
        view.state.text,
        "it reported success after 90 s, the next report is due by 04 Oct 2024 01:11 UTC"
    );
    assert_eq!((view.state.log.len(), view.state.level.as_deref()), (2, Some("90 s")));
    assert!(running.after(4199).await.starts_with("pass: "));
    let missed = running.after(1).await;
    assert_eq!(
        missed,
        "fail: expected a report every 70 min, the last one came: 04 Oct 2024 00:01 UTC"
    );
    running.report(Signal::Success, "").await;
    assert_eq!(running.view("backup").state.word(), "pass");
    assert_eq!(running.transitions("backup").await, ["failed!", "recovered!"]);
}

#[tokio::test]
async fn a_job_that_fails_or_does_not_end_is_told() {
    let running = Running::start(job(json!({}))).await;
    running.report(Signal::Fail(Some(2)), "disk full").await;
    let view = running.view("backup");
    assert_eq!(view.state.text, "it reported the exit status 2");
    assert_eq!(view.state.log, ["disk full"]);
    running.report(Signal::Success, "").await;
    running.report(Signal::Start, "beginning").await;
    running.report(Signal::Log, "half way").await;
    assert_eq!(running.view("backup").state.log, ["beginning", "half way"]);
    assert!(running.after(899).await.starts_with("pass: "));
    let stuck = running.after(1).await;
    assert!(stuck.starts_with("fail: it began on 04 Oct 2024 00:00 UTC"), "{stuck}");
    assert!(stuck.ends_with("and has not ended within 15 min"), "{stuck}");
    let kinds = running.transitions("backup").await;
    assert_eq!(kinds, ["failed!", "recovered!", "failed!"]);
}

#[tokio::test]
async fn a_job_that_never_reported_is_missed_too_and_a_restart_forgets_nothing() {
    let running = Running::start(job(json!({}))).await;
    assert!(running.after(4199).await.starts_with("unknown"));
    assert!(running.after(1).await.ends_with("the last one came: never"));
    running.report(Signal::Success, "").await;

    let running = running.restart(job(json!({}))).await;
    assert!(running.after(4199).await.starts_with("pass"), "the time before the restart counts");
    assert!(running.after(1).await.starts_with("fail"));
}

#[tokio::test]
async fn a_report_that_nobody_could_hear_may_be_repeated() {
    let running = Running::start(job(json!({}))).await;
    running.report(Signal::Success, "").await;
    let (folder, wall) = (running.folder.clone(), running.wall.clone());
    running.stop.cancel();
    running.engine.task.await.expect("the engine ends in order");
    drop((running.engine.handle, running.store));
    wall.pass(TimeDelta::seconds(10_000));
    let running = Running::over(folder, wall, job(json!({}))).await;
    assert!(running.after(599).await.starts_with("pass"));
    assert!(running.after(1).await.starts_with("fail"));
}

#[tokio::test]
async fn a_paused_job_is_not_missed_and_unknown_tokens_are_refused() {
    let running = Running::start(job(json!({"paused": true}))).await;
    running.report(Signal::Fail(None), "").await;
    assert!(running.after(100_000).await.starts_with("paused"), "{}", running.after(0).await);
    assert!(running.transitions("backup").await.is_empty());
    let key = PushKey::of("another-token-than-that").expect("a token");
    let ping = Ping { key, signal: Signal::Success, said: String::new(), at: running.wall.now() };
    let refused = running.engine.handle.ask(Request::Ping(ping)).await;
    assert_eq!(refused, Err(Refused::NoSuchPush));
}

#[tokio::test]
async fn a_site_that_starts_anew_more_often_than_the_period_misses_a_job_that_never_reported() {
    let mut running = Running::start(job(json!({}))).await;
    for _ in 0..3 {
        running.wall.pass(TimeDelta::seconds(1200));
        running = running.restart(job(json!({}))).await;
        assert!(running.after(0).await.starts_with("unknown"));
    }
    assert!(running.after(599).await.starts_with("unknown"));
    assert!(running.after(1).await.ends_with("the last one came: never"));
}

#[tokio::test]
async fn a_site_that_was_away_itself_gives_a_job_ten_minutes_and_one_that_was_paused_all_its_time()
{
    let running = Running::start(job(json!({}))).await;
    running.wall.pass(TimeDelta::days(3));
    let running = running.restart(job(json!({}))).await;
    assert!(running.after(599).await.starts_with("unknown"), "nobody could be heard");
    assert!(running.after(1).await.starts_with("fail"));

    let running = Running::start(job(json!({ "paused": true }))).await;
    running.wall.pass(TimeDelta::days(3));
    running.ask(Request::Reload(Box::new(site(&job(json!({})))), Vec::new())).await;
    assert!(running.after(4199).await.starts_with("unknown"));
    // What has nothing to do with its reports changes nothing of its time.
    let other = job(json!({ "severity": "warning" }));
    running.ask(Request::Reload(Box::new(site(&other)), Vec::new())).await;
    assert!(running.after(1).await.starts_with("fail"));
}
