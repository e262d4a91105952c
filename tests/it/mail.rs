//! The checks of mail servers against exim and dovecot, and beside the original.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::dovecot::Dovecot;
use fletchck_tests::exim::Exim;
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::look;
use fletchck_tests::pki::Pki;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates;

async fn exim() -> Result<(Exim, Pki, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Exim::start(&pki).await?, pki, dir))
}

async fn dovecot() -> Result<(Dovecot, Pki, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Dovecot::start(&pki).await?, pki, dir))
}

#[tokio::test]
async fn exims_certificates_are_told_apart() -> Result<()> {
    let (exim, pki, _dir) = exim().await?;
    certificates::are_told_apart("smtp", exim.smtp, json!({}), &pki).await?;
    certificates::are_told_apart("submit", exim.submission, json!({}), &pki).await
}

#[tokio::test]
async fn dovecots_certificates_are_told_apart() -> Result<()> {
    let (dovecot, pki, _dir) = dovecot().await?;
    certificates::are_told_apart("imap", dovecot.imaps, json!({}), &pki).await?;
    certificates::are_told_apart("imap", dovecot.imap, json!({"starttls": true}), &pki).await
}

/// What is seen of a login, without the password, which must be nowhere in it.
async fn log_in(kind: &str, port: u16, pki: &Pki, more: Value, password: &str) -> Result<Outcome> {
    let mut options = json!({
        "hostname": "localhost", "port": port, "cafile": pki.ca,
        "username": Exim::USER, "password": password,
    });
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    let seen = look::ours(kind, &options).await?;
    let all = format!("{seen:?}");
    ensure!(!all.contains("sesame") && !all.contains("c2VzYW1l"), "{all}");
    Ok(seen)
}

#[tokio::test]
async fn logins_are_taken_and_refused() -> Result<()> {
    let (exim, pki, _dir) = exim().await?;
    let dovecot = Dovecot::start(&pki).await?;
    for (kind, port, more, password, service) in [
        ("smtp", exim.smtp, json!({}), Exim::PASSWORD, "SMTP"),
        ("submit", exim.submission, json!({}), Exim::PASSWORD, "submission"),
        ("imap", dovecot.imaps, json!({}), Dovecot::PASSWORD, "IMAP"),
        ("imap", dovecot.imap, json!({"starttls": true}), Dovecot::PASSWORD, "IMAP"),
    ] {
        let seen = log_in(kind, port, &pki, more.clone(), password).await?;
        ensure!(seen.verdict == Verdict::Pass && !seen.warning, "{seen:?}");
        let text = format!(
            "{service} at localhost:{port} answered over TLS and took the login of `watch@test.example`, certificate good for "
        );
        ensure!(seen.text.starts_with(&text), "{seen:?}");
        ensure!(seen.phases.iter().any(|phase| phase.name == "login"), "{seen:?}");

        let seen = log_in(kind, port, &pki, more, "guessed").await?;
        ensure!(seen.verdict == Verdict::Fail, "{seen:?}");
        let text = format!(
            "{service} at localhost:{port}: the login of `watch@test.example` was refused: `"
        );
        ensure!(seen.text.starts_with(&text), "{seen:?}");
        ensure!(seen.soft_fail.as_deref() == Some("login"), "{seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_conversation_is_told_without_the_password() -> Result<()> {
    let (exim, pki, dir) = exim().await?;
    let dovecot = Dovecot::start(&pki).await?;
    let secret = dir.path().join("password");
    let of = |kind: &str, port: u16| {
        json!({"type": kind, "options": {
            "hostname": "localhost", "port": port, "cafile": pki.ca,
            "username": Exim::USER, "password_file": secret,
        }})
    };
    let site = Fletchck::prepare(
        Program::Agent,
        &json!({"checks": {
            "smtp": of("smtp", exim.smtp),
            "submit": of("submit", exim.submission),
            "imap": of("imap", dovecot.imaps),
        }}),
    )?;
    for (name, password, said) in [
        ("smtp", Exim::PASSWORD, "> AUTH PLAIN ****"),
        ("submit", Exim::PASSWORD, "> AUTH PLAIN ****"),
        ("imap", Dovecot::PASSWORD, "> a2 AUTHENTICATE PLAIN ****"),
    ] {
        fs::write(&secret, password)?;
        let output = site.run(&["check", name, "--explain"]).await?;
        let told = String::from_utf8(output.stdout)?;
        let errors = String::from_utf8(output.stderr)?;
        ensure!(output.status.success() && told.contains(said), "{told}{errors}");
        ensure!(!told.contains("sesame") && !errors.contains("sesame"), "{told}{errors}");
    }
    Ok(())
}

#[tokio::test]
async fn verdicts_and_logs_of_mail_are_those_of_the_original() -> Result<()> {
    let dir = TempDir::new()?;
    let mut pki = Pki::create(dir.path())?;
    for (state, pair) in pki.states() {
        pki.valid = pair;
        let exim = Exim::start(&pki).await?;
        let dovecot = Dovecot::start(&pki).await?;
        let mut checks = json!({
            "starttls": ["smtp", {"hostname": "localhost", "port": exim.smtp}],
            "imap": ["imap", {"hostname": "localhost", "port": dovecot.imaps}],
        });
        // There the original looks at the authority alone, and where it does not even do that it takes what has expired.
        if state != "expiring" {
            checks["submit"] =
                json!(["submit", {"hostname": "localhost", "port": exim.submission}]);
        }
        if !state.starts_with("exp") {
            for (name, kind, port) in [
                ("starttls to any", "smtp", exim.smtp),
                ("submit to any", "submit", exim.submission),
                ("imap of any", "imap", dovecot.imaps),
            ] {
                let options = json!({"hostname": "localhost", "port": port, "selfsigned": true});
                checks[name] = json!([kind, options]);
            }
        }
        if state == "valid" {
            let (plain, imap) = (exim.smtp, dovecot.imap);
            checks["plain"] =
                json!(["smtp", {"hostname": "localhost", "port": plain, "tls": false}]);
            checks["no TLS"] = json!(["submit", {"hostname": "localhost", "port": plain}]);
            checks["no TLS either"] = json!(["imap", {"hostname": "localhost", "port": imap}]);
            checks["refused"] = json!(["imap", {"hostname": "127.0.0.1", "port": 1}]);
        }
        for (ours, theirs, told) in
            certificates::beside_the_original(state, &checks, &pki, lasting).await?
        {
            ensure!(json!(ours.level) == theirs[2], "{told}");
            if ours.verdict == Verdict::Pass {
                let lines = theirs[1].as_array().context("a log")?.len();
                ensure!(ours.log.len() >= lines && !ours.warning, "{told}");
            }
        }
    }
    Ok(())
}

/// A line without the name that each of the two introduces itself with.
fn lasting(line: &str) -> String {
    match line.split_once(" Hello ") {
        Some((before, after)) => {
            format!("{before}{}", after.find("\\n").map_or("", |end| &after[end..]))
        }
        None => line.to_owned(),
    }
}
