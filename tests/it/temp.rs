//! The check `temp` with nginx in the place of a probe, and beside the original.

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::Verdict;
use fletchck_tests::look;
use fletchck_tests::nginx::Nginx;
use fletchck_tests::pki::Pki;
use serde_json::{Value, json};
use tempfile::TempDir;

fn page(inner: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><root>{inner}</root>")
}

#[tokio::test]
async fn verdicts_and_logs_of_temperatures_are_those_of_the_original() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let nginx = Nginx::start(&pki).await?;
    let options = |more: Value| {
        let mut options = json!({"hostname": "127.0.0.1", "port": nginx.http});
        options
            .as_object_mut()
            .into_iter()
            .for_each(|all| all.extend(more.as_object().cloned().unwrap_or_default()));
        options
    };
    for (inner, passes) in [
        ("<all><vs1>23.4°C</vs1><vs2>99.0°C</vs2></all>", true),
        ("<all><vs1>-7.25°C</vs1></all>", true),
        // A new check of the original fails until it has passed, so the hysteresis is left out here.
        ("<all><vs1>47.9°C</vs1></all>", true),
        ("<all><vs1>50.1°C</vs1></all>", false),
        ("<all><vs1>23.4°F</vs1></all>", false),
        ("<all><vs1/></all>", false),
        ("<all>", false),
        ("<vs1>23.4°C</vs1>", false),
    ] {
        nginx.serve("event.xml", &page(inner))?;
        let checks = json!({"warm": ["temp", options(json!({}))], "low": ["temp", options(json!({"temperature": 20}))]});
        for (name, theirs) in look::originals(&checks, &pki.ca)? {
            let ours = look::ours("temp", &checks[&name][1]).await?;
            let told = format!("{inner} {name}: {ours:?}, the original {theirs}");
            ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
            ensure!(name != "warm" || (ours.verdict == Verdict::Pass) == passes, "{told}");
            ensure!(json!(ours.level) == theirs[2] && json!(ours.soft_fail) == theirs[3], "{told}");
            if ours.level.is_some() {
                ensure!(json!(ours.log) == theirs[1], "{told}");
            }
        }
    }
    let missing = options(json!({"port": nginx.https}));
    let checks = json!({"TLS": ["temp", missing], "refused": ["temp", {"hostname": "127.0.0.1", "port": 1}]});
    for (name, theirs) in look::originals(&checks, &pki.ca)? {
        let ours = look::ours("temp", &checks[&name][1]).await?;
        let told = format!("{name}: {ours:?}, the original {theirs}");
        ensure!(ours.verdict == Verdict::Fail && theirs[0] == false, "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn a_temperature_is_told_with_its_steps() -> Result<()> {
    let dir = TempDir::new()?;
    let nginx = Nginx::start(&Pki::create(dir.path())?).await?;
    let options = json!({"hostname": "127.0.0.1", "port": nginx.http, "warn": 20});
    let absent = look::ours("temp", &options).await?;
    ensure!(
        absent.text.ends_with("/event.xml was answered 404 Not Found, wanted 200"),
        "{absent:?}"
    );
    nginx.serve("event.xml", &page("<all><vs1>23.4°C</vs1></all>"))?;
    let seen = look::ours("temp", &options).await?;
    ensure!(seen.verdict == Verdict::Pass && seen.warning, "{seen:?}");
    let steps: Vec<_> = seen.phases.iter().map(|phase| phase.name.as_str()).collect();
    ensure!(steps == ["dns", "connect", "first byte", "body"], "{seen:?}");
    let request = nginx.requests()?.pop().context("a request")?;
    ensure!(request.starts_with("GET /event.xml HTTP/1.1 200 fletchck/"), "{request}");
    Ok(())
}
