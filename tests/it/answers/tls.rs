//! Certificates that are not good, and TLS that is too old, behind every type that speaks TLS.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::{
    dovecot::Dovecot,
    exim::Exim,
    look,
    nginx::Nginx,
    pki::{Pair, Pki},
    scripted::Scripted,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsAcceptor;

use super::{CASES, Case, Tls, server};

/// What a check makes of a server that shows this certificate.
async fn ask(case: &'static Case, pair: &Pair, trusts: Option<&Pki>) -> Result<Outcome> {
    let acceptor = TlsAcceptor::from(server(pair)?);
    let server = Scripted::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await?;
            _ = stream.read(&mut [0; 1024]).await?;
            Ok(())
        }
    })
    .await?;
    look_at(case, server.port, trusts).await
}

async fn look_at(case: &Case, port: u16, trusts: Option<&Pki>) -> Result<Outcome> {
    let mut options = case.to("localhost", port, 5.0);
    if let Some(pki) = trusts {
        options["cafile"] = pki.ca.to_str().context("a path")?.into();
    }
    let outcome = look::ours(case.kind, &options).await?;
    println!("{:20} {}", case.kind, outcome.text);
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_judges_certificates_alike() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    for case in CASES.iter().filter(|case| case.tls != Tls::None) {
        // A registry's certificate must be good now; the days left are those of the domain.
        let now = case.kind == "domain";
        for (pair, trusts, wants) in [
            (&pki.expired, true, "the certificate expired on "),
            (&pki.expiring, true, "the certificate expires in 2 days, on "),
            (&pki.future, true, "the certificate is not valid before "),
            (&pki.wrong, true, "the certificate is for other.example, not for localhost"),
            (&pki.selfsigned, true, "the certificate is self-signed and nobody vouches for it"),
            (
                &pki.authority,
                true,
                "the certificate is self-signed (it is an authority, CA:TRUE, of its own)",
            ),
            (&pki.valid, false, "which this machine does not trust"),
        ] {
            let outcome = ask(case, pair, trusts.then_some(&pki)).await?;
            if now && wants.contains("expires in") {
                ensure!(!outcome.text.contains("certificate"), "{outcome:?}");
                continue;
            }
            ensure!(outcome.verdict == Verdict::Fail, "{}: {outcome:?}", case.kind);
            ensure!(outcome.text.contains(wants), "{}: wanted {wants}: {outcome:?}", case.kind);
            ensure!(outcome.soft_fail.as_deref() == Some("certificate"), "{outcome:?}");
        }
    }
    Ok(())
}

/// Real servers, for those that speak only old TLS differ in how they refuse whoever does not.
#[tokio::test(flavor = "multi_thread")]
async fn servers_with_old_tls_alone_are_told_by_every_type() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let nginx = Nginx::start(&pki).await?;
    let exim = Exim::start_old(&pki).await?;
    let dovecot = Dovecot::start_old(&pki).await?;
    for (port, begins) in [
        (nginx.old, None),
        (exim.submission, None),
        (exim.smtp, Some("smtp")),
        (dovecot.imaps, None),
        (dovecot.imap, Some("imap")),
    ] {
        speaks_old_tls_alone(port, begins).await?;
    }
    for case in CASES {
        let starttls = (case.options)().get("starttls").is_some();
        let plain = (case.options)().get("tls").is_some_and(|tls| tls == false);
        let ports = match case.kind {
            "smtp" if !plain => vec![exim.smtp],
            "imap" if starttls => vec![dovecot.imap],
            "imap" => vec![dovecot.imaps, nginx.old],
            "submit" => vec![exim.submission, nginx.old],
            _ if case.tls == Tls::Whole => vec![nginx.old],
            _ => continue,
        };
        for port in ports {
            let outcome = look_at(case, port, Some(&pki)).await?;
            ensure!(outcome.verdict == Verdict::Fail, "{}: {outcome:?}", case.name());
            // nginx and exim send an alert; dovecot hangs up, which others do for other reasons.
            let told = if [dovecot.imap, dovecot.imaps].contains(&port) {
                outcome.text.ends_with("handshake: does the server know TLS 1.2 or newer?")
            } else {
                outcome.text.contains("TLS failed: the server offers nothing newer than TLS 1.1")
            };
            ensure!(told, "{}, port {port}: {outcome:?}", case.name());
            ensure!(outcome.soft_fail.is_none(), "{}: {outcome:?}", case.name());
        }
    }
    Ok(())
}

/// Sees by a client that takes everything that a server speaks TLS 1.0 and 1.1, and by the same that it speaks no 1.2.
async fn speaks_old_tls_alone(port: u16, begins: Option<&'static str>) -> Result<()> {
    for (version, speaks) in [("-tls1", true), ("-tls1_1", true), ("-tls1_2", false)] {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-brief"]);
        command.args([version, "-cipher", "ALL:@SECLEVEL=0"]).stdin(Stdio::null());
        command.args(begins.iter().flat_map(|protocol| ["-starttls", protocol]));
        let output = spawn_blocking(move || command.output()).await??;
        let told = String::from_utf8_lossy(&output.stderr);
        let spoke = told.contains("CONNECTION ESTABLISHED");
        ensure!(spoke == speaks, "port {port}, {begins:?}, {version}: {told}");
    }
    Ok(())
}
