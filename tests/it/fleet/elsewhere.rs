//! A hub and its agents over a broker of somebody else's: mosquitto.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a broker may be away before anybody is told.
const GRACE: Duration = Duration::from_secs(1);

async fn broker() -> Result<(Mosquitto, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Mosquitto::start(&pki).await?, dir))
}

fn mqtt(broker: &Mosquitto) -> Value {
    json!({
        "hostname": "127.0.0.1", "port": broker.password_port,
        "username": Mosquitto::USER, "password": Mosquitto::PASSWORD,
    })
}

fn agent(broker: &Mosquitto, id: &str, volume: &Path) -> Value {
    super::agent_over(&mqtt(broker), id, volume)
}

/// Lines of the log in which an alert is told.
fn told(log: &str, check: &str) -> usize {
    let words = ["FAIL", "PASS", "OFFLINE", "ONLINE"];
    let told = |line: &&str| words.iter().any(|word| line.contains(&format!("): {word}:")));
    log.lines().filter(|line| line.contains(&format!("{check} ("))).filter(told).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_makes_a_fleet_stale_and_alerts_for_no_check() -> Result<()> {
    let (mut broker, _dir) = broker().await?;
    let mut hub = Fletchck::start(
        Program::Full,
        &json!({
            "agent": { "id": "hub-1" },
            "mqtt": mqtt(&broker),
            "fleet": { "hub": true, "actions": ["log"], "grace": GRACE.as_secs() },
            "actions": { "log": { "type": "log" } },
            "checks": {},
        }),
    )
    .await?;
    let target = tempfile::tempdir()?;
    let mut nas = Fletchck::start(Program::Agent, &agent(&broker, "nas", target.path())).await?;
    let missing = target.path().join("missing");
    let _pi = Fletchck::start(Program::Agent, &agent(&broker, "pi", &missing)).await?;
    hub.until("nas/root", "pass").await?;
    hub.until("pi/root", "fail").await?;
    hub.until("agent nas", "pass").await?;

    let lost = Instant::now();
    broker.stop().await?;
    hub.process()?.wait_for_line("broker (broker): FAIL: ").await?;
    ensure!(lost.elapsed() >= GRACE, "it is told after {:?}, in its grace", lost.elapsed());
    let stale = hub.until("nas/root", "stale").await?;
    let why = stale.cover.context("it is covered")?;
    ensure!(format!("{why:?}").contains("the broker is away"), "{why:?}");
    hub.until("pi/root", "stale").await?;

    broker.restart().await?;
    // What is known from before is shown as soon as the broker is back; who dies is missed once it has come back itself.
    let back = async || hub.state("nas/root").filter(|state| state.last_check != stale.last_check);
    wait::until(2 * PATIENCE, "`nas` to come back", back).await?;
    hub.until("nas/root", "pass").await?;
    hub.until("pi/root", "fail").await?;
    hub.until("agent pi", "pass").await?;
    hub.process()?.wait_for_line("broker (broker): PASS: ").await?;
    let log = hub.process()?.log();
    ensure!(told(&log, "nas/root") == 0 && told(&log, "agent nas") == 0, "{log}");
    ensure!(told(&log, "pi/root") == 1, "its first failure, and nothing of the broker: {log}");
    ensure!(told(&log, "broker") == 2, "one alert, and one end of it: {log}");
    let word = |word: &str| log.matches(&format!("broker (broker): {word}: ")).count();
    ensure!((word("FAIL"), word("PASS")) == (1, 1), "{log}");

    // The broker keeps what an agent said before, so it may seem to be there before it is. Then it has no will yet.
    let back = format!("connected to the broker at 127.0.0.1:{}", broker.password_port);
    let process = nas.process()?;
    let returned = async || (process.log().matches(&back).count() == 2).then_some(());
    wait::until(PATIENCE, "the agent to come back", returned).await?;
    nas.kill();
    hub.until("agent nas", "fail").await?;
    hub.until("nas/root", "stale").await?;
    let alerts = async || (told(&hub_log(&hub).ok()?, "agent nas") == 1).then_some(());
    wait::until(PATIENCE, "one alert for the agent", alerts).await?;
    hub.stop().await
}

fn hub_log(hub: &Fletchck) -> Result<String> {
    Ok(std::fs::read_to_string(hub.dir().join("log"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_hears_what_it_publishes_itself_still_sees_updates_stop() -> Result<()> {
    let (broker, _dir) = broker().await?;
    // With MQTT 5 the broker sends nobody's own back; with 3.1.1 it does.
    for (protocol, base) in [("3.1.1", "a"), ("5", "b")] {
        let topic = format!("{base}/root");
        let mut link = mqtt(&broker);
        link["basetopic"] = json!(format!("{base}/#"));
        link["protocol"] = json!(protocol);
        let hub = Fletchck::start(
            Program::Full,
            &json!({
                "agent": { "id": format!("hub-{base}") },
                "mqtt": link,
                "checks": { "root": {
                    "type": "remote", "trigger": { "interval": { "seconds": 1 } },
                    "publish": topic, "options": { "timeout": 3 },
                } },
            }),
        )
        .await?;
        let watcher = Mqtt::connect(broker.port).await?;
        watcher.subscribe(&topic).await?;
        let update = json!({
            "name": "root", "type": "disk", "agent": "nas", "data": { "failState": false, "lastCheck": chrono::Utc::now() },
        });
        // Retained, so that it is there whenever the hub has connected.
        watcher.publish(&topic, update.to_string(), true).await?;
        hub.until("root", "pass").await?;
        let expired = hub.until("root", "fail").await?;
        ensure!(
            expired.text.contains("expected an update every 3 s"),
            "{protocol}: {}",
            expired.text
        );
    }
    Ok(())
}
