//! Certificates that are not good, and TLS that is too old, behind every type that speaks TLS.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::{
    look,
    pki::{Pair, Pki},
    scripted::Scripted,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::{CASES, Case, Tls, server};

/// The alert `protocol_version`, as a server sends it that knows nothing newer than TLS 1.1.
const TOO_OLD: &[u8] = &[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];

/// What a check makes of a server that shows this certificate, or knows only old TLS.
async fn ask(case: &'static Case, pair: Option<&Pair>, trusts: Option<&Pki>) -> Result<Outcome> {
    let acceptor = pair.map(server).transpose()?.map(TlsAcceptor::from);
    let server = Scripted::serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            match acceptor {
                Some(acceptor) => {
                    let mut stream = acceptor.accept(stream).await?;
                    _ = stream.read(&mut [0; 1024]).await?;
                }
                None => {
                    _ = stream.read(&mut [0; 4096]).await?;
                    stream.write_all(TOO_OLD).await?;
                    // Closing at once could overtake what was just sent.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Ok(())
        }
    })
    .await?;
    let mut options = case.to("localhost", server.port, 5.0);
    if let Some(pki) = trusts {
        options["cafile"] = pki.ca.to_str().context("a path")?.into();
    }
    look::ours(case.kind, &options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_judges_certificates_alike() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    for case in CASES.iter().filter(|case| case.tls != Tls::None) {
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
            let outcome = ask(case, Some(pair), trusts.then_some(&pki)).await?;
            println!("{:20} {}", case.kind, outcome.text);
            ensure!(outcome.verdict == Verdict::Fail, "{}: {outcome:?}", case.kind);
            ensure!(outcome.text.contains(wants), "{}: wanted {wants}: {outcome:?}", case.kind);
            ensure!(outcome.soft_fail.as_deref() == Some("certificate"), "{outcome:?}");
        }
        let outcome = ask(case, None, Some(&pki)).await?;
        println!("{:20} {}", case.kind, outcome.text);
        ensure!(outcome.text.contains("nothing newer than TLS 1.1"), "{outcome:?}");
    }
    Ok(())
}
