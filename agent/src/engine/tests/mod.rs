//! The engine with a real store and real checks, without a network.

mod alarms;
mod alerts;
mod grades;
mod local;
mod pulse;
mod push;
mod recipients;
mod remote;

use std::{path::Path, sync::Arc, sync::Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{
    ActionName, AgentId, CheckName,
    config::{self, Site},
    wire::Message,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{config::Built, store::OutgoingRow};

/// A clock that stands still until time is let pass, or it is set.
#[derive(Clone)]
struct Wall(Arc<Mutex<(DateTime<Utc>, TimeDelta)>>);

impl Wall {
    fn now(&self) -> DateTime<Utc> {
        self.0.lock().expect("no panic while held").0
    }

    fn pass(&self, time: TimeDelta) {
        let mut both = self.0.lock().expect("no panic while held");
        both.0 += time;
        both.1 += time;
    }

    /// Sets the clock without any time passing.
    fn set_by(&self, time: TimeDelta) {
        self.0.lock().expect("no panic while held").0 += time;
    }

    fn clock(&self) -> Clock {
        let (now, passed) = (self.clone(), self.clone());
        let passed = move || passed.0.lock().expect("no panic while held").1.to_std();
        Clock::new(move || now.now(), move || passed().expect("time passes forward"))
    }
}

/// A site that can be stopped and started again over the same folder.
struct Running {
    engine: Engine,
    store: Store,
    stop: CancellationToken,
    wall: Wall,
    folder: Arc<TempDir>,
}

fn name(text: &str) -> CheckName {
    CheckName::try_from(text).expect("a name")
}

/// The site of a hub with this configuration and a broker.
fn site(config: &Value) -> Site {
    let mut config = config.clone();
    config["broker"] = json!({ "listeners": [{ "listen": "127.0.0.1:0" }] });
    let (site, faults) = config::read(&config, &Built, Tz::UTC);
    assert!(faults.is_empty(), "{faults:?}");
    site
}

impl Running {
    async fn start(config: Value) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("folder"));
        let begin = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let wall = Wall(Arc::new(Mutex::new((begin, TimeDelta::zero()))));
        Self::over(folder, wall, config).await
    }

    async fn over(folder: Arc<TempDir>, wall: Wall, config: Value) -> Self {
        let path = folder.path().join("site.db");
        let mut tries = 0;
        let store = loop {
            match Store::open(&path) {
                Err(StoreError::InUse { .. }) if tries < 5000 => tries += 1,
                store => break store.expect("store"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        };
        // What was told is not kept, so it is written down as it is stored.
        let notes = "CREATE TABLE IF NOT EXISTS told (name, news, at, action, grp);
            CREATE TRIGGER IF NOT EXISTS tells AFTER INSERT ON deliveries BEGIN INSERT INTO told VALUES (
                new.name, json_extract(new.notice, '$.news'), json_extract(new.notice, '$.at'), new.action, new.grp); END";
        store.call(move |db| db.execute_batch(notes)).await.expect("noted");
        let stop = CancellationToken::new();
        let who = (AgentId::try_from("hub-1").expect("an id"), Tz::UTC, wall.clock());
        let engine = Engine::start(site(&config), Vec::new(), who, store.clone(), stop.clone())
            .await
            .expect("engine");
        Self { engine, store, stop, wall, folder }
    }

    /// As a process that is stopped and started again, with this configuration.
    async fn restart(self, config: Value) -> Self {
        self.stop.cancel();
        self.engine.task.await.expect("the engine ends in order");
        drop(self.engine.handle);
        drop(self.store);
        // The store closes once the last worker has let go of it.
        Self::over(self.folder, self.wall, config).await
    }

    async fn ask(&self, request: Request) {
        self.engine.handle.ask(request).await.expect("done");
    }

    /// Runs a check once and answers with its view when the run has ended.
    async fn run(&self, check: &str) -> Arc<CheckView> {
        let mut changes = self.board().changes();
        let before = self.view(check).state.last_check;
        self.wall.pass(TimeDelta::seconds(1));
        self.ask(Request::Run(name(check))).await;
        loop {
            let view = self.view(check);
            if !view.running && view.state.last_check != before {
                return view;
            }
            let change = tokio::time::timeout(std::time::Duration::from_secs(20), changes.recv());
            // A reader that fell behind looks again.
            _ = change.await.expect("the run ends");
        }
    }

    async fn hear(&self, agent: Option<&str>, topic: &str, payload: &Value) {
        let message = Message::parse(payload.to_string().as_bytes(), Tz::UTC).expect("a message");
        let heard = Heard {
            message,
            topic: topic.into(),
            agent: agent.map(|agent| AgentId::try_from(agent).expect("an id")),
            retained: false,
            at: self.wall.now(),
        };
        self.engine.handle.hear(vec![heard]).await.expect("taken");
        // A request is answered after everything that was heard before it was stored.
        self.settle().await;
    }

    /// Waits for something that follows by itself.
    async fn settled(&self, there: impl Fn() -> bool) {
        let mut changes = self.board().changes();
        while !there() {
            let change = tokio::time::timeout(std::time::Duration::from_secs(20), changes.recv());
            // A reader that fell behind looks again.
            _ = change.await.expect("it follows");
        }
    }

    async fn settle(&self) {
        for _ in 0..3 {
            self.ask(Request::Silent(AgentId::try_from("nobody").expect("an id"), String::new()))
                .await;
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass for the clocks and for the timers alike, a minute at most at once: as it passes, but for the waiting.
    async fn pass(&self, time: TimeDelta) {
        let mut left = time;
        while left > TimeDelta::zero() {
            let step = left.min(TimeDelta::minutes(1));
            left -= step;
            tokio::time::pause();
            self.wall.pass(step);
            tokio::time::advance(step.to_std().expect("forward")).await;
            tokio::time::resume();
            // Timers are rounded up to milliseconds; one that is due later than all those goes off after them.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            self.settle().await;
        }
    }

    fn board(&self) -> &Board {
        self.engine.handle.board()
    }

    fn view(&self, check: &str) -> Arc<CheckView> {
        self.board().check(check).unwrap_or_else(|| panic!("no check `{check}`"))
    }

    /// What happened to a check, oldest first; with `!` what was told.
    async fn transitions(&self, check: &str) -> Vec<String> {
        let check = check.to_owned();
        self.store
            .call(move |db| {
                let mut select = db.prepare(
                    "SELECT json_extract(entry, '$.kind') || CASE WHEN EXISTS (
                         SELECT 1 FROM told WHERE told.name = transitions.name
                         AND told.news = json_extract(entry, '$.kind') AND told.at = json_extract(entry, '$.at')
                     ) THEN '!' ELSE '' END FROM transitions WHERE name = ?1 ORDER BY id",
                )?;
                select.query_map([check], |row| row.get(0))?.collect()
            })
            .await
            .expect("read")
    }

    /// What was told of a check, oldest first.
    async fn told(&self, check: &str) -> Vec<String> {
        let check = check.to_owned();
        let read = move |db: &mut rusqlite::Connection| {
            let mut select = db.prepare("SELECT news FROM told WHERE name = ?1 ORDER BY rowid")?;
            select.query_map([check], |row| row.get(0))?.collect()
        };
        self.store.call(read).await.expect("read")
    }

    async fn outgoing(&self) -> Vec<OutgoingRow> {
        let rows = self.store.outgoing(0, 1000).await.expect("read");
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// Deliveries that are still to be made once the workers have had their time.
    async fn undelivered(&self) -> i64 {
        for _ in 0..10_000 {
            let left: i64 = self
                .store
                .call(|db| db.query_row("SELECT count(*) FROM deliveries", (), |row| row.get(0)))
                .await
                .expect("read");
            if left == 0 {
                return 0;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        1
    }
}

/// A check that passes while this folder is there: no disk of ours is fuller than full.
fn volume(path: &Path) -> Value {
    json!({ "type": "disk", "options": { "volume": path, "level": 100 }, "actions": ["tell"] })
}

fn with_log(checks: Value) -> Value {
    json!({ "actions": { "tell": { "type": "log" } }, "checks": checks })
}

fn actions(view: &CheckView) -> Vec<&str> {
    view.actions.iter().map(ActionName::as_str).collect()
}
