//! From a change to who is told of it, on loopback: `cargo bench -p fletchck-tests --bench alert`. Nothing is gathered.
//!
//! Beside the original, in one run: a hub hears over mosquitto that a check of an agent's fails, or is well again, and
//! tells it by `sms` to a web service. Counted from before the message is published until the request has come. Ours
//! alone: a target changes and its check is run, until a webhook, a message over MQTT and a mail have come.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use fletchck_tests::{
    exim::Exim,
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    original::Original,
    pki::Pki,
    sink::Sink,
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};

/// Changes that are measured, and those before that are not.
const CHANGES: usize = 300;
const BEFORE: usize = 20;

/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{CHANGES} changes, each told at once: ms from the change to who is told")?;
    writeln!(out, "{:<34} {:>8} {:>8} {:>8}", "", "p50", "p99", "max")?;
    let mut row = |what: &str, mut took: Vec<Duration>| {
        took.sort();
        let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e3;
        writeln!(out, "{what:<34} {:>8.1} {:>8.1} {:>8.1}", at(50), at(99), at(100))
    };
    row("message to sms, ours", heard(&pki, true).await?)?;
    row("message to sms, the original", heard(&pki, false).await?)?;
    for way in ["webhook", "mqtt", "email"] {
        row(&format!("run to {way}, ours"), run(&pki, way).await?)?;
    }
    Ok(())
}

/// From a message of an agent's to the request for an SMS.
async fn heard(pki: &Pki, ours: bool) -> Result<Vec<Duration>> {
    let (broker, sink) = (Mosquitto::start(pki).await?, Sink::start().await?);
    let mut sms = json!({
        "type": "sms",
        "options": { "url": format!("{}/smsp-in", sink.url()), "apikey": "key", "recipients": ["+61400000000"] },
    });
    let mut check = json!({
        "type": "remote", "subType": "disk", "actions": ["sms"], "options": {}, "threshold": 1,
    });
    if ours {
        (sms["gather"], sms["rate"], check["flapping"]) = (0.into(), 0.into(), false.into());
    }
    let site = json!({
        "mqtt": { "hostname": "127.0.0.1", "port": broker.port, "basetopic": "monitor/#" },
        "actions": { "sms": sms }, "checks": { "far": check },
    });
    let mut ours_runs = None;
    let mut original_runs = None;
    if ours {
        ours_runs = Some(Fletchck::start(Program::Full, &site).await?);
    } else {
        original_runs = Some(Original::start(&site).await?);
    }
    let agent = Mqtt::connect(broker.port).await?;
    // Whether it has subscribed is seen by its first answer.
    let first = async || {
        agent.publish("monitor/far", message(false), false).await.ok()?;
        agent.publish("monitor/far", message(true), false).await.ok()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (sink.times() > 0).then_some(())
    };
    wait::until(PATIENCE, "the hub to hear", first).await?;
    let mut took = Vec::new();
    for change in 0..BEFORE + CHANGES {
        tokio::time::sleep(PAUSE).await;
        sink.asked();
        let began = Instant::now();
        agent.publish("monitor/far", message(change % 2 == 1), false).await?;
        took.push(arrival(&sink).await?.saturating_duration_since(began));
    }
    drop((ours_runs, original_runs));
    Ok(took.split_off(BEFORE))
}

/// What an agent of the original's publishes.
fn message(fails: bool) -> Vec<u8> {
    let now = Utc::now().to_rfc3339();
    let text = if fails { "/ is full" } else { "/ is well" };
    let message: Value = json!({ "name": "far", "type": "disk", "data": {
        "threshold": 1, "failState": fails, "failCount": u8::from(fails), "log": [text], "softFail": null,
        "lastCheck": now, "lastFail": fails.then_some(&now), "lastPass": (!fails).then_some(&now), "level": "7%",
    } });
    message.to_string().into_bytes()
}

async fn arrival(sink: &Sink) -> Result<Instant> {
    let come = async || (sink.times() > 0).then_some(());
    wait::until(PATIENCE, "a request", come).await?;
    Ok(sink.asked().first().context("one came")?.at)
}

/// From a target that changes, and the order to look at it, to what comes by this way.
async fn run(pki: &Pki, way: &str) -> Result<Vec<Duration>> {
    let dir = tempfile::tempdir()?;
    let target = dir.path().join("target");
    let (broker, sink, exim) =
        (Mosquitto::start(pki).await?, Sink::start().await?, Exim::start(pki).await?);
    let options = match way {
        "webhook" => json!({ "url": sink.url() }),
        "mqtt" => json!({ "topic": "alerts" }),
        _ => json!({
            "hostname": "localhost", "port": exim.submission, "cafile": pki.ca, "username": Exim::USER,
            "password": Exim::PASSWORD, "sender": Exim::USER, "recipients": ["ann@test.example"],
        }),
    };
    let site = json!({
        "mqtt": { "hostname": "127.0.0.1", "port": broker.port },
        "actions": { "tell": { "type": way, "gather": 0, "rate": 0, "options": options } },
        "checks": { "target": {
            "type": "path", "options": { "path": target }, "actions": ["tell"], "flapping": false,
        } },
    });
    let mut site = Fletchck::start(Program::Full, &site).await?;
    site.process()?.wait_for_line("connected").await?;
    let spectator = Mqtt::connect(broker.port).await?;
    spectator.subscribe("alerts").await?;
    let came = || match way {
        "webhook" => sink.times(),
        "mqtt" => spectator.messages().len(),
        // It writes a line down for each mail it accepts.
        _ => exim.count(),
    };
    let mut took = Vec::new();
    for change in 0..BEFORE + CHANGES {
        tokio::time::sleep(PAUSE).await;
        let before = came();
        let began = Instant::now();
        if change % 2 == 0 {
            fs::remove_file(&target).or_else(
                |error| {
                    if change == 0 { Ok(()) } else { Err(error) }
                },
            )?;
        } else {
            fs::write(&target, "")?;
        }
        site.run_now("target").await?;
        while came() == before {
            ensure!(began.elapsed() < PATIENCE, "change {change} was not told");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(began.elapsed());
    }
    site.stop().await?;
    Ok(took.split_off(BEFORE))
}
