//! A site of the original moves here, and back.

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::mosquitto::Mosquitto;
use fletchck_tests::original::Original;
use fletchck_tests::pki::Pki;
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
