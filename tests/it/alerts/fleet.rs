//! Alerts of a fleet: silences by the labels of agents, and what agents hold back themselves.

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fault,
    fletchck::{Fletchck, Program},
    port,
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};

use super::deciding::{done, reached};
use crate::fleet::{SECRET, agent};

fn hub(port: u16) -> Value {
    json!({
        "agent": { "id": "hub-1" },
        "broker": {
            "listeners": [{ "listen": format!("127.0.0.1:{port}") }],
            "users": { "nas": { "password": SECRET } },
        },
        "fleet": { "actions": ["log"], "grace": 1 },
        "actions": { "log": { "type": "log" } },
        "checks": {},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_by_label_holds_for_an_agent_and_over_a_restart_of_the_hub() -> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port)).await?;
    reached(&hub).await?;
    done(&hub, &["silence", "--label", "room=cellar", "--for", "1h"]).await?;
    let target = tempfile::tempdir()?;
    let mut nas = agent(port, "nas", &target.path().join("missing"));
    nas["agent"]["labels"] = json!({ "room": "cellar", "site": "barn" });
    let _nas = Fletchck::start(Program::Agent, &nas).await?;
    hub.until("nas/root", "fail").await?;
    let told = |log: &str| log.contains("nas/root (disk): FAIL");
    let log = hub.process()?.log();
    ensure!(!told(&log), "{log}");

    hub.kill();
    hub.restart().await?;
    let known = hub.state("nas/root").context("known")?;
    let hidden = known.alert.hidden.context("hidden")?;
    ensure!(hidden.why.contains("silenced"), "{hidden:?}");
    let heard = async || hub.state("nas/root").filter(|s| s.last_check != known.last_check);
    wait::until(2 * PATIENCE, "`nas` to come back", heard).await?;
    let log = hub.process()?.log();
    ensure!(!told(&log), "{log}");
    reached(&hub).await?;
    done(&hub, &["end-silence", "1"]).await?;
    hub.process()?.wait_for_line("nas/root (disk): FAIL").await?;
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_as_grave_to_a_hub_as_to_the_owner_of_its_agent() -> Result<()> {
    let port = port::free();
    let mut config = hub(port);
    config["actions"]["pager"] =
        json!({ "type": "mqtt", "severity": "critical", "options": { "topic": "pager" } });
    config["fleet"]["actions"] = json!(["log", "pager"]);
    let mut hub = Fletchck::start(Program::Full, &config).await?;
    let target = tempfile::tempdir()?;
    let mut nas = agent(port, "nas", &target.path().join("missing"));
    nas["checks"]["root"]["severity"] = "warning".into();
    let _nas = Fletchck::start(Program::Agent, &nas).await?;
    hub.process()?.wait_for_line("nas/root (disk): WARN").await?;
    let state = hub.until("nas/root", "fail").await?;
    let told: Vec<_> = state.alert.told.keys().map(|action| action.as_str()).collect();
    ensure!(told == ["log"], "{told:?}");
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_run_by_the_full_program_has_its_alerts_managed_on_its_own_machine()
-> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port)).await?;
    let target = tempfile::tempdir()?;
    let mut config = agent(port, "nas", &target.path().join("missing"));
    config["actions"] = json!({ "log": { "type": "log" } });
    config["checks"]["root"]["actions"] = json!(["log"]);
    let mut nas = Fletchck::start(Program::Full, &config).await?;
    hub.until("nas/root", "fail").await?;
    reached(&nas).await?;
    done(&nas, &["ack", "root", "--comment", "on my way"]).await?;
    let state = nas.state("root").context("known")?;
    ensure!(state.alert.ack.is_some_and(|ack| ack.comment == "on my way"), "it is taken on here");
    let state = hub.state("nas/root").context("known")?;
    ensure!(state.alert.ack.is_none(), "whom the hub tells is for the hub to be asked");
    done(&nas, &["silence", "--check", "*", "--for", "1h"]).await?;
    let said = done(&nas, &["alerts"]).await?;
    ensure!(said.contains("silence 1: *, until "), "{said}");
    let said = done(&nas, &["resend"]).await?;
    ensure!(said.starts_with("nothing was given up"), "{said}");
    nas.stop().await?;
    hub.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_holds_back_for_its_uplink_raises_one_alert_at_the_hub() -> Result<()> {
    let port = port::free();
    let mut hub = Fletchck::start(Program::Full, &hub(port)).await?;
    let target = tempfile::tempdir()?;
    let line = target.path().join("line");
    let mut nas = agent(port, "nas", &line);
    nas["uplink"] = "root".into();
    nas["defaults"] = json!({ "skip": false });
    nas["checks"]["web"] = json!({
        "type": "tcp", "trigger": { "interval": { "seconds": 1 } },
        "options": { "hostname": "127.0.0.1", "port": fault::refused() },
    });
    let _nas = Fletchck::start(Program::Agent, &nas).await?;
    hub.until("nas/root", "fail").await?;
    hub.until("nas/web", "fail").await?;
    let held = async || hub.state("nas/web")?.alert.hidden.map(|hidden| hidden.why);
    let why = wait::until(PATIENCE, "`web` to be held", held).await?;
    ensure!(why.starts_with("its agent says that it depends on `root`"), "{why}");
    hub.process()?.wait_for_line("nas/root (disk): FAIL").await?;
    let log = hub.process()?.log();
    ensure!(!log.contains("nas/web (tcp): FAIL"), "{log}");
    // Once the line is back, what fails by itself is told.
    std::fs::create_dir(&line)?;
    hub.process()?.wait_for_line("nas/web (tcp): FAIL").await?;
    hub.process()?.wait_for_line("nas/root (disk): PASS").await?;
    hub.stop().await
}
