//! The command line, as people and scripts meet it.

use std::{
    fs, io,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    nginx::Nginx,
    pki::Pki,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// Runs a program in a folder, with nobody who reads its standard output.
async fn unread(program: Program, dir: &TempDir, args: &[&str]) -> Result<Output> {
    let (reader, writer) = io::pipe()?;
    drop(reader);
    let mut command = Command::new(program.path()?);
    command.current_dir(dir.path()).args(args).stdout(writer);
    spawn_blocking(move || command.output()).await?.context("running it")
}

#[tokio::test]
async fn a_reader_who_has_had_enough_is_no_failure() -> Result<()> {
    let dir = TempDir::new()?;
    let site = json!({ "checks": { "root": { "type": "disk", "options": { "level": 100 } } } });
    fs::write(dir.path().join("fletchck.conf"), site.to_string())?;
    let both = [&["check-config"] as &[&str], &["check", "root"], &["list"]];
    let ours = [&["export"] as &[&str], &["completions", "bash"]];
    let runs = [(Program::Full, &both[..]), (Program::Full, &ours), (Program::Agent, &both)];
    for (program, commands) in runs {
        for args in commands {
            let output = unread(program, &dir, args).await?;
            let told = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() && told.is_empty(), "{args:?}: {told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_was_emptied_is_told() -> Result<()> {
    let mut site = Fletchck::start(Program::Agent, &json!({ "checks": {} })).await?;
    ensure!(!site.process()?.log().contains("is empty"), "a new store is no empty one");
    site.stop().await?;
    fs::write(site.dir().join("fletchck.db"), "")?;
    site.restart().await?;
    site.process()?.wait_for_line("fletchck.db is empty, and is made anew").await?;
    site.stop().await
}

#[tokio::test]
async fn a_check_tells_its_parts_and_the_whole_and_a_sequence_what_its_members_said() -> Result<()>
{
    let dir = TempDir::new()?;
    let nginx = Nginx::start(&Pki::create(dir.path())?).await?;
    let site = Fletchck::prepare(
        Program::Full,
        &json!({ "checks": {
            "page": { "type": "https",
                      "options": { "hostname": "127.0.0.1", "port": nginx.http, "tls": false } },
            "ram": { "type": "memory", "options": { "level": 100 } },
            "all": { "type": "sequence", "options": { "checks": ["page", "ram"] } },
        } }),
    )?;
    for (args, wanted) in [
        (&["check", "page"] as &[&str], &["dns ", "connect ", "first byte ", "total "] as &[&str]),
        (&["check", "ram"], &["look ", "total "]),
        (&["check", "all", "--explain"], &["total ", "page: > HEAD / HTTP/1.1"]),
    ] {
        let output = site.run(args).await?;
        let told = String::from_utf8_lossy(&output.stdout);
        let missing = wanted
            .iter()
            .find(|part| !told.lines().any(|line| line.trim_start().starts_with(**part)));
        ensure!(output.status.success() && missing.is_none(), "{missing:?} of {args:?}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn the_agent_says_what_it_is_and_checks_any_configuration() -> Result<()> {
    let dir = TempDir::new()?;
    fs::write(dir.path().join("other.json"), r#"{"checks": {"a": {"type": "dsik"}}}"#)?;
    let agent = async |args: &[&str]| {
        let mut command = Command::new(Program::Agent.path()?);
        command.current_dir(dir.path()).args(args);
        anyhow::Ok(spawn_blocking(move || command.output()).await??)
    };
    let checked = agent(&["check-config", "other.json"]).await?;
    let told = String::from_utf8_lossy(&checked.stdout);
    ensure!(checked.status.code() == Some(1) && told.contains("did you mean `disk`?"), "{told}");
    let help = agent(&["--help"]).await?;
    let told = String::from_utf8_lossy(&help.stdout);
    ensure!(told.starts_with("Runs the checks of one machine"), "{told}");
    Ok(())
}

#[tokio::test]
async fn the_log_says_once_how_grave_a_fault_is() -> Result<()> {
    let checks = json!({ "a": { "type": "dsik" }, "b": { "type": "disk", "colour": 5 } });
    let mut site = Fletchck::start(Program::Agent, &json!({ "checks": checks })).await?;
    let log = site.process()?.log();
    let line = |part: &str| log.lines().find(|line| line.contains(part)).unwrap_or_default();
    ensure!(line("checks.a.type").contains("ERROR"), "{log}");
    ensure!(line("checks.b.colour").contains("WARN"), "{log}");
    ensure!(!log.contains("error: ") && !log.contains("warning: "), "{log}");
    site.write(&json!({ "checks": { "a": { "type": "dsik" }, "b": { "type": "dsk" } } }))?;
    site.process()?.wait_for_line("has 1 new fault; what ran before goes on").await?;
    site.stop().await
}
