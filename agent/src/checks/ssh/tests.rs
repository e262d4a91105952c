use std::{sync::Arc, time::Duration};

use fletchck_shared::{Outcome, Verdict};
use russh::{
    Preferred,
    keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey},
    server::{self, Server as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look, look_after, probe, read},
};

const ED25519: Algorithm = Algorithm::Ed25519;
const ECDSA: Algorithm = Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 };

fn key(kind: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), kind).expect("a key")
}

struct Nobody;

impl server::Handler for Nobody {
    type Error = russh::Error;
}

impl server::Server for Nobody {
    type Handler = Self;

    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Self {
        Self
    }
}

/// A server with these host keys.
async fn server(keys: Vec<PrivateKey>, preferred: Preferred) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let config = Arc::new(server::Config { keys, preferred, ..server::Config::default() });
    tokio::spawn(async move { Nobody.run_on_socket(config, &listener).await });
    port
}

/// A server that says this and then nothing more, or hangs up.
async fn saying(says: &'static [u8], hangs_up: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        // Whoever has heard enough hangs up.
        stream.write_all(says).await.ok();
        if hangs_up {
            stream.shutdown().await.ok();
        }
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.ok();
    });
    port
}

fn ssh(port: u16, hostkey: Option<&str>) -> Arc<dyn Probe> {
    let mut options = json!({"hostname": "127.0.0.1", "port": port, "timeout": 3});
    if let Some(hostkey) = hostkey {
        options["hostkey"] = hostkey.into();
    }
    probe("ssh", options)
}

async fn ask(port: u16, hostkey: Option<&str>) -> Outcome {
    look(&*ssh(port, hostkey)).await
}

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(HashAlg::Sha256).to_string()
}

fn base64(key: &PrivateKey) -> String {
    hostkey::base64(key.public_key())
}

#[tokio::test]
async fn the_first_key_is_trusted_kept_and_learned() {
    let (first, second) = (key(ED25519), key(ED25519));
    let port = server(vec![first.clone()], Preferred::DEFAULT).await;
    let outcome = ask(port, None).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    assert_eq!(
        outcome.text,
        format!(
            "SSH at 127.0.0.1:{port} shows the host key {} (ssh-ed25519), trusted at first sight: from now on any other is a failure",
            fingerprint(&first)
        )
    );
    assert_eq!(outcome.keep, Some(Value::from(base64(&first))));
    assert_eq!(outcome.learned, Some(("hostkey".into(), base64(&first))));
    assert_eq!(
        outcome.log,
        [&format!("127.0.0.1:{port} '{}'", base64(&first)), "ignore: None", "close: None"]
    );
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["dns", "connect", "greeting", "key exchange"]);

    let before = Before { kept: outcome.keep, ..Before::default() };
    let again = look_after(&*ssh(port, None), &before).await;
    assert_eq!((again.verdict, again.learned, again.keep), (Verdict::Pass, None, None));

    let port = server(vec![second.clone()], Preferred::DEFAULT).await;
    let other = look_after(&*ssh(port, None), &before).await;
    assert_eq!(other.verdict, Verdict::Fail);
    assert_eq!(other.soft_fail.as_deref(), Some("hostkey"));
    assert_eq!(
        other.text,
        format!(
            "SSH at 127.0.0.1:{port} shows the host key {} (ssh-ed25519), wanted {} (ssh-ed25519): somebody may be in between; if it was set up anew, set `hostkey` to the new key",
            fingerprint(&second),
            fingerprint(&first)
        )
    );
}

#[tokio::test]
async fn what_the_file_says_counts_more_than_what_was_seen_first() {
    let (first, second) = (key(ED25519), key(ED25519));
    let port = server(vec![second.clone()], Preferred::DEFAULT).await;
    let before = Before { kept: Some(base64(&first).into()), ..Before::default() };
    let outcome = look_after(&*ssh(port, Some(&base64(&second))), &before).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    assert_eq!(outcome.keep, Some(Value::Null));
    let before = Before { kept: outcome.keep, ..Before::default() };
    let outcome = look_after(&*ssh(port, None), &before).await;
    assert!(outcome.learned.is_some(), "{outcome:?}");
}

#[tokio::test]
async fn of_several_keys_the_one_that_is_wanted_is_asked_for() {
    let (first, second) = (key(ED25519), key(ECDSA));
    let port = server(vec![first.clone(), second.clone()], Preferred::DEFAULT).await;
    for key in [&first, &second] {
        for hostkey in [base64(key), fingerprint(key)] {
            let outcome = ask(port, Some(&hostkey)).await;
            assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
            assert!(outcome.text.contains(&fingerprint(key)), "{outcome:?}");
        }
    }
    let outcome = ask(port, Some(&fingerprint(&key(ED25519)))).await;
    assert_eq!(outcome.soft_fail.as_deref(), Some("hostkey"));
    assert!(outcome.text.contains(&fingerprint(&first)), "{outcome:?}");
}

