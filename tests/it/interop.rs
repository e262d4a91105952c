//! Ours and the original on one broker, in both roles.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fields;
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::mosquitto::Mosquitto;
use fletchck_tests::mqtt::Mqtt;
use fletchck_tests::original::Original;
use fletchck_tests::pki::Pki;
use fletchck_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Checks that both programs have, in every state a message can tell of. Each publishes below `base`.
fn checks(base: &str) -> Value {
    let every_second = json!({ "interval": { "seconds": 1 } });
    let mut checks = json!({
        "passes": { "type": "disk", "options": { "level": 100 } },
        "fails": { "type": "disk", "options": { "volume": "/there is none" } },
        "patient": { "type": "disk", "options": { "volume": "/there is none" }, "threshold": 1000 },
        "blocked": { "type": "disk", "depends": ["fails"] },
        "paused": { "type": "disk", "paused": true },
        "memory": { "type": "memory", "options": { "level": 100 } },
        "refused": { "type": "https", "options": { "hostname": "127.0.0.1", "port": 1, "timeout": 2 } },
        "Дверь ☃ \"q\"": { "type": "disk", "options": { "level": 100 } },
        "all well": { "type": "sequence", "options": { "checks": ["member"] } },
        "not well": { "type": "sequence", "options": { "checks": ["member", "bad member"] } },
        "member": { "type": "disk", "options": { "level": 100 } },
        "bad member": { "type": "disk", "options": { "volume": "/there is none" } },
    });
    for (number, (name, check)) in checks.as_object_mut().into_iter().flatten().enumerate() {
        // Members run with their sequence, and nothing is published of them then by the original.
        if !name.ends_with("member") {
            check["trigger"] = every_second.clone();
            check["publish"] = json!(format!("{base}/{number}"));
        }
    }
    checks
}

/// The names of those that publish.
fn published(checks: &Value) -> Vec<String> {
    let checks = checks.as_object().into_iter().flatten();
    checks.filter(|(_, check)| check["publish"].is_string()).map(|(name, _)| name.clone()).collect()
}

async fn broker() -> Result<(Mosquitto, TempDir)> {
    let dir = TempDir::new()?;
    Ok((Mosquitto::start(&Pki::create(dir.path())?).await?, dir))
}

/// Waits until each of `names` has reported twice, and returns the latest message of each.
async fn latest(spectator: &Mqtt, names: &[String]) -> Result<BTreeMap<String, Value>> {
    for name in names {
        let reports = async || {
            let messages = spectator.messages();
            let of_it = messages.iter().filter(|message| message.json()["name"] == name.as_str());
            (of_it.count() >= 2).then_some(())
        };
        wait::until(PATIENCE, &format!("two reports of `{name}`"), reports).await?;
    }
    Ok(told(spectator))
}

/// The latest message about each name.
fn told(spectator: &Mqtt) -> BTreeMap<String, Value> {
    let messages = spectator.messages();
    let told = messages.iter().map(|message| message.json()).filter(Value::is_object);
    told.filter_map(|message| Some((message["name"].as_str()?.to_owned(), message))).collect()
}

fn agent_of_ours(port: u16, checks: Value) -> Value {
    json!({ "agent": { "id": "ours" }, "mqtt": { "hostname": "127.0.0.1", "port": port }, "checks": checks })
}

#[tokio::test]
async fn the_original_reads_every_field_of_ours() -> Result<()> {
    let (broker, _dir) = broker().await?;
    let spectator = Mqtt::connect(broker.port).await?;
    spectator.subscribe("fl/#").await?;
    let mut hub = Original::start(&Original::hub(broker.port, "fl/#")).await?;
    let checks = checks("fl/ours");
    let names = published(&checks);
    let mut agent = Fletchck::start(Program::Agent, &agent_of_ours(broker.port, checks)).await?;
    for (name, message) in latest(&spectator, &names).await? {
        fields::check(&message).with_context(|| format!("`{name}`: {message}"))?;
    }
    agent.stop().await?;
    let sent = told(&spectator);
    // Messages are taken in order: once it has logged this one, it has taken all before.
    spectator.publish("fl/sentinel", honest("the sentinel"), false).await?;
    hub.process()?.wait_for_line("the sentinel").await?;
    let saved = hub.stop().await?;
    for name in names {
        let (sent, kept) = (&sent[&name], &saved["checks"][&name]);
        ensure!(kept["type"] == "remote" && kept["subType"] == sent["type"], "`{name}`: {kept}");
        same(&name, sent, kept)?;
    }
    Ok(())
}

/// A message as the original sends it, of a disk that passes.
fn honest(name: &str) -> Vec<u8> {
    message(name).to_string().into_bytes()
}

fn message(name: &str) -> Value {
    json!({
        "name": name, "type": "disk",
        "data": {
            "threshold": 1, "failState": false, "failCount": 0, "log": [], "softFail": null, "lastCheck": null,
            "lastFail": null, "lastPass": null, "level": "9%",
        },
    })
}

/// Every field of the message `sent` is in the check that came of it. Where the program keeps no threshold among
/// what it has heard, it has made it the check's own.
fn same(name: &str, sent: &Value, check: &Value) -> Result<()> {
    let (sent, mut kept) = (fields::shared(&sent["data"]), fields::shared(&check["data"]));
    if kept["threshold"].is_null() {
        kept["threshold"] = check["threshold"].clone();
    }
    for (field, value) in &sent {
        ensure!(kept[field] == *value, "`{name}`: {field} was sent as {value}, is {}", kept[field]);
    }
    Ok(())
}
