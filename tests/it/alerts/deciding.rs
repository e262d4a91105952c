//! What people decide about alerts, from the command line.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    sink::{Answer, Sink},
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};

/// A site whose check fails, with an action that tells this service.
fn site(sink: &Sink) -> Value {
    json!({
        "actions": {
            "tell": { "type": "log" },
            "web": { "type": "webhook", "gather": 0, "options": { "url": sink.url() } },
        },
        "checks": { "disk": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "actions": ["tell", "web"],
            "options": { "volume": "/there is none", "level": 100 },
        } },
    })
}

/// Waits until the command line reaches a site that has just been started, by a socket that is its owner's alone.
pub(super) async fn reached(site: &Fletchck) -> Result<()> {
    let socket = site.dir().join("fletchck.sock");
    let there = async || {
        let mode = std::fs::metadata(&socket).ok()?.permissions().mode();
        (mode & 0o777 == 0o600).then_some(())
    };
    wait::until(PATIENCE, "the socket of the command line", there).await
}

/// What a command says if it does what it is asked.
pub(super) async fn done(site: &Fletchck, args: &[&str]) -> Result<String> {
    let output = site.run(args).await?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && told.is_empty(), "{args:?}: {told}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What a command says if it does not.
async fn refused(site: &Fletchck, args: &[&str]) -> Result<String> {
    let output = site.run(args).await?;
    ensure!(!output.status.success() && output.stdout.is_empty(), "{args:?}: {output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_decide_about_alerts_from_the_command_line() -> Result<()> {
    let sink = Sink::start().await?;
    sink.answer(Answer::new(404, "nobody of that name"));
    let mut site = Fletchck::start(Program::Full, &site(&sink)).await?;
    site.until("disk", "fail").await?;
    reached(&site).await?;

    let said = done(&site, &["ack", "disk", "--comment", "on my way", "--for", "2h"]).await?;
    ensure!(said.starts_with("disk is acknowledged by "), "{said}");
    let ack = site.state("disk").and_then(|state| state.alert.ack).context("kept")?;
    ensure!(ack.comment == "on my way" && ack.until.is_some() && !ack.sticky, "{ack:?}");
    let alerts = done(&site, &["alerts"]).await?;
    ensure!(alerts.contains("acknowledged: disk, by ") && alerts.contains(": on my way\n"));
    let said = done(&site, &["unack", "disk"]).await?;
    ensure!(said == "the acknowledgement of disk is taken back\n", "{said}");
    let said = refused(&site, &["unack", "disk"]).await?;
    ensure!(said == "fletchck: Not done: nobody has acknowledged `disk`.\n", "{said}");
    let said = refused(&site, &["ack", "typo"]).await?;
    ensure!(said.contains("There is no check `typo`"), "{said}");
    let said = refused(&site, &["ack", "disk", "--for", "soon"]).await?;
    ensure!(said.contains("`soon` is no length of time; write minutes"), "{said}");

    done(&site, &["snooze", "disk", "--for", "90m", "--reason", "lunch"]).await?;
    done(&site, &["silence", "--check", "d*", "--for", "1h", "--reason", "paint"]).await?;
    let again = ["maintenance", "--label", "room=cellar,site=barn"];
    let again = [&again[..], &["--cron", "sun weekday 2 hr", "--for", "2h"]].concat();
    done(&site, &again).await?;
    let alerts = done(&site, &["alerts"]).await?;
    for text in [
        "snooze 1: disk, until ",
        ": lunch\n",
        "silence 2: d*, until ",
        ": paint\n",
        "maintenance 3: room=cellar, site=barn, ",
        "for 120 min, next ",
    ] {
        ensure!(alerts.contains(text), "{text} is not in {alerts}");
    }
    let hidden = async || {
        let state = site.state("disk")?;
        // The one that lasts longest.
        state.alert.hidden.filter(|hidden| hidden.why.ends_with(": lunch"))
    };
    wait::until(PATIENCE, "`disk` to be silenced", hidden).await?;
    let said = done(&site, &["end-silence", "2"]).await?;
    ensure!(said == "silence 2 is ended\n", "{said}");
    let said = refused(&site, &["end-silence", "2"]).await?;
    ensure!(said.contains("there is no silence 2"), "{said}");
    let said = refused(&site, &["snooze", "typo"]).await?;
    ensure!(said.contains("There is no check `typo`"), "{said}");
    let said = refused(&site, &["silence", "--for", "1h"]).await?;
    ensure!(said.contains("Say which checks"), "{said}");

    // What was given up, and is sent again.
    let alerts = done(&site, &["alerts"]).await?;
    let line = alerts.lines().find(|line| line.starts_with("given up ")).context("given up")?;
    ensure!(line.ends_with("404 Not Found: nobody of that name"), "{line}");
    let id = line.split([' ', ':']).nth(2).context("a number")?.to_owned();
    let said = refused(&site, &["resend", "999999"]).await?;
    ensure!(said == "fletchck: There is no alert 999999 that was given up.\n", "{said}");
    sink.asked();
    let said = done(&site, &["resend", &id]).await?;
    ensure!(said == "1 alert is sent again\n", "{said}");
    let told = sink.wait_for(1).await?.pop().context("told")?;
    ensure!(told.json()?["entries"][0]["check"] == "disk", "{}", told.text());
    let gone = async || done(&site, &["alerts"]).await.ok().filter(|a| !a.contains("given up"));
    wait::until(PATIENCE, "nothing to be given up", gone).await?;
    let said = done(&site, &["resend"]).await?;
    ensure!(said == "nothing was given up, so nothing is sent again\n", "{said}");

    let said = done(&site, &["action", "test", "web"]).await?;
    ensure!(said == "web: told: 200 OK: ok\n", "{said}");
    sink.answer(Answer::new(500, "no"));
    let said = refused(&site, &["action", "test", "web"]).await?;
    ensure!(said.starts_with("fletchck: web: NOT told: the service answered 500"), "{said}");
    let said = refused(&site, &["action", "test", "typo"]).await?;
    ensure!(said.contains("There is no action `typo` that runs"), "{said}");

    site.stop().await?;
    let said = refused(&site, &["ack", "disk"]).await?;
    ensure!(said.contains("no site runs with"), "{said}");
    Ok(())
}

/// Asks the socket of a site as a user of this number.
async fn ask_as(site: &Fletchck, user: &str) -> Result<String> {
    let socket = site.dir().join("fletchck.sock");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--clear-groups", "curl", "--silent", "--show-error"]);
    command.args(["--max-time", "10", "-H", "accept: application/json", "--unix-socket"]);
    command.arg(socket).arg("http://localhost/alerts");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_the_command_line_is_for_its_own_user_alone() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can ask as somebody else");
        return Ok(());
    }
    let sink = Sink::start().await?;
    let mut site = Fletchck::start(Program::Full, &site(&sink)).await?;
    reached(&site).await?;
    let socket = site.dir().join("fletchck.sock");
    let said = ask_as(&site, "0").await?;
    ensure!(said.starts_with('{') && said.contains("\"actions\":[\"tell\",\"web\"]"), "{said}");
    // Even where the file lets everybody in, as in a folder that somebody has opened.
    std::fs::set_permissions(site.dir(), Permissions::from_mode(0o755))?;
    std::fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    let said = ask_as(&site, "65534").await?;
    ensure!(said.starts_with("curl: ") && !said.contains("Permission denied"), "{said}");
    ensure!(ask_as(&site, "0").await?.starts_with('{'), "and nobody else suffers");
    site.stop().await?;
    ensure!(!socket.exists(), "nothing is left of it");
    Ok(())
}
