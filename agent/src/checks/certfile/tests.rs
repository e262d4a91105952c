use std::{fs, time::SystemTime};

use fletchck_shared::{Severity, Verdict};
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::checks::testing::{faults, look, probe};

const DAY: i64 = 86_400;

/// A certificate for these names, good from and until so many days from now, and half a day more.
fn pem(names: &[&str], from: i64, until: i64) -> String {
    let at = |days: i64| {
        let seconds = days * DAY + DAY / 2;
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let now = SystemTime::now();
        if seconds < 0 { now - distance } else { now + distance }
    };
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, "Test");
    params.not_before = at(from).into();
    params.not_after = at(until).into();
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").pem() + &key.serialize_pem()
}

/// What is seen of a file with this content, its path without the folder.
async fn seen(content: &str, more: Value) -> Outcome {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("x.pem");
    fs::write(&path, content).expect("written");
    let mut options = json!({"filename": path});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let mut outcome = look(&*probe("certfile", options)).await;
    let folder = format!("{}/", folder.path().display());
    outcome.text = outcome.text.replace(&folder, "");
    // The date is another every day.
    if let Some((before, after)) = outcome.text.split_once("(until ") {
        let after = after.split_once(')').expect("it is closed").1;
        outcome.text = format!("{before}(until DATE){after}");
    }
    outcome
}

#[tokio::test]
async fn the_first_certificate_decides_or_the_one_that_ends_first() {
    let chain = pem(&["a.example", "b.example"], -1, 60) + &pem(&[], -1, 20);
    let first = seen(&chain, json!({})).await;
    let text = "x.pem: the certificate for a.example, b.example is good for 60 days (until DATE)";
    assert_eq!(first.text, text);
    assert_eq!((first.verdict, first.level.as_deref()), (Verdict::Pass, Some("60 days")));
    assert_eq!(first.log.len(), 3);
    assert!(first.log[2].starts_with("and CN=Test, good for 20 days"), "{:?}", first.log);
    let all = seen(&chain, json!({"all": true, "days": 30})).await;
    assert!(all.text.starts_with("x.pem: the certificate for CN=Test expires in 20 days, on "));
    assert_eq!((all.verdict, all.level.as_deref()), (Verdict::Fail, Some("20 days")));
    assert_eq!(all.soft_fail.as_deref(), Some("certificate"));
}

#[tokio::test]
async fn days_and_warnings_are_kept_to() {
    for (until, more, severity, words) in [
        (7, json!({}), Severity::Ok, "good for 7 days (until DATE)"),
        (6, json!({}), Severity::Critical, "expires in 6 days, on "),
        (0, json!({}), Severity::Critical, "expires within a day, on "),
        (-2, json!({"days": 0}), Severity::Critical, "expired on "),
        (20, json!({"warn": 20}), Severity::Ok, "(until DATE)"),
        (19, json!({"warn": 20}), Severity::Warning, "(until DATE), under the warning at 20 days"),
        (5, json!({"warn": 20}), Severity::Critical, "expires in 5 days, on "),
    ] {
        let outcome = seen(&pem(&["a"], -9, until), more).await;
        assert!(outcome.text.contains(words), "{}", outcome.text);
        assert_eq!(outcome.severity(), severity);
        assert_eq!(outcome.level, Some(format!("{until} days")));
    }
    for (alerts, verdict) in [(false, Verdict::Pass), (true, Verdict::Fail)] {
        let more = json!({"warn": 20, "warnAlerts": alerts});
        let outcome = seen(&pem(&["a"], -9, 10), more).await;
        assert_eq!((outcome.verdict, outcome.severity()), (verdict, Severity::Warning));
    }
    let future = seen(&pem(&["a"], 2, 90), json!({})).await;
    assert!(future.text.contains("is not valid before "), "{}", future.text);
}

#[tokio::test]
async fn what_is_no_certificate_is_told() {
    let good = pem(&["a"], -1, 60);
    let broken = good.replacen("MII", "NII", 1);
    let endless = "x".repeat(MAX as usize + 1);
    for (content, words) in [
        ("", "x.pem holds no certificate in PEM (BEGIN CERTIFICATE)"),
        (
            &good[good.find("-----BEGIN PRIVATE").expect("a key")..],
            "x.pem holds no certificate in PEM (BEGIN CERTIFICATE)",
        ),
        (&good[..200], "x.pem is damaged: certificate 1 in it: "),
        (&broken, "x.pem is damaged: certificate 1 in it cannot be read"),
        (&endless, "x.pem cannot be read: it has more than 1024 KiB"),
    ] {
        let outcome = seen(content, json!({})).await;
        assert!(outcome.text.starts_with(words), "{}", outcome.text);
        assert_eq!((outcome.verdict, outcome.soft_fail), (Verdict::Fail, None));
    }
    let folder = TempDir::new().expect("a folder");
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("a pipe");
    for (path, words) in [
        (pipe.as_path(), "cannot be read: it is no plain file"),
        (folder.path(), "cannot be read: it is no plain file"),
        (Path::new("/no/such"), "does not exist"),
    ] {
        let outcome = look(&*probe("certfile", json!({"filename": path}))).await;
        assert_eq!(outcome.text, format!("{} {words}", path.display()));
    }
    assert_eq!(faults("certfile", json!({"filename": "x.pem"})), ["filename"]);
    assert_eq!(faults("certfile", json!({"days": -1})), ["filename", "days"]);
}

proptest! {
    #[test]
    fn no_file_is_too_strange(text in ".{0,200}", der in prop::collection::vec(any::<u8>(), 0..200)) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
        prop_assert!(certificates(text.as_bytes()).is_err());
        prop_assert!(certificates((text + &pem).as_bytes()).is_err());
    }
}
