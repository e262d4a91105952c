//! What the https check can expect of an answer beyond that there is one, against nginx.

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Severity, Verdict};
use fletchck_tests::{look, nginx::Nginx, pki::Pki};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Site {
    nginx: Nginx,
    pki: Pki,
    _dir: TempDir,
}

impl Site {
    async fn start() -> Result<Self> {
        let dir = TempDir::new()?;
        let pki = Pki::create(dir.path())?;
        Ok(Self { nginx: Nginx::start(&pki).await?, pki, _dir: dir })
    }

    async fn plain(&self, path: &str, more: Value) -> Result<Outcome> {
        let options = json!({"hostname": "127.0.0.1", "port": self.nginx.http, "tls": false,
            "reqPath": path, "timeout": 5});
        asked(options, more).await
    }

    async fn secure(&self, port: u16, path: &str, more: Value) -> Result<Outcome> {
        let options = json!({"hostname": "localhost", "port": port, "cafile": self.pki.ca,
            "reqPath": path, "timeout": 5});
        asked(options, more).await
    }
}

async fn asked(mut options: Value, more: Value) -> Result<Outcome> {
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    look::ours("https", &options).await
}

/// What follows the address in a sentence.
fn after(outcome: &Outcome) -> &str {
    let (_, after) = outcome.text.split_once(" answered ").unwrap_or(("", &outcome.text));
    after.split(", certificate good").next().unwrap_or(after)
}

#[tokio::test]
async fn an_answer_is_held_against_what_is_expected_of_it() -> Result<()> {
    let site = Site::start().await?;
    let json = "{\"method\": \"GET\", \"proto\": \"HTTP/1.1\", \"login\": \"\",";
    let good = [
        ("/404", json!({"status": 404}), "404 Not Found"),
        ("/redir", json!({"status": "below 400"}), "302 Found"),
        ("/", json!({"contains": "hello"}), "200 OK, its body has `hello`"),
        (
            "/empty",
            json!({"lacks": ["error", "Traceback"]}),
            "200 OK, its body has no `error`, its body has no `Traceback`",
        ),
        ("/", json!({"matches": "^hel+o$"}), ""),
        ("/echo", json!({"jsonPath": "$.queue", "jsonIs": "< 100"}), "200 OK, $.queue is 12"),
        (
            "/echo",
            json!({"expectHeaders": {"Content-Type": "json"}}),
            "200 OK, content-type is `application/json`",
        ),
        (
            "/echo",
            json!({"reqBody": "a=1", "jsonPath": "$.sent", "jsonIs": "3"}),
            "200 OK, $.sent is \"3\"",
        ),
        (
            "/echo",
            json!({"reqType": "PUT", "jsonPath": "$.method", "jsonIs": "PUT"}),
            "200 OK, $.method is \"PUT\"",
        ),
    ];
    for (path, more, words) in good {
        let outcome = site.plain(path, more.clone()).await?;
        let wrong = format!("{path} {more}: {outcome:?}");
        if words.is_empty() {
            // `^` and `$` are the ends of the whole body, which ends in a line's end.
            ensure!(outcome.verdict == Verdict::Fail, wrong);
            continue;
        }
        ensure!(outcome.verdict == Verdict::Pass && after(&outcome) == words, wrong);
    }
    let bad = [
        ("/503", json!({"status": "below 400"}), "503 Service Unavailable, expected below 400"),
        ("/", json!({"status": [204, "300-399"]}), "200 OK, expected 204, 300-399"),
        (
            "/",
            json!({"contains": ["hello", "world"]}),
            "200 OK, expected `world` in its body, which begins with `hello`",
        ),
        ("/empty", json!({"contains": "x"}), "200 OK, expected `x` in its body, which is empty"),
        (
            "/500",
            json!({"lacks": "boom"}),
            "500 Internal Server Error, expected no `boom` in its body",
        ),
        (
            "/",
            json!({"matches": "(?i)HELP"}),
            "200 OK, expected its body to match `(?i)HELP`, it begins with `hello`",
        ),
        (
            "/big.bin",
            json!({"jsonPath": "$"}),
            "200 OK, its body has more than 256 KiB, too much to be read as JSON",
        ),
        ("/big.bin", json!({"contains": "x"}), ""),
        (
            "/echo",
            json!({"jsonPath": "$.queue", "jsonIs": "> 100"}),
            "200 OK, $.queue is 12, expected more than 100",
        ),
        (
            "/",
            json!({"expectHeaders": {"Content-Type": "json"}}),
            "200 OK, expected `json` in content-type, which is `text/html`",
        ),
        ("/", json!({"expectHeaders": {"X-None": ""}}), "200 OK, expected a field x-none"),
        ("/echo", json!({"contains": "world"}), ""),
    ];
    for (path, more, words) in bad {
        let outcome = site.plain(path, more.clone()).await?;
        let wrong = format!("{path} {more}: {outcome:?}");
        ensure!(outcome.verdict == Verdict::Fail, wrong);
        ensure!(words.is_empty() || after(&outcome) == words, wrong);
    }
    let told = site.plain("/echo", json!({"contains": "world"})).await?;
    ensure!(after(&told).ends_with(&format!("begins with `{json}`")), "{told:?}");
    let number = site.plain("/echo", json!({"jsonPath": "$.queue"})).await?;
    ensure!(number.level.as_deref() == Some("12"), "{number:?}");
    Ok(())
}

