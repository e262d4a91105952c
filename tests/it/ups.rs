//! The check `ups` against the server of NUT, whose driver plays a UPS, and beside the original.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Severity, Verdict};
use fletchck_tests::look;
use fletchck_tests::nut::Nut;
use fletchck_tests::scripted::Scripted;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;

use crate::answers::bad;

fn options(port: u16) -> Value {
    json!({"hostname": "127.0.0.1", "port": port, "upsName": Nut::UPS, "timeout": 1})
}

/// What we and the original see, of whom the second is in a thread of its own.
async fn both(options: &Value) -> Result<(Outcome, Value)> {
    let ours = look::ours("ups", options).await?;
    let checks = json!({"ups": ["ups", options]});
    let theirs = spawn_blocking(move || look::originals(&checks, Path::new("/dev/null"))).await??;
    println!("{}", ours.text);
    Ok((ours, theirs["ups"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ups_is_judged_as_the_original_does() -> Result<()> {
    let nut = Nut::start().await?;
    for (status, charge, severity, text) in [
        ("OL", "100", Severity::Ok, "UPS rack is online, battery 100%"),
        (
            "OB DISCHRG",
            "60",
            Severity::Critical,
            "UPS rack: the mains have failed, it runs on its battery, battery 60%",
        ),
        (
            "OB DISCHRG LB",
            "9",
            Severity::Critical,
            "UPS rack: the mains have failed, and its battery is nearly empty, battery 9%",
        ),
        (
            "OL CHRG LB",
            "8.4",
            Severity::Warning,
            "UPS rack is online, its battery is low, battery 8%",
        ),
        (
            "OL RB",
            "100",
            Severity::Critical,
            "UPS rack: its battery must be replaced, battery 100%",
        ),
        (
            "BYPASS",
            "99.5",
            Severity::Critical,
            "UPS rack: it says neither that it is online nor that it is on battery, battery 100%",
        ),
        ("OL CHRG", "99", Severity::Ok, "UPS rack is online, battery 99%"),
    ] {
        nut.set("battery.charge", charge).await?;
        nut.set("ups.status", status).await?;
        let (ours, theirs) = both(&options(nut.port)).await?;
        let told = format!("{status}: {ours:?}, the original {theirs}");
        ensure!(ours.text == text && ours.severity() == severity, "{told}");
        ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
        ensure!(json!(ours.level) == theirs[2] && json!(ours.log) == theirs[1], "{told}");
    }
    // A computer that the UPS feeds is being shut down. The original takes that for a pass as long as the mains are there.
    nut.set("ups.status", "FSD OL").await?;
    let seen = look::ours("ups", &options(nut.port)).await?;
    ensure!(seen.text == "UPS rack: it is shutting down, battery 99%", "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_has_its_limits() -> Result<()> {
    let nut = Nut::start().await?;
    let mut demands = options(nut.port);
    demands["charge"] = json!(50);
    demands["warn"] = json!(80);
    for (charge, severity, text) in [
        ("90", Severity::Ok, "UPS rack is online, battery 90%"),
        ("70", Severity::Warning, "UPS rack is online, battery 70%, under the warning at 80%"),
        ("40", Severity::Critical, "UPS rack is online, battery 40%, under the limit of 50%"),
    ] {
        nut.set("battery.charge", charge).await?;
        let seen = look::ours("ups", &demands).await?;
        ensure!(seen.text == text && seen.severity() == severity, "{seen:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_upsd_from_answering_is_told() -> Result<()> {
    let mut nut = Nut::start().await?;
    let here = options(nut.port);
    let fails = async |options: &Value, end: &str| -> Result<()> {
        let (ours, theirs) = both(options).await?;
        let told = format!("{ours:?}, the original {theirs}");
        ensure!(ours.verdict == Verdict::Fail && theirs[0] == false, "{told}");
        ensure!(ours.text.ends_with(end) && ours.text.contains("127.0.0.1"), "{end}: {told}");
        ensure!(ours.level.is_none() && theirs[2].is_null(), "{told}");
        Ok(())
    };
    let mut other = here.clone();
    other["upsName"] = json!("shelf");
    let unknown = "the server knows no UPS of that name (UNKNOWN-UPS): `upsName` is `shelf`";
    fails(&other, unknown).await?;

    nut.driver().signal(Signal::STOP)?;
    nut.wait_for_refusal("DATA-STALE").await?;
    fails(&here, "its driver has no fresh data (DATA-STALE): is its cable in place?").await?;
    nut.driver().signal(Signal::CONT)?;
    nut.wait_for("ups.status", "OL").await?;
    let back = look::ours("ups", &here).await?;
    ensure!(back.verdict == Verdict::Pass, "{back:?}");

    nut.driver().kill();
    nut.wait_for_refusal("DRIVER-NOT-CONNECTED").await?;
    fails(&here, "its driver does not run (DRIVER-NOT-CONNECTED)").await?;

    nut.server().signal(Signal::STOP)?;
    let silent = "the NUT server was connected and asked, and its answer did not come to its end";
    fails(&here, silent).await?;
    bad::look("ups", &here).await?;
    nut.server().signal(Signal::CONT)?;
    nut.server().stop().await?;
    fails(&here, "connection refused (nothing listens there)").await
}

/// upsd asks nobody for a login who only reads, as the first of these sees; what others than it may want is scripted.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_not_given_and_where_it_is_wanted_that_is_told() -> Result<()> {
    let nut = Nut::start().await?;
    let seen = look::ours("ups", &options(nut.port)).await?;
    ensure!(seen.verdict == Verdict::Pass, "{seen:?}");
    let said: Vec<_> =
        seen.conversation.iter().filter_map(|line| line.strip_prefix("> ")).collect();
    ensure!(said == ["LIST VAR rack", "LOGOUT"], "{seen:?}");

    for (answer, words) in [
        (
            "ERR USERNAME-REQUIRED\n",
            "the server wants a login (USERNAME-REQUIRED), and this check has none",
        ),
        ("ERR ACCESS-DENIED\n", "the server does not answer this machine (ACCESS-DENIED)"),
        ("ERR FEATURE-NOT-SUPPORTED\n", "the server refused: FEATURE-NOT-SUPPORTED"),
    ] {
        let server = Scripted::serve(move |mut stream| async move {
            let heard = stream.read(&mut [0; 64]).await?;
            ensure!(heard > 0, "nothing was asked");
            stream.write_all(answer.as_bytes()).await.context("answering")
        })
        .await?;
        let (ours, theirs) = both(&options(server.port)).await?;
        let told = format!("{ours:?}, the original {theirs}");
        ensure!(ours.verdict == Verdict::Fail && theirs[0] == false, "{told}");
        ensure!(ours.text.ends_with(words), "{told}");
    }
    Ok(())
}
