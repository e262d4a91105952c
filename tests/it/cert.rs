//! The checks of certificates against servers that show them, files that hold them, and beside the original.

use anyhow::{Result, ensure};
use fletchck_shared::{Severity, Verdict};
use fletchck_tests::look;
use fletchck_tests::nginx::Nginx;
use fletchck_tests::pki::Pki;
use serde_json::json;
use tempfile::TempDir;

use crate::certificates;

async fn nginx() -> Result<(Nginx, Pki, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Nginx::start(&pki).await?, pki, dir))
}

#[tokio::test]
async fn a_server_shows_a_certificate_in_every_state() -> Result<()> {
    let (nginx, pki, _dir) = nginx().await?;
    certificates::are_told_apart("cert", nginx.https, json!({}), &pki).await?;
    certificates::are_told_apart("tcp", nginx.https, json!({"tls": true}), &pki).await?;
    for (host, level) in [
        ("localhost", "59 days"),
        ("expiring.localhost", "2 days"),
        ("expired.localhost", "-2 days"),
    ] {
        let options = json!({"hostname": host, "port": nginx.https, "cafile": pki.ca});
        let seen = look::ours("cert", &options).await?;
        ensure!(seen.level.as_deref() == Some(level), "{seen:?}");
        ensure!(seen.log.iter().any(|line| line.contains("signed by CN=Test CA")), "{seen:?}");
    }
    for (alerts, verdict) in [(false, Verdict::Pass), (true, Verdict::Fail)] {
        let options = json!({
            "hostname": "localhost", "port": nginx.https, "cafile": pki.ca, "warn": 90, "warnAlerts": alerts,
        });
        let seen = look::ours("cert", &options).await?;
        ensure!((seen.verdict, seen.severity()) == (verdict, Severity::Warning), "{seen:?}");
        ensure!(seen.text.ends_with(", under the warning at 90 days"), "{seen:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_file_holds_a_certificate_in_every_state() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    for (pair, words, soft_fail) in [
        (&pki.valid, "is good for 59 days (until ", None),
        (&pki.selfsigned, "is good for 59 days (until ", None),
        (&pki.expiring, " expires in 2 days, on ", Some("certificate")),
        (&pki.expired, " expired on ", Some("certificate")),
        (&pki.future, " is not valid before ", Some("certificate")),
    ] {
        let seen = look::ours("certfile", &json!({"filename": pair.cert})).await?;
        ensure!(seen.text.contains(words) && seen.soft_fail.as_deref() == soft_fail, "{seen:?}");
        ensure!((seen.verdict == Verdict::Pass) == soft_fail.is_none(), "{seen:?}");
        let key = look::ours("certfile", &json!({"filename": pair.key})).await?;
        ensure!(key.text.ends_with("holds no certificate in PEM (BEGIN CERTIFICATE)"), "{key:?}");
    }
    Ok(())
}

#[tokio::test]
async fn verdicts_of_certificates_are_those_of_the_original() -> Result<()> {
    let dir = TempDir::new()?;
    let mut pki = Pki::create(dir.path())?;
    for (state, pair) in pki.states() {
        pki.valid = pair;
        let nginx = Nginx::start(&pki).await?;
        let (https, http) = (nginx.https, nginx.http);
        let mut checks = json!({
            "verified": ["cert", {"hostname": "localhost", "port": https}],
            "any": ["cert", {"hostname": "localhost", "port": https, "selfsigned": true}],
        });
        if state == "valid" {
            for (name, probe) in [
                ("probe", "HEAD / HTTP/1.0\r\n\r\n"),
                ("hangs up", "HEAD /abort HTTP/1.0\r\n\r\n"),
                ("silent", "x"),
            ] {
                checks[name] = json!([
                    "cert", {"hostname": "localhost", "port": https, "probe": probe, "timeout": 1},
                ]);
            }
            checks["no TLS"] = json!(["cert", {"hostname": "localhost", "port": http}]);
            checks["refused"] = json!(["cert", {"hostname": "127.0.0.1", "port": 1}]);
        }
        for (ours, theirs, told) in
            certificates::beside_the_original(state, &checks, &pki, lasting).await?
        {
            // The original knows the level only where it does not verify.
            ensure!(theirs[2].is_null() || json!(ours.level) == theirs[2], "{told}");
        }
    }
    Ok(())
}

/// A line without the moment in it.
fn lasting(line: &str) -> String {
    match line.split_once("Date: ") {
        Some((before, after)) => {
            format!("{before}{}", after.find("\\r").map_or("", |end| &after[end..]))
        }
        None => line.to_owned(),
    }
}
