//! The action `email` with exim.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::actions::TellError;
use fletchck_shared::policy::News;
use fletchck_tests::{
    exim::Exim,
    pki::Pki,
    scripted::Scripted,
    tell::{self, letter, notice},
};
use serde_json::{Value, json};
use tempfile::TempDir;

async fn exim() -> Result<(Exim, Pki, TempDir)> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    Ok((Exim::start(&pki).await?, pki, dir))
}

/// Options for a mail to `to`, with more of them.
fn options(to: &str, more: &Value) -> Result<Value> {
    let mut options = json!({
        "hostname": "localhost", "recipients": [to], "sender": "Watch <watch@test.example>",
    });
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    Ok(options)
}

async fn send(to: &str, more: &Value) -> Result<Result<String, TellError>> {
    tell::ours("email", &options(to, more)?, &letter([notice("web", News::Failed)?])?).await
}

fn field<'a>(mail: &'a str, name: &str) -> &'a str {
    let line = mail.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_goes_over_every_kind_of_connection() -> Result<()> {
    let (exim, pki, _dir) = exim().await?;
    let login = json!({ "username": Exim::USER, "password": Exim::PASSWORD });
    let mut many = 0;
    for (security, port, more) in [
        ("tls", exim.submission, &login),
        ("starttls", exim.smtp, &login),
        ("starttls", exim.smtp, &json!({})),
        ("none", exim.smtp, &json!({})),
    ] {
        let mut more = more.clone();
        more["security"] = security.into();
        more["port"] = port.into();
        more["cafile"] = json!(pki.ca);
        let answer = send("ann@test.example", &more).await?;
        ensure!(
            answer.as_ref().is_ok_and(|said| said.starts_with("250 OK id=")),
            "{security}: {answer:?}"
        );
        many += 1;
    }
    exim.wait_for_mails(many).await?;
    let untrusted = json!({ "port": exim.smtp, "security": "starttls" });
    let error = send("ann@test.example", &untrusted).await?.err().context("not trusted")?;
    ensure!(!error.permanent && error.text.contains("UnknownIssuer"), "{error:?}");
    let any = json!({ "port": exim.smtp, "security": "starttls", "selfsigned": true });
    ensure!(send("ann@test.example", &any).await?.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_can_be_read_threaded_and_told_from_others() -> Result<()> {
    let (exim, pki, _dir) = exim().await?;
    let options = options(
        "Ann <ann@test.example>",
        &json!({ "port": exim.smtp, "security": "starttls", "cafile": pki.ca, "icon": "🐕" }),
    )?;
    let failed = letter([notice("web", News::Failed)?])?;
    let recovered = letter([notice("web", News::Recovered)?])?;
    for letter in [&failed, &recovered] {
        let answer = tell::ours("email", &options, letter).await?;
        ensure!(answer.is_ok(), "{answer:?}");
    }
    let mails = exim.wait_for_mails(2).await?;
    let of = |letter: &fletchck_agent::actions::Letter| {
        let id = format!("<{}@test.example>", letter.id);
        mails.iter().find(|mail| field(mail, "Message-ID") == id).context("it has its own number")
    };
    let (failed_mail, recovered_mail) = (of(&failed)?, of(&recovered)?);
    ensure!(field(failed_mail, "Subject") == "[home] FAIL: web (https)", "{failed_mail}");
    ensure!(field(recovered_mail, "Subject") == "[home] PASS: web (https)", "{recovered_mail}");
    let head = format!("<incident-{}@test.example>", failed.incident().context("one incident")?);
    for mail in [failed_mail, recovered_mail] {
        ensure!(field(mail, "References") == head && field(mail, "In-Reply-To") == head, "{mail}");
        ensure!(field(mail, "Auto-Submitted") == "auto-generated", "{mail}");
        ensure!(field(mail, "From") == "Watch <watch@test.example>", "{mail}");
        ensure!(field(mail, "To") == "Ann <ann@test.example>", "{mail}");
        ensure!(field(mail, "Return-path") == "<watch@test.example>", "{mail}");
        ensure!(!field(mail, "Date").is_empty(), "{mail}");
        ensure!(mail.contains("Content-Type: multipart/alternative;"), "{mail}");
        ensure!(mail.contains("Content-Type: text/plain; charset=utf-8"), "{mail}");
        ensure!(mail.contains("Content-Type: text/html; charset=utf-8"), "{mail}");
    }
    ensure!(failed_mail.contains("\nweb fails: no answer within 10 s\n"), "{failed_mail}");
    ensure!(failed_mail.contains("\nhttps://hub.example/check/web\n"), "{failed_mail}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_decides_whether_it_is_tried_again() -> Result<()> {
    let (exim, pki, _dir) = exim().await?;
    let plain = json!({ "port": exim.smtp, "security": "none" });
    let refused = send("reject550@test.example", &plain).await?.err().context("refused")?;
    ensure!(refused.permanent && refused.text.contains("no such user"), "{refused:?}");
    let later = send("later451@test.example", &plain).await?.err().context("deferred")?;
    ensure!(!later.permanent && later.text.contains("come back later"), "{later:?}");
    let sent = send("slow@test.example", &plain).await?;
    ensure!(sent.is_ok(), "{sent:?}");
    let submission = json!({ "port": exim.submission, "cafile": pki.ca });
    let stranger = send("ann@test.example", &submission).await?.err().context("no login")?;
    ensure!(
        stranger.permanent && stranger.text.contains("authentication required"),
        "{stranger:?}"
    );
    let mut wrong = submission.clone();
    wrong["username"] = Exim::USER.into();
    wrong["password"] = "close barley".into();
    let wrong = send("ann@test.example", &wrong).await?.err().context("a wrong password")?;
    ensure!(wrong.permanent && wrong.text.contains("535"), "{wrong:?}");
    ensure!(!wrong.text.contains("barley") && !wrong.text.contains("YmFybGV5"), "{wrong:?}");
    ensure!(exim.mails()?.iter().all(|mail| mail.contains("slow@")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_or_is_not_there_is_tried_again() -> Result<()> {
    let silent = Scripted::serve(|_stream| std::future::pending()).await?;
    for security in ["none", "starttls", "tls"] {
        let began = Instant::now();
        let more = json!({ "port": silent.port, "security": security, "timeout": 0.5 });
        let error = send("ann@test.example", &more).await?.err().context("silent")?;
        ensure!(!error.permanent && began.elapsed() < Duration::from_secs(10), "{error:?}");
        println!("{security}: {} after {:?}", error.text, began.elapsed());
    }
    let gone = json!({ "port": fletchck_tests::port::free(), "security": "none", "timeout": 1 });
    let error = send("ann@test.example", &gone).await?.err().context("nobody is there")?;
    ensure!(!error.permanent && error.text.contains("refused"), "{error:?}");
    let hangs_up = Scripted::serve(|_stream| async { Ok(()) }).await?;
    let more = json!({ "port": hangs_up.port, "security": "none", "timeout": 1 });
    let error = send("ann@test.example", &more).await?.err().context("it hangs up")?;
    ensure!(!error.permanent, "{error:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_it_goes_by_sendmail() -> Result<()> {
    let (exim, _pki, _dir) = exim().await?;
    let options = json!({
        "recipients": ["ann@test.example"], "sender": "watch@test.example",
        "fallback": exim.sendmail()?,
    });
    let letter = letter([notice("web", News::Failed)?])?;
    let answer = tell::ours("email", &options, &letter).await?;
    ensure!(answer.is_ok(), "{answer:?}");
    let mails = exim.wait_for_mails(1).await?;
    ensure!(field(&mails[0], "Envelope-to") == "ann@test.example", "{}", mails[0]);
    ensure!(mails[0].contains("web fails: no answer"), "{}", mails[0]);
    let missing = json!({ "recipients": ["ann@test.example"], "fallback": "/no/sendmail" });
    let error = tell::ours("email", &missing, &letter).await?.err().context("not there")?;
    ensure!(!error.permanent && error.text.contains("`/no/sendmail` does not exist"), "{error:?}");
    Ok(())
}
