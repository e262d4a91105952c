//! A site of the original moves here, and back.

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::mosquitto::Mosquitto;
use fletchck_tests::original::Original;
use fletchck_tests::pki::Pki;
use fletchck_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A site with every type of check, as the original saved it.
const SAVED: &str = include_str!("../../shared/samples/site-saved-by-original.json");

/// The saved site, with a broker that exists and without the pages, whose certificate was elsewhere.
fn site(broker: &Mosquitto) -> Result<Value> {
    let mut site: Value = serde_json::from_str(SAVED)?;
    site["mqtt"]["port"] = json!(broker.port);
    site["webui"] = Value::Null;
    Ok(site)
}

#[tokio::test]
async fn the_originals_site_runs_here_and_keeps_every_key_when_it_is_saved() -> Result<()> {
    let dir = TempDir::new()?;
    let broker = Mosquitto::start(&Pki::create(dir.path())?).await?;
    let before = site(&broker)?;
    let mut fletchck = Fletchck::start(Program::Full, &before).await?;
    let addition = dir.path().join("more.json");
    std::fs::write(&addition, r#"{"checks": {"one more": {"type": "disk"}}}"#)?;
    let merged = fletchck.run(&["merge", &addition.display().to_string()]).await?;
    ensure!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    fletchck.stop().await?;
    let after = fletchck.saved()?;
    ensure!(after["checks"]["one more"]["type"] == "disk", "the merge saved nothing");
    lost(&before, &after, "", true)
}

#[tokio::test]
async fn what_is_exported_is_loaded_by_the_original() -> Result<()> {
    let dir = TempDir::new()?;
    let broker = Mosquitto::start(&Pki::create(dir.path())?).await?;
    let before = site(&broker)?;
    let mut fletchck = Fletchck::start(Program::Full, &before).await?;
    fletchck.stop().await?;
    let output = fletchck.run(&["export"]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let exported: Value = serde_json::from_slice(&output.stdout)?;
    lost(&before, &exported, "", false)?;

    let mut original = Original::start(&exported).await?;
    let loaded = original.stop().await?;
    let checks = before["checks"].as_object().context("no checks")?;
    for (name, check) in checks {
        let (was, is) = (&exported["checks"][name], &loaded["checks"][name]);
        ensure!(is["type"] == check["type"], "`{name}` was not loaded: {is}");
        for field in ["failCount", "lastPass", "lastFail", "level"] {
            // A check may run once more in between; then it has a newer time.
            let resumed = is["data"]["lastCheck"] != was["data"]["lastCheck"]
                || is["data"][field] == was["data"][field];
            ensure!(
                resumed,
                "`{name}`: {field} was {}, is {}",
                was["data"][field],
                is["data"][field]
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_export_of_checks_that_the_original_lacks_is_loaded_by_it_without_them() -> Result<()> {
    let dir = TempDir::new()?;
    let log = dir.path().join("app.log");
    std::fs::write(&log, "begun\nand then")?;
    let heard = "2026-01-02T03:04:05.678900+00:00";
    let site = json!({ "timezone": "UTC", "checks": {
        "port": { "type": "tcp", "options": { "hostname": "127.0.0.1", "port": 9 } },
        "root": { "type": "disk", "depends": ["port"] },
        "all": { "type": "sequence", "options": { "checks": ["root", "port"] } },
        "log": { "type": "file", "trigger": { "interval": { "seconds": 1 } },
                 "options": { "filename": log } },
        "far": { "type": "remote", "data": { "failState": false, "lastUpdate": heard } },
    } });
    let mut fletchck = Fletchck::start(Program::Full, &site).await?;
    let left_off = async || {
        let output = fletchck.run(&["export"]).await.ok()?;
        let exported: Value = serde_json::from_slice(&output.stdout).ok()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        exported.pointer("/checks/log/options/_cp")?.is_u64().then_some((exported, told))
    };
    let (exported, told) = wait::until(PATIENCE, "the log to have been read", left_off).await?;
    fletchck.stop().await?;
    ensure!(told.contains("checks.port is left out: the original has no type `tcp`"), "{told}");
    ensure!(told.contains("checks.all.options.checks is without \"port\""), "{told}");

    let loaded = Original::start(&exported).await?.stop().await?;
    ensure!(loaded["checks"].get("port").is_none(), "{loaded}");
    ensure!(loaded["checks"]["all"]["options"]["checks"] == json!(["root"]), "{loaded}");
    ensure!(loaded["checks"]["far"]["data"]["lastUpdate"] == heard, "{loaded}");
    let options = &loaded["checks"]["log"]["options"];
    for key in ["_path", "_ino", "_dev"] {
        ensure!(options[key] == exported["checks"]["log"]["options"][key], "{key}: {options}");
    }
    // The end, or where the line without an end begins.
    ensure!(options["_cp"].as_u64().is_some_and(|at| [6, 14].contains(&at)), "{options}");
    Ok(())
}

/// Finds what is in `before` but not in `after`; with `values`, also what has another value there.
fn lost(before: &Value, after: &Value, path: &str, values: bool) -> Result<()> {
    match before {
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            let path = format!("{path}/{key}");
            let found = after.get(key).with_context(|| format!("{path} is lost"))?;
            lost(value, found, &path, values)
        }),
        _ => {
            ensure!(!values || before == after, "{path} was {before}, is {after}");
            Ok(())
        }
    }
}
