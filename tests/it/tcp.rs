//! The check `tcp` against servers that speak first, that are spoken to, and that encrypt.

use anyhow::{Result, ensure};
use fletchck_shared::Verdict;
use fletchck_tests::dovecot::Dovecot;
use fletchck_tests::exim::Exim;
use fletchck_tests::look;
use fletchck_tests::nginx::Nginx;
use fletchck_tests::pki::Pki;
use fletchck_tests::sshd::Sshd;
use serde_json::json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn servers_say_what_is_expected_or_what_they_said_is_told() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let exim = Exim::start(&pki).await?;
    let dovecot = Dovecot::start(&pki).await?;
    let nginx = Nginx::start(&pki).await?;
    let sshd = Sshd::start(&[("ed25519", 0)], "").await?;
    for (port, more, passes, words) in [
        (exim.smtp, json!({}), true, "takes connections"),
        (exim.smtp, json!({"expect": "220 "}), true, "said `220 mx.test.example ESMTP"),
        (exim.smtp, json!({"send": "QUIT", "expect": "221 "}), true, "said `221 "),
        (sshd.port, json!({"expect": "SSH-2.0-OpenSSH"}), true, "said `SSH-2.0-OpenSSH"),
        (nginx.http, json!({"send": "GET /", "expect": "hello"}), true, "said `hello`"),
        (
            nginx.http,
            json!({"send": "nonsense", "expect": "hello"}),
            false,
            "expected `hello`, it said `",
        ),
        (dovecot.imaps, json!({"tls": true, "expect": "* OK"}), true, "Dovecot"),
        (dovecot.imaps, json!({"expect": "* OK", "timeout": 1}), false, "`* OK` did not come"),
        (exim.smtp, json!({"tls": true}), false, "what answers there is no TLS"),
    ] {
        let mut options = json!({"hostname": "localhost", "port": port});
        for (key, value) in more.as_object().into_iter().flatten() {
            options[key] = value.clone();
        }
        if options.get("tls").is_some() {
            options["cafile"] = json!(pki.ca);
        }
        let seen = look::ours("tcp", &options).await?;
        println!("{}", seen.text);
        ensure!((seen.verdict == Verdict::Pass) == passes, "{options}: {seen:?}");
        ensure!(seen.text.contains(words), "{options}, {words}: {seen:?}");
    }
    Ok(())
}
