//! The action `mqtt` of a running agent, and secrets in files.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    sink::Sink,
    wait::PATIENCE,
};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_tells_by_its_broker() -> Result<()> {
    let dir = TempDir::new()?;
    let broker = Mosquitto::start(&Pki::create(dir.path())?).await?;
    let site = json!({
        "mqtt": { "hostname": "127.0.0.1", "port": broker.port },
        "actions": {
            "broker": { "type": "mqtt", "options": { "topic": "home/alerts", "retain": true } },
            "words": { "type": "mqtt", "options": { "topic": "home/words", "text": "{{ message }}" } },
        },
        "checks": { "own": {
            "type": "exec", "trigger": { "interval": { "seconds": 1 } },
            "actions": ["broker", "words"],
            "options": { "command": ["/bin/sh", "-c", "echo ill; exit 2"] },
        } },
    });
    let hears = Mqtt::connect(broker.port).await?;
    hears.subscribe("home/#").await?;
    let mut agent = Fletchck::start(Program::Agent, &site).await?;
    let on =
        async |topic: &str| hears.wait_for(PATIENCE, topic, |message| message.topic == topic).await;
    let told = on("home/alerts").await?.json();
    ensure!(told["entries"][0]["check"] == "own" && told["v"] == 1, "{told}");
    ensure!(told["entries"][0]["text"] == "ill" && told["severity"] == "critical", "{told}");
    let words = String::from_utf8(on("home/words").await?.payload)?;
    ensure!(words.starts_with("own fails: ill\nSince "), "{words}");
    agent.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_actions_lie_in_files_and_are_printed_nowhere() -> Result<()> {
    let sink = Sink::start().await?;
    let action = |kind: &str, options: Value| json!({ "type": kind, "options": options });
    let mut site = Fletchck::prepare(
        Program::Full,
        &json!({
            "actions": {
                "hook": action("webhook", json!({ "url_file": "url", "secret_file": "secret" })),
                "ntfy": action("ntfy", json!({ "topic": "t", "url": sink.url(), "token_file": "token" })),
                "sms": action("sms", json!({ "recipients": ["1"], "apikey_file": "token", "url": sink.url() })),
            },
            "checks": { "own": {
                "type": "exec", "trigger": { "interval": { "seconds": 1 } },
                "actions": ["hook", "ntfy", "sms"],
                "options": { "command": ["/bin/false"] },
            } },
        }),
    )?;
    for (name, secret) in [
        ("url", format!("{}/sesame-1", sink.url())),
        ("secret", "sesame-2".into()),
        ("token", "sesame-3".into()),
    ] {
        fs::write(site.dir().join(name), secret)?;
    }
    let output = site.run(&["check-config"]).await?;
    let said =
        format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(output.status.success() && !said.contains("sesame"), "{said}");
    fs::write(site.dir().join("url"), "gopher://sesame-1")?;
    let output = site.run(&["check-config"]).await?;
    let said =
        format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    ensure!(
        said.contains("it is no address of a web service") && !said.contains("sesame"),
        "{said}"
    );
    fs::write(site.dir().join("url"), format!("{}/sesame-1", sink.url()))?;
    site.restart().await?;
    let mut asked = Vec::new();
    while asked.len() < 3 {
        asked.extend(sink.wait_for(1).await?);
    }
    let of = |path: &str| asked.iter().find(|asked| asked.path == path).context("a request");
    ensure!(of("/sesame-1")?.header("x-fletchck-signature").starts_with("sha256="), "{asked:?}");
    ensure!(
        asked.iter().filter(|asked| asked.header("authorization") == "Bearer sesame-3").count()
            == 2
    );
    let log = site.process()?.log();
    ensure!(!log.contains("sesame"), "{log}");
    site.stop().await
}