#[tokio::test]
async fn an_answer_that_takes_its_time_is_worth_a_look_or_fails() -> Result<()> {
    let site = Site::start().await?;
    let slow = json!({"contains": "\u{0}", "warnMs": 100});
    let outcome = site.plain("/slow", slow).await?;
    ensure!(outcome.severity() == Severity::Warning, "{outcome:?}");
    ensure!(outcome.text.ends_with(" ms, over the warning at 100 ms"), "{outcome:?}");
    let slow = json!({"contains": "\u{0}", "maxMs": 200});
    let outcome = site.plain("/slow", slow).await?;
    ensure!(outcome.verdict == Verdict::Fail, "{outcome:?}");
    ensure!(outcome.text.ends_with(" ms, over the limit of 200 ms"), "{outcome:?}");
    let quick = site.plain("/", json!({"maxMs": 4000})).await?;
    ensure!(quick.level.as_deref().is_some_and(|level| level.ends_with(" ms")), "{quick:?}");
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    ensure!(phases == ["dns", "connect", "first byte", "body"], "{phases:?}");
    Ok(())
}

#[tokio::test]
async fn redirects_are_followed_as_far_as_they_may_be() -> Result<()> {
    let site = Site::start().await?;
    let follow = json!({"redirects": 3, "jsonPath": "$.method", "status": 200});
    for (path, ask, method) in [
        ("/again", json!({"reqBody": "x"}), "POST"),
        ("/other", json!({"reqBody": "x"}), "GET"),
        ("/away", json!({}), "GET"),
    ] {
        let mut more = follow.clone();
        for (key, value) in ask.as_object().context("options")? {
            more[key] = value.clone();
        }
        let outcome = site.plain(path, more).await?;
        ensure!(after(&outcome) == format!("200 OK, $.method is {method:?}"), "{outcome:?}");
    }
    let home = site.plain("/redir", json!({"redirects": 1})).await?;
    let port = site.nginx.http;
    let text = format!(
        "HEAD http://127.0.0.1:{port}/redir led to http://127.0.0.1:{port}/index.html, which answered 200 OK"
    );
    ensure!(home.text == text, "{home:?}");
    let circles = site.plain("/loop", json!({"redirects": 5})).await?;
    ensure!(circles.text.contains("it redirects more than 5 times"), "{circles:?}");
    let more = json!({"redirects": 1, "cafile": site.pki.ca, "jsonPath": "$.queue"});
    let upgraded = site.plain("/upgrade", more).await?;
    ensure!(upgraded.text.contains(", certificate good for "), "{upgraded:?}");
    let https = site.nginx.https;
    let down = site.secure(https, "/downgrade", json!({"redirects": 1})).await?;
    ensure!(down.text.contains("which is not encrypted"), "{down:?}");
    let more = json!({"redirects": 1, "reqBody": "mine", "hostname": "127.0.0.1"});
    let given_away = site.plain("/away", more).await?;
    ensure!(given_away.verdict == Verdict::Pass, "a 302 asks again without a body: {given_away:?}");
    Ok(())
}

