//! Whether a site says of itself that it is well.

use super::*;

impl Running {
    async fn pulse(&self) -> Result<(), Refused> {
        self.engine.handle.ask(Request::Pulse).await
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_no_site_that_is_well() {
    let running = Running::start(with_log(json!({}))).await;
    assert_eq!(running.pulse().await, Ok(()));
    let refuse = async |refuse: bool| {
        let set = move |db: &mut rusqlite::Connection| db.pragma_update(None, "query_only", refuse);
        running.store.call(set).await.expect("set");
    };
    refuse(true).await;
    let refused = running.pulse().await;
    assert!(
        matches!(&refused, Err(Refused::Store(why)) if why.contains("readonly")),
        "{refused:?}"
    );
    refuse(false).await;
    assert_eq!(running.pulse().await, Ok(()));
}

#[tokio::test]
async fn a_check_that_does_not_run_when_it_is_due_is_late() {
    let folder = tempfile::tempdir().expect("folder");
    let mut disk = volume(folder.path());
    disk["trigger"] = json!({ "interval": { "days": 1 } });
    let running = Running::start(with_log(json!({ "disk": disk }))).await;
    running.run("disk").await;
    assert_eq!(running.pulse().await, Ok(()));
    // The timers of this test know nothing of it.
    running.wall.pass(TimeDelta::days(2));
    let late = Refused::Late("`disk` should have run by now and did not".into());
    assert_eq!(running.pulse().await, Err(late));
}

#[tokio::test]
async fn a_run_that_outlasts_its_limit_or_gets_no_place_is_late() {
    let sleeps =
        || json!({ "type": "exec", "options": { "command": ["sleep", "3"], "timeout": 5 } });
    let mut config = with_log(json!({ "a": sleeps(), "b": sleeps() }));
    config["limits"] = json!({ "probes": 1 });
    let running = Running::start(config).await;
    running.ask(Request::Run(name("a"))).await;
    running.ask(Request::Run(name("b"))).await;
    running.wall.pass(TimeDelta::seconds(60));
    assert_eq!(running.pulse().await, Ok(()), "their limit, and a minute");
    running.wall.pass(TimeDelta::seconds(60));
    let refused = running.pulse().await;
    let late = Refused::Late("`a` and 1 more should have run by now and did not".into());
    assert_eq!(refused, Err(late));
}
