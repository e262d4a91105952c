//! Many checks at once.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};
use fletchck_agent::store::Store;
use fletchck_tests::{
    exim::Exim,
    fletchck::{Fletchck, Program},
    pki::Pki,
    sink::Sink,
    wait,
};
use serde_json::json;

/// Checks that fail at once.
const CHECKS: usize = 1000;

/// How long each action waits for more: long beside the time that so many runs take on a busy machine.
const GATHER: u32 = 12;

/// Longest time until all is told: until the next runs, of the runs, and of the window.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many checks stand like this.
fn count(site: &Fletchck, word: &str) -> Option<usize> {
    let past = Store::read_past(&site.dir().join("fletchck.db")).ok()?;
    Some(past.checks.values().filter(|row| row.state.word() == word).count())
}

/// Waits until all checks stand like this, and there is nothing left to tell.
async fn settled(site: &Fletchck, word: &str) -> Result<()> {
    let told = || {
        let db = rusqlite::Connection::open(site.dir().join("fletchck.db")).ok()?;
        db.query_row("SELECT count(*) FROM deliveries", (), |row| row.get(0)).ok()
    };
    let all = async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (count(site, word)? == CHECKS && told() == Some(0)).then_some(())
    };
    wait::until(PATIENCE, &format!("all to be {word}, and that told"), all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_checks_that_fail_at_once_are_one_message_for_each_action_and_their_recovery_one()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let (exim, sink) = (Exim::start(&pki).await?, Sink::start().await?);
    let target = dir.path().join("target");
    fs::write(&target, "")?;
    let checks = (0..CHECKS).map(|n| {
        let check = json!({
            "type": "path", "trigger": { "cron": { "second": "*/5", "jitter": 0 } },
            "options": { "path": target }, "actions": ["mail", "hook"],
        });
        (format!("check-{n:04}"), check)
    });
    let site = json!({
        "actions": {
            "mail": {
                "type": "email", "gather": GATHER, "options": {
                    "hostname": "localhost", "port": exim.submission, "cafile": pki.ca,
                    "username": Exim::USER, "password": Exim::PASSWORD, "sender": Exim::USER,
                    "recipients": ["ann@test.example"],
                },
            },
            "hook": { "type": "webhook", "gather": GATHER, "options": { "url": sink.url() } },
        },
        "checks": serde_json::Map::from_iter(checks),
    });
    let mut site = Fletchck::start(Program::Full, &site).await?;
    settled(&site, "pass").await?;
    ensure!(sink.asked().is_empty() && exim.mails()?.is_empty(), "nothing was to be told");

    fs::remove_file(&target)?;
    settled(&site, "fail").await?;
    let failed = sink.asked();
    ensure!(failed.len() == 1, "{} requests for one storm", failed.len());
    let body = failed[0].json()?;
    ensure!(body["count"] == CHECKS && body["failing"] == CHECKS, "{body}");
    let mails = exim.accepted().await?;
    ensure!(mails.len() == 1, "{} mails for one storm", mails.len());
    ensure!(mails[0].contains(&format!("FAIL: {CHECKS} checks fail")), "{}", mails[0]);
    ensure!(
        mails[0].contains("\nFAIL check-") && mails[0].contains("\nand 970 more"),
        "{}",
        mails[0]
    );

    fs::write(&target, "")?;
    settled(&site, "pass").await?;
    let recovered = sink.asked();
    ensure!(recovered.len() == 1, "{} requests for its end", recovered.len());
    let body = recovered[0].json()?;
    ensure!(body["count"] == CHECKS && body["passing"] == CHECKS, "{body}");
    let mails = exim.accepted().await?;
    ensure!(mails.len() == 2, "{} mails in all", mails.len());
    ensure!(mails[1].contains(&format!("PASS: {CHECKS} checks are well again")), "{}", mails[1]);
    site.stop().await
}
