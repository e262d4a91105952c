//! Requests to services of the web: signed, slow, secret, and to none.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::policy::News;
use fletchck_tests::{
    scripted::{Bad, Manner, Scripted},
    sink::{Answer, Sink},
    tell::{self, letter, notice},
};
use serde_json::{Value, json};

/// What openssl makes of a body and a key.
fn openssl(body: &[u8], key: &str) -> Result<String> {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", key, "-r"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    openssl.stdin.take().context("an input")?.write_all(body)?;
    let output = openssl.wait_with_output()?;
    let said = String::from_utf8(output.stdout)?;
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_signature_is_what_openssl_says() -> Result<()> {
    let sink = Sink::start().await?;
    let letter = letter([notice("wéb", News::Failed)?])?;
    for method in ["POST", "PUT", "GET"] {
        let options = json!({ "url": sink.url(), "method": method, "secret": "key 1" });
        ensure!(tell::ours("webhook", &options, &letter).await?.is_ok());
        let asked = sink.asked().pop().context("a request")?;
        ensure!(asked.method == method && asked.header("x-fletchck-id") == letter.id);
        let signature = format!("sha256={}", openssl(&asked.body, "key 1")?);
        ensure!(asked.header("x-fletchck-signature") == signature, "{asked:?}");
        ensure!(asked.body.is_empty() == (method == "GET"), "{asked:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_of_ones_own() -> Result<()> {
    let sink = Sink::start().await?;
    let letter = letter([notice("web", News::Failed)?])?;
    let options = json!({
        "url": format!("{}/hook/?key=a/", sink.url()), "method": "PATCH",
        "headers": { "Content-Type": "application/json" },
        "text": "{\"text\": {{ title | tojson }}, \"worst\": {{ severity | tojson }}}",
    });
    ensure!(tell::ours("webhook", &options, &letter).await? == Ok("200 OK: ok".into()));
    let asked = sink.asked().pop().context("a request")?;
    ensure!(asked.path == "/hook/?key=a/" && asked.method == "PATCH", "{asked:?}");
    ensure!(asked.json()? == json!({ "text": "[home] FAIL: web (https)", "worst": "critical" }));
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed() -> Result<()> {
    let (sink, elsewhere) = (Sink::start().await?, Sink::start().await?);
    sink.answer(Answer::new(307, "").header("location", &elsewhere.url()));
    let options = json!({ "url": sink.url() });
    let answer = tell::ours("webhook", &options, &letter([notice("web", News::Failed)?])?).await?;
    let error = answer.err().context("not followed")?;
    ensure!(error.permanent && error.text.contains("elsewhere"), "{error:?}");
    ensure!(elsewhere.asked().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_slow_or_speaks_nonsense_is_tried_again() -> Result<()> {
    let letter = letter([notice("web", News::Failed)?])?;
    let manner = Manner {
        listens: true,
        opening: b"HTTP/1.1 503 Busy\r\nContent-Length: 100000000\r\n\r\n",
        more: b"busy secret-1 ",
    };
    for bad in Bad::ALL {
        let server = Scripted::start(bad, manner, None).await?;
        let url = format!("http://127.0.0.1:{}/secret-1", server.port);
        let options = json!({ "url": url, "timeout": 1 });
        let began = Instant::now();
        let error = tell::ours("webhook", &options, &letter).await?.err().context("bad")?;
        ensure!(!error.permanent && began.elapsed() < Duration::from_secs(5), "{bad:?}: {error:?}");
        ensure!(error.text.len() < 400 && !error.text.contains("secret-1"), "{bad:?}: {error:?}");
        println!("{bad:?}: {}", error.text);
    }
    let sink = Sink::start().await?;
    sink.answer(Answer { after: Duration::from_secs(20), ..Answer::new(200, "late") });
    let options = json!({ "url": sink.url(), "timeout": 0.5 });
    let error = tell::ours("webhook", &options, &letter).await?.err().context("late")?;
    ensure!(error.text == "no answer within 0.5 s" && !error.permanent, "{error:?}");
    let gone: Value =
        json!({ "url": format!("http://127.0.0.1:{}", fletchck_tests::port::free()) });
    let error = tell::ours("webhook", &gone, &letter).await?.err().context("nobody")?;
    ensure!(!error.permanent && error.text.contains("refused"), "{error:?}");
    Ok(())
}
