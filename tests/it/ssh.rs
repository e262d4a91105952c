//! The check of SSH servers against OpenSSH's, and beside the original.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Verdict};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::look;
use fletchck_tests::sshd::Sshd;
use fletchck_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

/// Every type of host key that OpenSSH makes.
const KEYS: &[(&str, u32)] =
    &[("rsa", 2048), ("ed25519", 0), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521)];

async fn ask(server: &Sshd, hostkey: Option<&str>) -> Result<Outcome> {
    let mut options = json!({"hostname": "localhost", "port": server.port, "ipVersion": "ipv4"});
    if let Some(hostkey) = hostkey {
        options["hostkey"] = hostkey.into();
    }
    look::ours("ssh", &options).await
}

fn base64(line: &str) -> Result<String> {
    Ok(line.split(' ').nth(1).context("a key")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_host_key_is_found_in_every_form() -> Result<()> {
    for key in KEYS {
        let server = Sshd::start(&[*key], "").await?;
        let (line, fingerprint) = (server.public(key.0, key.1)?, server.fingerprint(key.0, key.1)?);
        let base64 = base64(&line)?;
        for hostkey in [&line, &base64, &fingerprint] {
            let seen = ask(&server, Some(hostkey)).await?;
            ensure!(seen.verdict == Verdict::Pass, "{key:?}: {seen:?}");
            ensure!(seen.text.contains(&fingerprint) && seen.learned.is_none(), "{seen:?}");
        }
        let seen = ask(&server, None).await?;
        ensure!(seen.learned == Some(("hostkey".into(), base64)), "{key:?}: {seen:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_that_is_wanted_is_asked_for_and_another_is_told() -> Result<()> {
    let keys = [("rsa", 2048), ("ed25519", 0), ("ecdsa", 256)];
    let mut server = Sshd::start(&keys, "").await?;
    for (kind, bits) in keys {
        for hostkey in [server.public(kind, bits)?, server.fingerprint(kind, bits)?] {
            let seen = ask(&server, Some(&hostkey)).await?;
            ensure!(seen.verdict == Verdict::Pass, "{kind}: {seen:?}");
        }
    }
    // It says goodbye and never gets as far as a login.
    let log = server.log();
    ensure!(log.contains("Received disconnect"), "{log}");
    ensure!(!log.contains("Invalid user") && !log.contains("Failed"), "{log}");

    let (line, old) = (server.public("ed25519", 0)?, server.fingerprint("ed25519", 0)?);
    server.new_key("ed25519", 0)?;
    server.restart(&keys, "").await?;
    let new = server.fingerprint("ed25519", 0)?;
    for hostkey in [&line, &old] {
        let seen = ask(&server, Some(hostkey)).await?;
        ensure!(seen.verdict == Verdict::Fail, "{seen:?}");
        ensure!(seen.soft_fail.as_deref() == Some("hostkey"), "{seen:?}");
        ensure!(seen.text.contains(&old) && seen.text.contains(&new), "{seen:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn old_ways_are_spoken_and_what_is_not_common_is_told() -> Result<()> {
    let key = [("rsa", 2048)];
    let mut server = Sshd::start(&key, "HostKeyAlgorithms ssh-rsa").await?;
    let line = server.public("rsa", 2048)?;
    for more in [
        "HostKeyAlgorithms ssh-rsa",
        "KexAlgorithms diffie-hellman-group1-sha1\nCiphers aes128-cbc\nMACs hmac-sha1",
        "KexAlgorithms diffie-hellman-group-exchange-sha256",
        "KexAlgorithms diffie-hellman-group14-sha1",
    ] {
        server.restart(&key, more).await?;
        let seen = ask(&server, Some(&line)).await?;
        ensure!(seen.verdict == Verdict::Pass, "{more}: {seen:?}");
    }
    server.restart(&key, "KexAlgorithms sntrup761x25519-sha512@openssh.com").await?;
    let seen = ask(&server, Some(&line)).await?;
    let told = "it has no way to exchange keys that is known here, only sntrup761x25519-sha512@openssh.com";
    ensure!(seen.text.contains(told), "{seen:?}");
    server.restart(&key, "Ciphers 3des-cbc").await?;
    let seen = ask(&server, Some(&line)).await?;
    ensure!(seen.text.ends_with("it has no cipher that is known here, only 3des-cbc"), "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_original_sees_the_same() -> Result<()> {
    let server = Sshd::start(&[("ed25519", 0)], "").await?;
    let other = Sshd::start(&[("ed25519", 0)], "").await?;
    let key = |server: &Sshd| base64(&server.public("ed25519", 0)?);
    let options = |hostkey: Option<String>| json!({"hostname": "127.0.0.1", "port": server.port, "hostkey": hostkey});
    let checks = json!({
        "right": ["ssh", options(Some(key(&server)?))],
        "wrong": ["ssh", options(Some(key(&other)?))],
        "no key": ["ssh", options(Some("AAAA".into()))],
        "first": ["ssh", options(None)],
        "refused": ["ssh", {"hostname": "127.0.0.1", "port": 1}],
    });
    for (name, theirs) in look::originals(&checks, Path::new("/dev/null"))? {
        let ours = look::ours("ssh", &checks[&name][1]).await?;
        let told = format!("{name}: {ours:?}, the original {theirs}");
        ensure!((ours.verdict == Verdict::Pass) == (theirs[0] == true), "{told}");
        ensure!(json!(ours.level) == theirs[2] && json!(ours.soft_fail) == theirs[3], "{told}");
        if ours.verdict == Verdict::Pass {
            ensure!(json!(ours.log) == theirs[1], "{told}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_seen_first_is_written_down_and_then_counts() -> Result<()> {
    let mut server = Sshd::start(&[("ed25519", 0)], "").await?;
    let check = json!({
        "type": "ssh",
        "trigger": {"interval": {"seconds": 1}},
        "options": {"hostname": "127.0.0.1", "port": server.port},
    });
    let site = Fletchck::start(Program::Agent, &json!({"checks": {"gate": check}})).await?;
    let file = site.config_path();
    let written = async || {
        let text = std::fs::read_to_string(&file).ok()?;
        let config: Value = serde_json::from_str(&text).ok()?;
        config["checks"]["gate"]["options"]["hostkey"].as_str().map(str::to_owned)
    };
    let learned = wait::until(PATIENCE, "the key to be written down", written).await?;
    ensure!(learned == base64(&server.public("ed25519", 0)?)?, "{learned}");
    server.new_key("ed25519", 0)?;
    server.restart(&[("ed25519", 0)], "").await?;
    let seen = ask(&server, Some(&learned)).await?;
    ensure!(seen.soft_fail.as_deref() == Some("hostkey"), "{seen:?}");
    Ok(())
}