#[tokio::test]
async fn an_old_device_is_spoken_to() {
    let rsa = key(Algorithm::Rsa { hash: None });
    let old = Preferred {
        kex: vec![russh::kex::DH_G1_SHA1].into(),
        key: vec![Algorithm::Rsa { hash: None }].into(),
        cipher: vec![russh::cipher::AES_128_CBC].into(),
        mac: vec![russh::mac::HMAC_SHA1].into(),
        ..Preferred::DEFAULT
    };
    let outcome = ask(server(vec![rsa.clone()], old).await, Some(&base64(&rsa))).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_large_group_holds_nothing_up() {
    let large = Preferred { kex: vec![russh::kex::DH_G16_SHA512].into(), ..Preferred::DEFAULT };
    let key = key(ED25519);
    // The server computes too, elsewhere.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            tell.send(server(vec![key], large).await).expect("the test waits");
            std::future::pending::<()>().await;
        });
    });
    let port = told.recv().expect("a port");
    let options = json!({"hostname": "127.0.0.1", "port": port, "timeout": 0.1});
    let ssh = probe("ssh", options);
    let look = look(&*ssh);
    tokio::pin!(look);
    let mut longest = Duration::ZERO;
    let outcome = loop {
        let began = std::time::Instant::now();
        tokio::select! {
            outcome = &mut look => break outcome,
            () = tokio::time::sleep(Duration::from_millis(1)) => longest = longest.max(began.elapsed()),
        }
    };
    assert!(longest < Duration::from_millis(90), "{longest:?} for others: {outcome:?}");
}

#[tokio::test]
async fn a_key_exchange_that_fails_is_told_in_plain_words() {
    for (says, hangs_up, text) in [
        (&b""[..], true, "it closed the connection before its greeting was complete"),
        (
            b"Exceeded MaxStartups\r\n",
            true,
            "it closed the connection before its greeting was complete, it said `Exceeded MaxStartups`",
        ),
        (b"SSH-1.5-old\r\n", false, "wanted version 2 of SSH, it greets with `SSH-1.5-old`"),
        (b"SSH-2.0-x\r\n", true, "it closed the connection before the key exchange ended"),
        (&[b'x'; 4000], false, "no SSH server greets like this"),
        (
            b"SSH-2.0-x\r\n\0\0\0\x0c\x06\x01\0\0\0\x0b\0\0\0\0\0\0",
            true,
            "what it sends is no key exchange",
        ),
    ] {
        let port = saying(says, hangs_up).await;
        let outcome = ask(port, None).await;
        assert_eq!(outcome.text, format!("SSH at 127.0.0.1:{port}: {text}"));
    }
}

#[tokio::test]
async fn a_session_ends_with_the_look() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let options = json!({"hostname": "127.0.0.1", "port": port, "timeout": 0.2});
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream.write_all(b"SSH-2.0-silent\r\n").await.expect("sent");
        let mut heard = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard)).await
    });
    let outcome = look(&*probe("ssh", options)).await;
    assert_eq!(
        outcome.text,
        format!(
            "SSH at 127.0.0.1:{port} did not answer within 0.2 s: it greeted, and the key exchange did not end"
        )
    );
    silent.await.expect("no panic").expect("the connection ends with the look").ok();
}

#[tokio::test]
async fn a_host_key_that_is_none_is_warned_of_and_fails() {
    let key = key(ED25519);
    let port = server(vec![key.clone()], Preferred::DEFAULT).await;
    for wrong in ["SHA256:short", "AAAA", "MD5:aa:bb", "none"] {
        let options = json!({"hostname": "127.0.0.1", "port": port, "hostkey": wrong});
        let (plan, faults) = read("ssh", options);
        let told: Vec<_> = faults.iter().map(|f| (f.option.as_str(), f.warning)).collect();
        assert_eq!(told, [("hostkey", true)], "{wrong}");
        let Some(Plan::Probe(ssh)) = plan else { panic!("{wrong}: {plan:?}") };
        // What was seen before is no excuse for it.
        let before = Before { kept: Some(base64(&key).into()), ..Before::default() };
        let outcome = look_after(&*ssh, &before).await;
        assert_eq!((outcome.verdict, outcome.learned), (Verdict::Fail, None), "{wrong}");
        assert_eq!(outcome.soft_fail.as_deref(), Some("hostkey"));
        assert_eq!(
            outcome.text,
            format!(
                "SSH at 127.0.0.1:{port} shows the host key {} (ssh-ed25519), wanted a text that is no host key known here: set `hostkey` to the line of a `.pub` file, the base64 in that, or a fingerprint `SHA256:…`",
                fingerprint(&key)
            )
        );
    }
    assert!(faults("ssh", json!({"hostname": "a", "hostkey": ""})).is_empty());
}
