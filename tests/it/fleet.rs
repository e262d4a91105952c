//! A hub and its agents as processes, over the embedded broker.

mod elsewhere;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
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
    let mqtt =
        json!({ "hostname": "127.0.0.1", "port": port, "username": id, "password": "secret" });
    agent_over(&mqtt, id, volume)
}

/// An agent that looks at a volume each second, with this link.
fn agent_over(mqtt: &Value, id: &str, volume: &Path) -> Value {
    json!({
        "agent": { "id": id },
        "mqtt": mqtt,
        "checks": { "root": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } },
            "options": { "volume": volume, "level": 100 },
        } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_raises_one_alert_and_comes_back_by_itself() -> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port, &["nas", "pi"])).await?;
    let target = tempfile::tempdir()?;
    let mut nas = Fletchck::start(Program::Agent, &agent(port, "nas", target.path())).await?;
    let missing = target.path().join("missing");
    let _pi = Fletchck::start(Program::Agent, &agent(port, "pi", &missing)).await?;
    hub.until("nas/root", "pass").await?;
    hub.until("pi/root", "fail").await?;
    hub.until("agent nas", "pass").await?;

    nas.kill();
    hub.until("nas/root", "stale").await?;
    let away = hub.until("agent nas", "fail").await?;
    ensure!(away.text.contains("nas is away"), "{}", away.text);
    ensure!(hub.state("pi/root").context("heard")?.word() == "fail", "nobody else is touched");

    nas.restart().await?;
    hub.until("nas/root", "pass").await?;
    hub.until("agent nas", "pass").await?;
    let log = hub.process()?.log();
    let told = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    ensure!(told("agent nas (agent): OFFLINE") == 1, "{log}");
    ensure!(told("agent nas (agent): ONLINE") == 1, "{log}");
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
    hub.until("nas/root", "pass").await?;
    hub.until("pi/root", "pass").await?;
    nas.kill();
    hub.until("agent nas", "fail").await?;
    // An alert that is being told when the hub is killed may be told once more, and this is not about that.
    let store = rusqlite::Connection::open(hub.dir().join("fletchck.db"))?;
    store.busy_timeout(PATIENCE)?;
    let told = async || {
        let left = store.query_row("SELECT count(*) FROM deliveries", (), |row| row.get(0));
        left.ok().filter(|left: &i64| *left == 0)
    };
    wait::until(PATIENCE, "the alert to be told", told).await?;
    hub.kill();
    hub.restart().await?;
    // Longer than the grace of a second: whoever has lost its hub waits a while before it tries again.
    let heard = hub.state("pi/root").context("known")?.last_check;
    let comes_back = async || {
        let state = hub.state("pi/root").filter(|state| state.last_check != heard);
        state.filter(|state| state.word() == "pass")
    };
    wait::until(2 * PATIENCE, "`pi` to come back", comes_back).await?;
    hub.until("agent pi", "pass").await?;
    hub.until("nas/root", "stale").await?;
    hub.until("agent nas", "fail").await?;
    let log = hub.process()?.log();
    ensure!(!log.contains("agent pi (agent): OFFLINE"), "{log}");
    ensure!(!log.contains("agent nas (agent): OFFLINE"), "told before, and once is enough: {log}");
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
    hub.until("pi/root", "pass").await?;
    ensure!(hub.state("nas/root").is_none() && hub.state("pi/lie").is_none());
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
    let first = site.until("quick", "pass").await?.last_check;
    let goes_on = async || site.state("quick").filter(|state| state.last_check != first);
    wait::until(PATIENCE, "`quick` to run beside 300 that hang", goes_on).await?;
    let began = std::time::Instant::now();
    site.stop().await?;
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    Ok(())
}
