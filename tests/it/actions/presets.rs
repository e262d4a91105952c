//! What each preset asks of its service.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_agent::actions::{self, Letter};
use fletchck_shared::policy::News;
use fletchck_tests::{
    sink::{Answer, Asked, Sink},
    tell::{self, letter, notice},
};
use serde_json::{Value, json};

/// When it was asked, and of what.
struct Asking {
    /// When what is told happened.
    at: DateTime<Utc>,
    /// Since when the check fails, or had failed.
    since: DateTime<Utc>,
    /// Between these two times it was asked.
    began: DateTime<Utc>,
    done: DateTime<Utc>,
}

/// What was asked, as a person would write it down.
fn seen(asked: &[Asked], asking: &Asking) -> Result<String> {
    let mut seen = String::new();
    for asked in asked {
        seen.push_str(&format!("{} {}\n", asked.method, asked.path));
        for name in ["content-type", "authorization", "x-gotify-key", "x-fletchck-id"] {
            if !asked.header(name).is_empty() {
                seen.push_str(&format!("{name}: {}\n", asked.header(name)));
            }
        }
        if asked.header("content-type") == "application/json" {
            let asked = without_clock(asked.json()?, asking)?;
            seen.push_str(&serde_json::to_string_pretty(&asked)?);
        } else {
            for (name, value) in asked.form() {
                seen.push_str(&format!("{name} = {value:?}\n"));
            }
        }
        seen.push('\n');
    }
    Ok(seen)
}

/// How long an alert stays that is not told of again.
const STAYS: TimeDelta = TimeDelta::days(365);

/// An end of an alert goes by the clock of whoever tells it, and so does the beginning of one that has ended: both are
/// what they have to be by that clock, and words stand for them.
fn without_clock(mut asked: Value, asking: &Asking) -> Result<Value> {
    let Asking { at, since, began, done } = *asking;
    for alert in asked.as_array_mut().into_iter().flatten() {
        let time = |key: &str| alert[key].as_str().map(str::parse::<DateTime<Utc>>).transpose();
        let Some(end) = time("endsAt")? else { continue };
        let start = time("startsAt")?.context("a beginning")?;
        if end > done {
            ensure!((began + STAYS..=done + STAYS).contains(&end), "it stays for a while: {alert}");
            ensure!(start == since, "it began when it failed: {alert}");
            alert["endsAt"] = "to come".into();
        } else {
            // What has not happened by the clock here happens now.
            ensure!((at.min(began)..=at.min(done)).contains(&end), "it ended then: {alert}");
            ensure!(start == since.min(end), "it began before: {alert}");
            (alert["startsAt"], alert["endsAt"]) = ("past".into(), "past".into());
        }
    }
    Ok(asked)
}

/// What this preset asks for when it tells of a failure and of the recovery from it.
async fn both(kind: &str, options: &Value) -> Result<String> {
    let sink = Sink::start().await?;
    let mut options = options.clone();
    let path = options["url"].as_str().context("a path")?;
    options["url"] = format!("{}{path}", sink.url()).into();
    let mut all = String::new();
    for news in [News::Failed, News::Recovered] {
        let notice = notice("web", news)?;
        let (at, since) = (notice.at, notice.since.context("it failed")?);
        let began = Utc::now();
        let answer = tell::ours(kind, &options, &letter([notice])?).await?;
        ensure!(answer == Ok("200 OK: ok".into()), "{answer:?}");
        let asking = Asking { at, since, began, done: Utc::now() };
        all.push_str(&seen(&sink.asked(), &asking)?);
    }
    Ok(all)
}

macro_rules! asks {
    ($test:ident, $kind:literal, $options:tt) => {
        #[tokio::test]
        async fn $test() -> Result<()> {
            insta::assert_snapshot!($kind, both($kind, &json!($options)).await?);
            Ok(())
        }
    };
}

