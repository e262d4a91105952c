//! The https check against nginx, and beside the original.

mod expect;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::look;
use fletchck_tests::nginx::Nginx;
use fletchck_tests::pki::Pki;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::certificates;

async fn nginx() -> Result<(Nginx, Pki, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Nginx::start(&pki).await?, pki, dir))
}

async fn plain(nginx: &Nginx, more: Value) -> Result<Outcome> {
    let mut options =
        json!({"hostname": "127.0.0.1", "port": nginx.http, "tls": false, "timeout": 5});
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    look::ours("https", &options).await
}

#[tokio::test]
async fn every_status_is_an_answer() -> Result<()> {
    let (nginx, _pki, _dir) = nginx().await?;
    for (path, status) in [
        ("/", "200 OK"),
        ("/404", "404 Not Found"),
        ("/500", "500 Internal Server Error"),
        ("/503", "503 Service Unavailable"),
        ("/redir", "302 Found"),
        ("/loop", "302 Found"),
        ("/slow", "200 OK"),
        ("/big.bin", "200 OK"),
    ] {
        for method in ["HEAD", "GET"] {
            let seen = plain(&nginx, json!({"reqPath": path, "reqType": method})).await?;
            ensure!(seen.verdict == Verdict::Pass, "{method} {path}: {seen:?}");
            ensure!(seen.text.ends_with(&format!(" answered {status}")), "{}", seen.text);
        }
    }
    let agent = concat!("fletchck/", env!("CARGO_PKG_VERSION"));
    let requests = nginx.requests()?;
    let first = format!("HEAD / HTTP/1.1 200 {agent}");
    ensure!(requests.first() == Some(&first), "{requests:?}");
    Ok(())
}

#[tokio::test]
async fn what_never_answers_fails_in_time() -> Result<()> {
    let (nginx, pki, _dir) = nginx().await?;
    let began = Instant::now();
    let hangs = plain(&nginx, json!({"reqPath": "/hang", "timeout": 0.5})).await?;
    ensure!(
        hangs.text.contains("did not answer within 0.5 s: it was connected and asked"),
        "{hangs:?}"
    );
    let aborts = plain(&nginx, json!({"reqPath": "/abort"})).await?;
    ensure!(
        aborts.text.ends_with("it closed the connection before its answer was complete"),
        "{aborts:?}"
    );
    ensure!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    let speaks_plain = json!({"hostname": "localhost", "port": nginx.http, "cafile": pki.ca});
    let seen = look::ours("https", &speaks_plain).await?;
    ensure!(seen.text.contains("TLS failed: "), "{seen:?}");
    let no_such = json!({"hostname": "no-such-host.invalid", "timeout": 2});
    let seen = look::ours("https", &no_such).await?;
    ensure!(seen.text.contains("there is no host named no-such-host.invalid"), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn certificates_of_every_state_are_told_apart() -> Result<()> {
    let (nginx, pki, _dir) = nginx().await?;
    certificates::are_told_apart("https", nginx.https, json!({}), &pki).await
}

#[tokio::test]
async fn verdicts_and_logs_are_those_of_the_original() -> Result<()> {
    let (nginx, pki, _dir) = nginx().await?;
    let checks = json!({
        "verified": ["https", {"hostname": "localhost", "port": nginx.https}],
        "address": ["https", {"hostname": "127.0.0.1", "port": nginx.https}],
        "any": ["https", {"hostname": "localhost", "port": nginx.https, "selfsigned": true}],
        "plain": ["https", {"hostname": "localhost", "port": nginx.http, "tls": false}],
        "get": ["https", {"hostname": "localhost", "port": nginx.http, "tls": false, "reqType": "GET"}],
        "503": ["https", {"hostname": "localhost", "port": nginx.http, "tls": false, "reqPath": "/503"}],
        "abort": ["https", {"hostname": "localhost", "port": nginx.http, "tls": false, "reqPath": "/abort"}],
        "refused": ["https", {"hostname": "127.0.0.1", "port": 1}],
    });
    for (name, theirs) in look::originals(&checks, &pki.ca)? {
        let mut options = checks[&name][1].clone();
        options["cafile"] = json!(pki.ca);
        let ours = look::ours("https", &options).await?;
        let told = format!("{name}: {ours:?}, the original {theirs}");
        ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
        ensure!(json!(ours.level) == theirs[2] && json!(ours.soft_fail) == theirs[3], "{told}");
        if ours.verdict == Verdict::Pass {
            ensure!(
                lasting(&ours.log[0]) == lasting(theirs[1][0].as_str().context("a line")?),
                "{told}"
            );
        }
    }
    let checks = json!({"stranger": ["https", {"hostname": "localhost", "port": nginx.https}]});
    let other = pki.selfsigned.cert;
    let theirs = &look::originals(&checks, &other)?["stranger"];
    let ours = json!({"hostname": "localhost", "port": nginx.https, "cafile": other});
    let ours = look::ours("https", &ours).await?;
    ensure!(
        theirs[0] == false && json!(ours.soft_fail) == theirs[3],
        "{ours:?}, the original {theirs}"
    );
    Ok(())
}

/// A line without what differs by moment or by what each of the two asks of the connection.
fn lasting(line: &str) -> Vec<String> {
    let passing = |field: &&str| !field.starts_with("Date: ") && !field.starts_with("Connection: ");
    let name = |field: &str| field.to_lowercase();
    line.split("\\n").filter(passing).map(name).collect()
}
