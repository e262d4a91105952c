//! A hub and its agents as processes, over the embedded broker.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, State};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mqtt::Mqtt,
    port,
    wait::{self, PATIENCE},
};
use rumqttc::MqttOptions;
use serde_json::{Value, json};

/// `secret`, hashed so that a test need not wait for it.
pub(crate) const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

fn hub(port: u16, users: &[&str]) -> Value {
    let users: serde_json::Map<String, Value> =
        users.iter().map(|user| ((*user).to_owned(), json!({ "password": SECRET }))).collect();
    json!({
        "agent": { "id": "hub-1" },
        "broker": { "listeners": [{ "listen": format!("127.0.0.1:{port}") }], "users": users },
        "fleet": { "actions": ["log"], "grace": 1 },
        "actions": { "log": { "type": "log" } },
        "checks": { "own": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "options": { "level": 100 },
        } },
    })
}

pub(crate) fn agent(port: u16, id: &str, volume: &Path) -> Value {
    json!({
        "agent": { "id": id },
        "mqtt": { "hostname": "127.0.0.1", "port": port, "username": id, "password": "secret" },
        "checks": { "root": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } },
            "options": { "volume": volume, "level": 100 },
        } },
    })
}

/// How a check stands in a site's store.
fn state(site: &Fletchck, check: &str) -> Option<State> {
    let past = Store::read_past(&site.dir().join("fletchck.db")).ok()?;
    past.checks.get(&CheckName::try_from(check).ok()?).map(|row| row.state.clone())
}

pub(crate) async fn until(site: &Fletchck, check: &str, word: &str) -> Result<State> {
    let what = format!("`{check}` to be {word}");
    let stands = async || state(site, check).filter(|state| state.word() == word);
    wait::until(PATIENCE, &what, stands).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_raises_one_alert_and_comes_back_by_itself() -> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port, &["nas", "pi"])).await?;
    let target = tempfile::tempdir()?;
    let mut nas = Fletchck::start(Program::Agent, &agent(port, "nas", target.path())).await?;
    let missing = target.path().join("missing");
    let _pi = Fletchck::start(Program::Agent, &agent(port, "pi", &missing)).await?;
    until(&hub, "nas/root", "pass").await?;
    until(&hub, "pi/root", "fail").await?;
    until(&hub, "agent nas", "pass").await?;

    nas.kill();
    until(&hub, "nas/root", "stale").await?;
    let away = until(&hub, "agent nas", "fail").await?;
    ensure!(away.text.contains("nas is away"), "{}", away.text);
    ensure!(state(&hub, "pi/root").context("heard")?.word() == "fail", "nobody else is touched");

    nas.restart().await?;
    until(&hub, "nas/root", "pass").await?;
    until(&hub, "agent nas", "pass").await?;
    let log = hub.process()?.log();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    ensure!(told("agent nas (agent): FAIL") == 1, "{log}");
    ensure!(told("agent nas (agent): PASS") == 1, "{log}");
    ensure!(told("nas/root") == 0, "its checks alert for nothing of this: {log}");
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_knows_its_fleet_again_and_alerts_for_nobody_who_comes_back()
-> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port, &["nas", "pi"])).await?;
    let target = tempfile::tempdir()?;
    let mut nas = Fletchck::start(Program::Agent, &agent(port, "nas", target.path())).await?;
    let _pi = Fletchck::start(Program::Agent, &agent(port, "pi", target.path())).await?;
    until(&hub, "nas/root", "pass").await?;
    until(&hub, "pi/root", "pass").await?;
    nas.kill();
    until(&hub, "agent nas", "fail").await?;
    hub.kill();
    hub.restart().await?;
    // Longer than the grace of a second: whoever has lost its hub waits a while before it tries again.
    let heard = state(&hub, "pi/root").context("known")?.last_check;
    let comes_back = async || {
        let state = state(&hub, "pi/root").filter(|state| state.last_check != heard);
        state.filter(|state| state.word() == "pass")
    };
    wait::until(2 * PATIENCE, "`pi` to come back", comes_back).await?;
    until(&hub, "agent pi", "pass").await?;
    until(&hub, "nas/root", "stale").await?;
    until(&hub, "agent nas", "fail").await?;
    let log = hub.process()?.log();
    ensure!(!log.contains("agent pi (agent): FAIL"), "{log}");
    ensure!(!log.contains("agent nas (agent): FAIL"), "told before, and once is enough: {log}");
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_speak_for_another() -> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port, &["nas", "pi"])).await?;
    let login = |user: &str, id: &str| {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_credentials(user, "secret");
        options
    };
    ensure!(Mqtt::with(login("pi", "nas")).await.is_err(), "nor take its client id");
    let pi = Mqtt::with(login("pi", "pi")).await?;
    let lie =
        json!({ "name": "root", "type": "disk", "data": { "failState": true }, "agent": "nas" });
    let lie = lie.to_string();
    pi.publish("fletchck/nas/check/root", lie.clone(), true).await?;
    pi.publish("fletchck/pi/check/lie", lie.clone(), true).await?;
    let truth = json!({ "name": "root", "type": "disk", "data": { "failState": false, "lastCheck": "2026-11-23T10:00:00Z" } });
    pi.publish("fletchck/pi/check/root", truth.to_string(), true).await?;
    until(&hub, "pi/root", "pass").await?;
    ensure!(state(&hub, "nas/root").is_none() && state(&hub, "pi/lie").is_none());
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_ends_within_five_seconds_whatever_hangs() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let silent = listener.local_addr()?.port();
    let mut checks = serde_json::Map::new();
    // More than may look at once.
    for n in 0..300 {
        checks.insert(
            format!("hangs {n}"),
            json!({
                "type": "https", "trigger": { "interval": { "seconds": 1 } },
                "options": { "hostname": "127.0.0.1", "port": silent, "timeout": 600 },
            }),
        );
    }
    checks.insert("quick".into(), json!({
        "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "options": { "level": 100 },
    }));
    let mut site = Fletchck::start(Program::Full, &json!({ "checks": checks })).await?;
    let first = until(&site, "quick", "pass").await?.last_check;
    let goes_on = async || state(&site, "quick").filter(|state| state.last_check != first);
    wait::until(PATIENCE, "`quick` to run beside 300 that hang", goes_on).await?;
    let began = std::time::Instant::now();
    site.stop().await?;
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    Ok(())
}