asks!(alertmanager, "alertmanager", { "url": "/am/", "token": "tk-123456", "labels": { "team": "ops" } });
asks!(discord, "discord", { "url": "/api/webhooks/1/secret" });
asks!(gotify, "gotify", { "url": "/push", "token": "A-123456" });
asks!(matrix, "matrix", { "url": "", "room": "!room:example.org", "token": "syt-123456" });
asks!(ntfy, "ntfy", { "url": "", "topic": "alerts", "token": "tk_123456" });
asks!(pagerduty, "pagerduty", { "url": "", "token": "0123456789abcdef" });
asks!(pushover, "pushover", { "url": "", "token": "a-123456", "user": "u-123456", "emergency": true });
asks!(slack, "slack", { "url": "/services/T0/B0/secret" });
asks!(teams, "teams", { "url": "/workflows/1/triggers/manual?sig=secret" });
asks!(telegram, "telegram", { "url": "", "token": "123456:secret", "chat": "-100123", "thread": 7 });
asks!(webhook, "webhook", { "url": "/hook", "headers": { "Authorization": "Bearer own-123456" } });

/// Options of each preset, for a server at this address.
fn presets(url: &str) -> [(&'static str, Value); 10] {
    [
        ("alertmanager", json!({ "url": url, "token": "secret-1" })),
        ("discord", json!({ "url": format!("{url}/secret-1") })),
        ("gotify", json!({ "url": url, "token": "secret-1" })),
        ("matrix", json!({ "url": url, "room": "!r:x", "token": "secret-1" })),
        ("ntfy", json!({ "url": url, "topic": "t", "token": "secret-1" })),
        ("pagerduty", json!({ "url": url, "token": "secret-1" })),
        ("pushover", json!({ "url": url, "token": "secret-1", "user": "secret-1" })),
        ("slack", json!({ "url": format!("{url}/secret-1") })),
        ("teams", json!({ "url": format!("{url}/secret-1") })),
        ("telegram", json!({ "url": url, "token": "1:secret-1", "chat": "@c" })),
    ]
}

/// A thousand checks that fail with long sentences full of signs.
fn storm() -> Result<Letter> {
    let notices = (0..1000).map(|number| {
        let mut notice = notice(&format!("check <{number}> *_&"), News::Failed)?;
        notice.text = "<b>&_*🐕 ".repeat(200);
        Ok(notice)
    });
    letter(notices.collect::<Result<Vec<_>>>()?)
}

#[tokio::test]
async fn what_is_too_long_is_cut_to_what_each_service_takes() -> Result<()> {
    let sink = Sink::start().await?;
    for (kind, options) in presets(&sink.url()) {
        let answer = tell::ours(kind, &options, &storm()?).await?;
        ensure!(answer.is_ok(), "{kind}: {answer:?}");
        let asked = sink.asked().pop().context("a request")?;
        let chars = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
        let utf16 = |text: &str| text.encode_utf16().count();
        if kind == "pushover" {
            let form = asked.form();
            let length = |name| {
                form.iter().find(|(key, _)| key == name).map_or(0, |(_, text)| text.chars().count())
            };
            ensure!(length("message") == 1024 && (1..=250).contains(&length("title")), "{form:?}");
            continue;
        }
        let body = asked.json()?;
        match kind {
            "discord" => {
                let embed = &body["embeds"][0];
                ensure!(chars(&embed["description"]) <= 4096 && chars(&embed["title"]) <= 256);
                ensure!(chars(&embed["description"]) + chars(&embed["title"]) <= 6000);
            }
            "matrix" => ensure!(asked.body.len() < 60_000, "{} bytes", asked.body.len()),
            "ntfy" => {
                let message = body["message"].as_str().context("a message")?;
                ensure!((4000..=4096).contains(&message.len()), "{} bytes", message.len());
            }
            "slack" => {
                for block in body["blocks"].as_array().context("blocks")? {
                    ensure!(chars(&block["text"]["text"]) <= 3000, "{block}");
                }
            }
            "teams" => ensure!(asked.body.len() <= 28 * 1024, "{} bytes", asked.body.len()),
            "telegram" => {
                let text = body["text"].as_str().context("a text")?;
                let plain = text.replace("<b>", "").replace("</b>", "");
                let plain = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                ensure!((4000..=4096).contains(&utf16(&plain)), "{} units", utf16(&plain));
            }
            "pagerduty" => ensure!(chars(&body["payload"]["summary"]) <= 1024),
            "alertmanager" => ensure!(body.as_array().is_some_and(|alerts| alerts.len() == 2000)),
            _ => {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_service_answers_is_understood_and_no_secret_is_repeated() -> Result<()> {
    let sink = Sink::start().await?;
    let letter = letter([notice("web", News::Failed)?])?;
    for (kind, options) in presets(&sink.url()) {
        for (answer, permanent, wait) in [
            (Answer::new(429, "secret-1").header("retry-after", "7"), false, Some(7)),
            (Answer::new(429, r#"{"parameters": {"retry_after": 9}}"#), false, Some(9)),
            (Answer::new(500, "oh, secret-1"), false, None),
            (Answer::new(404, "no secret-1 here"), true, None),
            (Answer::new(401, ""), true, None),
            (Answer::new(302, "").header("location", "http://127.0.0.1:1/secret-1"), true, None),
        ] {
            let status = answer.status;
            sink.answer(answer);
            let error = tell::ours(kind, &options, &letter).await?.err().context("refused")?;
            let seen = (error.permanent, error.retry_after.map(|wait| wait.as_secs()));
            ensure!(seen == (permanent, wait), "{kind}, {status}: {error:?}");
            ensure!(error.text.contains(&status.to_string()), "{kind}: {error:?}");
            ensure!(!error.text.contains("secret-1"), "{kind}: {error:?}");
        }
        sink.asked();
    }
    Ok(())
}

#[test]
fn each_preset_lacks_what_it_cannot_do_without() -> Result<()> {
    for (name, options) in presets("https://host.example") {
        let kind = actions::kind(name).context("a type")?;
        let options = options.as_object().context("options")?;
        ensure!(kind.action(options).1.is_empty(), "{name}");
        for key in options.keys() {
            let mut less = options.clone();
            less.remove(key);
            let (action, faults) = kind.action(&less);
            let optional =
                matches!(
                    (name, key.as_str()),
                    ("ntfy", "token" | "url") | ("alertmanager", "token")
                ) || matches!((name, key.as_str()), ("pagerduty" | "pushover" | "telegram", "url"));
            ensure!(action.is_some() == optional, "{name} without {key}");
            ensure!(
                optional || faults.iter().any(|fault| fault.option == *key),
                "{name}: {faults:?}"
            );
        }
        let mut wrong = options.clone();
        wrong.insert("url".into(), "ftp://secret-1".into());
        let (action, faults) = kind.action(&wrong);
        ensure!(action.is_none() && !format!("{faults:?}").contains("secret-1"), "{faults:?}");
    }
    Ok(())
}

#[tokio::test]
async fn pagerduty_is_told_who_takes_a_failure_on_and_of_what_it_has_not_heard_yet() -> Result<()> {
    let sink = Sink::start().await?;
    let options = json!({ "url": sink.url(), "token": "secret-1" });
    let mut events = Vec::new();
    for letters in [
        vec![News::Acknowledged],
        vec![News::Failed, News::Acknowledged],
        vec![News::Acknowledged, News::Recovered],
    ] {
        let notices = letters.into_iter().map(|news| notice("web", news));
        let letter = letter(notices.collect::<Result<Vec<_>>>()?)?;
        ensure!(tell::ours("pagerduty", &options, &letter).await?.is_ok());
        let mut keys = std::collections::HashSet::new();
        for asked in sink.asked() {
            let body = asked.json()?;
            keys.insert(body["dedup_key"].to_string());
            events.push(body["event_action"].as_str().unwrap_or_default().to_owned());
        }
        ensure!(keys.len() == 1, "one alert: {keys:?}");
    }
    ensure!(events == ["acknowledge", "trigger", "acknowledge", "resolve"], "{events:?}");
    Ok(())
}
