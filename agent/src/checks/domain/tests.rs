use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use fletchck_shared::{Severity, Verdict};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look_after, probe},
};

/// A server that gives these answers in turn, the last one again and again, and counts.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let nth = count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
                _ = stream.read(&mut [0; 2048]).await;
                // Whoever has heard enough hangs up.
                stream.write_all(answers[nth].as_bytes()).await.ok();
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn look(&self, more: Value, before: &Before) -> Outcome {
        let mut options = json!({"domain": "example.org", "server": format!("http://127.0.0.1:{}/rdap", self.port)});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let mut outcome = look_after(&*probe("domain", options), before).await;
        outcome.text = outcome.text.replace(&self.port.to_string(), "PORT");
        outcome
    }
}

fn answer(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A domain that ends in so many days and a half.
fn registered(days: i64, states: Value) -> String {
    let ends = Utc::now() + TimeDelta::days(days) + TimeDelta::hours(12);
    let body = json!({
        "objectClassName": "domain", "ldhName": "example.org", "status": states,
        "events": [{"eventAction": "expiration", "eventDate": ends.to_rfc3339()}],
    });
    answer("200 OK", "", &body.to_string())
}

async fn look(says: String, more: Value) -> Outcome {
    Server::start(vec![says]).await.look(more, &Before::default()).await
}

fn after(outcome: &Outcome) -> Before {
    Before { kept: outcome.keep.clone(), ..Before::default() }
}

/// What was kept, as if it had been asked so long ago.
fn aged(outcome: &Outcome, age: TimeDelta) -> Before {
    let mut before = after(outcome);
    let kept = before.kept.as_mut().expect("something kept");
    kept["asked"] = json!(Utc::now() - age);
    before
}

#[tokio::test]
async fn days_and_states_are_judged() {
    for (days, states, severity, words) in [
        (
            262,
            json!(["active"]),
            Severity::Ok,
            "example.org is registered for 262 days more, until ",
        ),
        (20, json!([]), Severity::Warning, "example.org expires in 20 days, on "),
        (14, json!(null), Severity::Warning, "under the warning at 30 days"),
        (13, json!([]), Severity::Critical, "example.org expires in 13 days, on "),
        (1, json!([]), Severity::Critical, "example.org expires in 1 day, on "),
        (-3, json!([]), Severity::Critical, "example.org expired on "),
        (
            90,
            json!(["redemption period"]),
            Severity::Critical,
            "example.org: it was deleted and can still be restored",
        ),
        (
            90,
            json!(["active", "pendingDelete"]),
            Severity::Critical,
            "example.org: it is about to be deleted for good",
        ),
        (
            90,
            json!(["client hold"]),
            Severity::Critical,
            "its registrar has taken it out of the DNS",
        ),
        (
            90,
            json!(["pending transfer"]),
            Severity::Warning,
            "it is being moved to another registrar",
        ),
    ] {
        let outcome = look(registered(days, states), json!({"warn": 30})).await;
        assert_eq!(outcome.severity(), severity, "{outcome:?}");
        assert!(outcome.text.contains(words), "{}", outcome.text);
        assert_eq!(outcome.level, Some(format!("{days} days")));
        let soft = (severity == Severity::Critical).then_some("domain");
        assert_eq!(outcome.soft_fail.as_deref(), soft);
    }
    let told = look(registered(20, json!([])), json!({"warn": 30, "warnAlerts": true})).await;
    assert_eq!((told.verdict, told.severity()), (Verdict::Fail, Severity::Warning));
}

#[tokio::test]
async fn an_answer_that_says_nothing_fails() {
    let of = |body: Value| answer("200 OK", "", &body.to_string());
    for (says, words) in [
        (
            answer("404 Not Found", "", ""),
            "example.org is not registered, http://127.0.0.1:PORT/rdap/domain/example.org has no such domain (404)",
        ),
        (
            answer("500 Oops", "", ""),
            "http://127.0.0.1:PORT/rdap/domain/example.org: answered 500 Internal Server Error, wanted 200",
        ),
        (
            of(json!({"objectClassName": "entity"})),
            "it answered about something else than a domain (`entity`)",
        ),
        (
            of(json!({"objectClassName": "domain"})),
            "does not tell when example.org expires: its registry may not publish that",
        ),
        (
            of(json!({"objectClassName": "domain", "ldhName": "example.com"})),
            "it answered about example.com, not example.org",
        ),
        (answer("200 OK", "", "<html>"), "what it answers is no JSON"),
        (answer("200 OK", "", &" ".repeat(MOST + 1)), "it sent more than 256 KiB"),
        (answer("301 Moved", "Location: ?again\r\n", ""), "it redirects more than 5 times, to "),
        (
            answer("302 Found", "Location: ftp://a/\r\n", ""),
            "it redirects to `ftp://a/`, which is no address to ask",
        ),
        (
            answer("429 Slow down", "Retry-After: 60\r\n", ""),
            "asks for patience (429 Too Many Requests), and nothing is known of example.org yet",
        ),
    ] {
        let outcome = look(says, json!({})).await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert!(outcome.text.contains(words), "{}", outcome.text);
        assert_eq!((outcome.keep, outcome.level), (None, None));
    }
}

#[tokio::test]
async fn an_answer_is_used_for_a_day_while_all_is_well() {
    let server = Server::start(vec![registered(100, json!([]))]).await;
    let first = server.look(json!({}), &Before::default()).await;
    let again = server.look(json!({}), &aged(&first, TimeDelta::hours(3))).await;
    assert_eq!((server.asked(), again.verdict), (1, Verdict::Pass));
    assert!(again.text.ends_with(" (asked 3 hours ago)"), "{}", again.text);
    assert_eq!(again.level, first.level);
    server.look(json!({}), &aged(&first, TimeDelta::hours(25))).await;
    assert_eq!(server.asked(), 2);
    // One from the future, and one about another domain, are none.
    server.look(json!({}), &aged(&first, TimeDelta::hours(-1))).await;
    let other = Before { kept: Some(json!({"domain": "b.example"})), ..Before::default() };
    server.look(json!({}), &other).await;
    assert_eq!(server.asked(), 4);
}

#[tokio::test]
async fn a_bad_answer_is_used_for_an_hour() {
    let server = Server::start(vec![registered(5, json!([])), registered(370, json!([]))]).await;
    let first = server.look(json!({}), &Before::default()).await;
    let soon = server.look(json!({}), &aged(&first, TimeDelta::minutes(59))).await;
    assert_eq!((server.asked(), soon.verdict), (1, Verdict::Fail));
    let later = server.look(json!({}), &aged(&first, TimeDelta::minutes(61))).await;
    assert_eq!((server.asked(), later.verdict), (2, Verdict::Pass));
}

#[tokio::test]
async fn where_a_server_asks_for_patience_the_last_answer_counts() {
    let busy = answer("429 Slow down", "", "");
    let away = answer("503 Busy", "Retry-After: 5\r\n", "");
    for says in [busy, away] {
        let server = Server::start(vec![registered(100, json!([])), says]).await;
        let first = server.look(json!({}), &Before::default()).await;
        let outcome = server.look(json!({}), &aged(&first, TimeDelta::hours(30))).await;
        assert_eq!(outcome.severity(), Severity::Ok, "{outcome:?}");
        let words = " (asked 30 hours ago; now the server asks for patience)";
        assert!(outcome.text.ends_with(words), "{}", outcome.text);
        let outcome = server.look(json!({}), &aged(&first, TimeDelta::days(8))).await;
        assert_eq!((outcome.verdict, outcome.severity()), (Verdict::Pass, Severity::Warning));
        assert_eq!(outcome.keep, None);
    }
}

#[tokio::test]
async fn names_beyond_ascii_are_asked_for_as_they_are_registered() {
    let outcome = look(answer("404 Not Found", "", ""), json!({"domain": "Bücher.example."})).await;
    assert!(
        outcome.text.starts_with("xn--bcher-kva.example is not registered"),
        "{}",
        outcome.text
    );
}

#[test]
fn what_is_no_domain_is_refused() {
    for domain in [
        "",
        "org",
        "192.0.2.1",
        "[::1]",
        "https://example.org",
        "a..b",
        "ex ample.org",
        "a%2eb.org",
        "example.org:80",
    ] {
        assert_eq!(faults("domain", json!({"domain": domain})), ["domain"], "{domain}");
    }
    for server in ["rdap.org", "ftp://rdap.org", "https://", "https://a/?x=1", "https://u@a/"] {
        let options = json!({"domain": "example.org", "server": server});
        assert_eq!(faults("domain", options), ["server"], "{server}");
    }
}