#[tokio::test]
async fn logins_reach_the_server_they_are_meant_for_and_no_page() -> Result<()> {
    let site = Site::start().await?;
    let right = json!({"username": "user", "password": "open sesame", "status": 200});
    let outcome = site.plain("/private", right.clone()).await?;
    ensure!(outcome.verdict == Verdict::Pass, "{outcome:?}");
    let wrong = json!({"username": "user", "password": "open barley", "status": 200});
    let outcome = site.plain("/private", wrong).await?;
    ensure!(after(&outcome) == "401 Unauthorized, expected 200", "{outcome:?}");

    let bearer = json!({"token": "secret-token", "headers": {"X-Api-Key": "secret-key"},
        "contains": "secret"});
    let outcome = site.plain("/echo", bearer).await?;
    ensure!(outcome.verdict == Verdict::Pass, "the server was told: {outcome:?}");
    let all = format!("{outcome:?} {:?}", outcome.conversation);
    ensure!(!all.contains("secret-token") && !all.contains("secret-key"), "{all}");
    ensure!(outcome.conversation.iter().any(|line| line == "> x-api-key: ****"), "{all}");

    let elsewhere = json!({"token": "secret-token", "headers": {"X-Api-Key": "secret-key"},
        "redirects": 1, "lacks": "secret"});
    let outcome = site.plain("/away", elsewhere).await?;
    ensure!(outcome.verdict == Verdict::Pass, "another server was told: {outcome:?}");
    Ok(())
}

#[tokio::test]
async fn http_2_and_client_certificates_are_spoken() -> Result<()> {
    let site = Site::start().await?;
    let https = site.nginx.https;
    for (version, proto) in [("auto", "HTTP/2.0"), ("2", "HTTP/2.0"), ("1.1", "HTTP/1.1")] {
        let more = json!({"http": version, "jsonPath": "$.proto", "jsonIs": proto});
        let outcome = site.secure(https, "/echo", more).await?;
        ensure!(outcome.verdict == Verdict::Pass, "{version}: {outcome:?}");
    }
    let big = site.secure(https, "/big.bin", json!({"http": "2", "contains": "x"})).await?;
    ensure!(after(&big).starts_with("200 OK, expected `x` in the first 256 KiB"), "{big:?}");
    let mutual = site.nginx.mutual;
    let one = site.secure(mutual, "/", json!({"http": "2"})).await?;
    ensure!(one.text.ends_with("asked for over TLS (HTTP/2?)"), "{one:?}");

    let nobody = site.secure(mutual, "/", json!({"status": 200})).await?;
    ensure!(after(&nobody) == "400 Bad Request, expected 200", "{nobody:?}");
    let client = &site.pki.client;
    let more =
        json!({"clientCert": client.cert, "clientKey": client.key, "contains": "CN=agent-1"});
    let known = site.secure(mutual, "/", more).await?;
    ensure!(known.verdict == Verdict::Pass, "{known:?}");
    let missing = json!({"clientCert": "/nowhere/client.pem"});
    let missing = site.secure(mutual, "/", missing).await?;
    let words =
        "the client certificate cannot be used: /nowhere/client.pem: no such file or directory";
    ensure!(missing.text.ends_with(words), "{missing:?}");
    let swapped = json!({"clientCert": client.cert, "clientKey": site.pki.valid.key});
    let swapped = site.secure(mutual, "/", swapped).await?;
    ensure!(swapped.text.contains("the client certificate cannot be used: "), "{swapped:?}");
    Ok(())
}
