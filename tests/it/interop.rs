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

/// What our hub knows of its checks, in the original's format.
async fn exported(hub: &Fletchck) -> Result<Value> {
    let output = hub.run(&["export"]).await?;
    ensure!(output.status.success(), "export: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("reading what export printed")
}

fn agent_of_ours(port: u16, checks: Value) -> Value {
    json!({ "agent": { "id": "ours" }, "mqtt": { "hostname": "127.0.0.1", "port": port }, "checks": checks })
}

fn hub_of_ours(port: u16) -> Value {
    json!({
        "agent": { "id": "hub" },
        "mqtt": { "hostname": "127.0.0.1", "port": port, "basetopic": "fl/#", "autoadd": true },
        "checks": {},
    })
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

#[tokio::test]
async fn ours_reads_every_field_of_the_original() -> Result<()> {
    let (broker, _dir) = broker().await?;
    let spectator = Mqtt::connect(broker.port).await?;
    spectator.subscribe("fl/#").await?;
    let hub = Fletchck::start(Program::Full, &hub_of_ours(broker.port)).await?;
    let checks = checks("fl/original");
    let names = published(&checks);
    let mut agent = Original::start(&Original::agent(broker.port, checks)).await?;
    latest(&spectator, &names).await?;
    agent.stop().await?;
    let sent = told(&spectator);
    for name in &names {
        let sent = &sent[name];
        let heard = async || {
            let kept = exported(&hub).await.ok()?["checks"][name].take();
            equal("lastCheck", &sent["data"]["lastCheck"], &kept["data"]["lastCheck"])
                .then_some(kept)
        };
        let kept = wait::until(PATIENCE, &format!("our hub to hear of `{name}`"), heard).await?;
        ensure!(kept["type"] == "remote" && kept["subType"] == sent["type"], "`{name}`: {kept}");
        same(name, sent, &kept)?;
    }
    Ok(())
}

/// What ends the original's receiving thread, fills its site or breaks its pages harms nothing here, live or retained.
#[tokio::test]
async fn poison_harms_nothing() -> Result<()> {
    let (broker, _dir) = broker().await?;
    let client = Mqtt::connect(broker.port).await?;
    let mut hub = Fletchck::start(Program::Full, &hub_of_ours(broker.port)).await?;
    for retain in [false, true] {
        for (number, payload) in poison().into_iter().enumerate() {
            client.publish(&format!("fl/poison/{number}"), payload, retain).await?;
        }
        let name = if retain { "after retained" } else { "after live" };
        client.publish("fl/honest", honest(name), retain).await?;
        let heard = async || exported(&hub).await.ok()?["checks"].get(name).cloned();
        wait::until(PATIENCE, "our hub to hear an honest message after the poison", heard).await?;
        hub.restart().await?;
        client.publish("fl/honest", honest("after a restart"), false).await?;
        let heard = async || exported(&hub).await.ok()?["checks"].get("after a restart").cloned();
        wait::until(PATIENCE, "our hub to hear an honest message after its restart", heard).await?;
    }
    let site = exported(&hub).await?;
    let names: Vec<&String> = site["checks"].as_object().context("no checks")?.keys().collect();
    // Some of the poison can be read all the same: a count that is null, a time that is none.
    ensure!(
        names.iter().all(|name| name.starts_with("after") || name.starts_with("odd")),
        "{names:?}"
    );
    let panic =
        hub.process()?.log().lines().find(|line| line.contains("panicked")).map(str::to_owned);
    ensure!(panic.is_none(), "{panic:?}");
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

fn poison() -> Vec<Vec<u8>> {
    let data = |change: &[(&str, Value)]| {
        let mut message = message("odd threshold");
        for (field, value) in change {
            message["data"][field] = value.clone();
        }
        message
    };
    let named = |name: Value, message: &mut Value| {
        message["name"] = name;
        message.to_string().into_bytes()
    };
    let failing = ("failState", json!(true));
    vec![
        // The two that end the original's thread.
        data(&[failing.clone(), ("threshold", json!(null))]).to_string().into_bytes(),
        named(json!("odd failCount"), &mut data(&[failing, ("failCount", json!(null))])),
        b"\xff\xfe\x80 not text".to_vec(),
        // Text as JSON, but no Unicode: a surrogate alone.
        br#"{"name": "\ud800", "type": "disk", "data": {"failState": false}}"#.to_vec(),
        // Names without end, without letters, or none at all.
        named(json!("n".repeat(1 << 20)), &mut data(&[])),
        named(json!("n".repeat(5000)), &mut data(&[])),
        named(json!(""), &mut data(&[])),
        named(json!(null), &mut data(&[])),
        named(json!({ "not": "a name" }), &mut data(&[])),
        // Types that are not the field's.
        named(json!("bad"), &mut data(&[("log", json!("no list"))])),
        named(json!("bad"), &mut data(&[("threshold", json!("1"))])),
        named(json!("bad"), &mut data(&[("failState", json!([]))])),
        named(json!("odd time"), &mut data(&[("lastCheck", json!("yesterday"))])),
        named(json!("bad"), &mut data(&[("softFail", json!(1))])),
        // Other JSON, none, and very deep.
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{".to_vec(),
        b"[".repeat(60_000),
        vec![b'x'; 4 << 20],
    ]
}

/// Every field of the message `sent` is in the check that came of it. Where the program keeps no threshold among
/// what it has heard, it has made it the check's own.
fn same(name: &str, sent: &Value, check: &Value) -> Result<()> {
    let (sent, mut kept) = (fields::shared(&sent["data"]), fields::shared(&check["data"]));
    if kept["threshold"].is_null() {
        kept["threshold"] = check["threshold"].clone();
    }
    for (field, value) in &sent {
        ensure!(
            equal(field, value, &kept[field]),
            "`{name}`: {field} was sent as {value}, is {}",
            kept[field]
        );
    }
    Ok(())
}

/// Whether a field's value has arrived: a time as the same moment, anything else as it was.
fn equal(field: &str, sent: &Value, kept: &Value) -> bool {
    let moment = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok();
    match field {
        // To the original, a check that fails from its beginning has always failed, and a paused one was never looked at;
        // to us either began when it was heard.
        "lastCheck" | "lastFail" | "lastPass" if sent.is_null() => true,
        "lastCheck" | "lastFail" | "lastPass" => moment(sent) == moment(kept),
        _ => sent == kept,
    }
}
