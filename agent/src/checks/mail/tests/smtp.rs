use fletchck_shared::{Outcome, Verdict};
use serde_json::json;

use super::{HELLO, Script, ask};

async fn plain(script: Script) -> Outcome {
    ask("smtp", script, json!({"tls": false})).await
}

#[tokio::test]
async fn a_server_without_tls_is_logged_as_the_original_does() {
    let outcome = plain(&[
        ("", "220-busy\r\n220 but here\r\n"),
        HELLO,
        ("NOOP\r\n", "250 ok\r\n"),
        ("QUIT\r\n", "221 bye\r\n"),
    ])
    .await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.text, "SMTP at 127.0.0.1:PORT answered");
    let log = [r"(250, b'fake\nSTARTTLS\n8BITMIME')", "(250, b'ok')", "(221, b'bye')"];
    assert_eq!(outcome.log, log);
    assert!(!outcome.warning && outcome.level.is_none());
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["dns", "connect", "greeting", "hello", "noop", "quit"]);
}

#[tokio::test]
async fn what_goes_wrong_up_to_ehlo_fails() {
    let failures: [(Script, &str); 7] = [
        (&[("", "421 busy\r\n")], "the greeting was `421 busy`, wanted 220"),
        (&[("", "SSH-2.0-x\r\n")], "what it says is no SMTP: `SSH-2.0-x`"),
        (&[("", "")], "it closed the connection before its answer was complete"),
        (
            &[("", "220 a\r\n"), ("EHLO", "550-never\r\n550 you\r\n")],
            "EHLO was answered `550 never`, wanted 250",
        ),
        (
            &[("", "220 a\r\n"), ("EHLO", "502 what?\r\n"), ("HELO", "421 enough\r\n")],
            "HELO was answered `421 enough`, wanted 250",
        ),
        (
            &[("", "220 a\r\n"), ("EHLO", "...")],
            "it greeted, and its answer to EHLO did not come to its end",
        ),
        (
            &[("", "220-a\r\n"), ("EHLO", "...")],
            "it was connected, and no greeting came to its end",
        ),
    ];
    for (script, words) in failures {
        let outcome = plain(script).await;
        assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
        assert!(
            outcome.text.starts_with("SMTP at 127.0.0.1:PORT") && outcome.text.ends_with(words)
        );
        assert_eq!(outcome.soft_fail, None);
    }
}

#[tokio::test]
async fn what_goes_wrong_after_ehlo_is_a_warning() {
    let warnings: [(Script, &str, &[&str]); 4] = [
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "")],
            "it closed the connection before its answer was complete",
            &[],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "502 no\r\n"), ("QUIT", "221 bye\r\n")],
            "NOOP was answered `502 no`, wanted 250",
            &["(502, b'no')", "(221, b'bye')"],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "250 ok\r\n"), ("QUIT", "\0\x7f\r\n")],
            "what it says is no SMTP: `\u{fffd}\u{fffd}`",
            &["(250, b'ok')"],
        ),
        (
            &[("", "220 a\r\n"), HELLO, ("NOOP", "...")],
            "it did not answer within 1 s: it greeted, and its answer to NOOP did not come to its end",
            &[],
        ),
    ];
    for (script, words, lines) in warnings {
        let outcome = plain(script).await;
        assert_eq!((outcome.verdict, outcome.warning), (Verdict::Pass, true), "{outcome:?}");
        assert_eq!(outcome.text, format!("SMTP at 127.0.0.1:PORT answered, but then {words}"));
        assert_eq!(outcome.log[1..outcome.log.len() - 1], *lines);
        assert_eq!(outcome.log.last(), Some(&format!("127.0.0.1: {words}")));
    }
}

#[tokio::test]
async fn a_server_too_old_for_ehlo_is_greeted_with_helo() {
    let outcome = plain(&[
        ("", "220 a\r\n"),
        ("EHLO", "500 what?\r\n"),
        ("HELO [127.0.0.1]\r\n", "250 hello\r\n"),
        ("NOOP", "250 ok\r\n"),
        ("QUIT", "221 bye\r\n"),
    ])
    .await;
    assert!(outcome.verdict == Verdict::Pass && !outcome.warning, "{outcome:?}");
}
