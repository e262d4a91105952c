//! How much memory an answer without end takes.

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    pki::Pki,
    scripted::{Bad, Scripted},
    wait::{self, PATIENCE},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{CASES, Tls, server};

/// Most memory that one answer may take, in KiB.
pub(crate) const ONE: u64 = 1024;

/// The most memory that an agent took whose every check met servers like this, in KiB.
async fn highest(bad: Bad) -> Result<u64> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let trusted = server(&pki.valid)?;
    let mut checks = Map::new();
    let mut servers = Vec::new();
    for (nth, case) in CASES.iter().enumerate() {
        let layer = (case.tls == Tls::Whole).then(|| trusted.clone());
        let server = Scripted::start(bad, case.manner, layer).await?;
        let mut options = case.to("localhost", server.port, 5.0);
        if case.tls == Tls::Whole {
            options["cafile"] = pki.ca.to_str().context("a path")?.into();
        }
        let check =
            json!({"type": case.kind, "trigger": {"interval": {"hours": 1}}, "options": options});
        checks.insert(format!("{nth}"), check);
        servers.push(server);
    }
    mark(checks).await
}

/// The most memory that an agent took that ran each of these checks once, in KiB.
pub(crate) async fn mark(checks: Map<String, Value>) -> Result<u64> {
    let number = checks.len();
    let mut site =
        Fletchck::start(Program::Agent, &json!({ "checks": Value::Object(checks) })).await?;
    let store = site.dir().join("fletchck.db");
    let all_ran = async || {
        let past = Store::read_past(&store).ok()?;
        let ran = past.checks.values().filter(|row| row.state.last_check.is_some()).count();
        (ran == number).then_some(())
    };
    wait::until(PATIENCE, "every check to run once", all_ran).await?;
    let process = site.process()?.id();
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a mark")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_takes_less_than_a_megabyte() -> Result<()> {
    let (short, endless) = (highest(Bad::HangUp).await?, highest(Bad::Endless).await?);
    let checks = CASES.len() as u64;
    println!("{short} KiB without an answer, {endless} KiB with {checks} answers of 100 MB");
    ensure!(endless < short + checks * ONE, "{short} KiB, {endless} KiB");
    Ok(())
}
