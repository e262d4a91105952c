//! Jobs that report by themselves: to the page, to the embedded broker and over a broker elsewhere.

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, State};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    look,
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    port,
    wait::{self, PATIENCE},
};
use rumqttc::MqttOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "0123456789abcdef";

/// `secret`, hashed so that a test need not wait for it.
const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

fn job(more: &Value) -> Result<Value> {
    let mut options = json!({ "token": TOKEN, "period": 3600 });
    for (key, value) in more.as_object().context("options")? {
        options[key] = value.clone();
    }
    Ok(json!({ "backup": { "type": "push", "actions": ["log"], "options": options } }))
}

async fn until(site: &Fletchck, word: &str, text: &str) -> Result<State> {
    let store = site.dir().join("fletchck.db");
    let name = CheckName::try_from("backup")?;
    let stands = async || {
        let state = Store::read_past(&store).ok()?.checks.get(&name)?.state.clone();
        (state.word() == word && state.text.starts_with(text)).then_some(state)
    };
    wait::until(PATIENCE, &format!("`backup` to be {word}: {text}"), stands).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_to_the_page_or_to_the_broker() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let (page, broker) = (port::free(), port::free());
    let mut site = Fletchck::start(
        Program::Full,
        &json!({
            "webui": { "hostname": "localhost", "port": page, "cert": pki.valid.cert, "key": pki.valid.key,
                       "users": { "admin": SECRET } },
            "broker": { "listeners": [{ "listen": format!("127.0.0.1:{broker}") }],
                        "users": { "cron": { "password": SECRET, "publish": ["fletchck/push/#"] } } },
            "actions": { "log": { "type": "log" } },
            "checks": job(&json!({ "period": 2, "grace": 1 }))?,
        }),
    )
    .await?;
    let ask = async |path: &str, said: &str| {
        let options = json!({ "hostname": "localhost", "port": page, "cafile": pki.ca,
            "reqPath": path, "reqBody": said, "contains": "\n" });
        look::ours("https", &options).await
    };
    let seen = ask(&format!("/push/{TOKEN}/1"), "no space left").await?;
    ensure!(seen.text.contains(" answered 200 OK"), "{seen:?}");
    let failed = until(&site, "fail", "it reported the exit status 1").await?;
    ensure!(failed.log == ["no space left"], "{failed:?}");
    for (path, status) in [
        ("/push/another-token-than-that".to_owned(), "404 Not Found"),
        (format!("/push/{TOKEN}/sideways"), "400 Bad Request"),
    ] {
        let seen = ask(&path, "").await?;
        ensure!(seen.text.contains(&format!(" answered {status}")), "{seen:?}");
    }

    let mut login = MqttOptions::new("cron", "127.0.0.1", broker);
    login.set_credentials("cron", "secret");
    let cron = Mqtt::with(login).await?;
    cron.publish(&format!("fletchck/push/{TOKEN}"), "all copied", false).await?;
    let well = until(&site, "pass", "it reported success").await?;
    ensure!(well.log == ["all copied"], "{well:?}");
    // And once nothing is heard any more:
    until(&site, "fail", "expected a report every 3 s").await?;
    let log = site.process()?.log();
    ensure!(
        !log.contains(TOKEN) && !log.contains("another-token"),
        "a secret is in the log: {log}"
    );
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_over_a_broker_elsewhere_and_a_retained_report_counts_for_nothing()
-> Result<()> {
    let dir = TempDir::new()?;
    let mosquitto = Mosquitto::start(&Pki::create(dir.path())?).await?;
    let job_side = Mqtt::connect(mosquitto.port).await?;
    job_side.publish(&format!("fletchck/push/{TOKEN}"), "long ago", true).await?;
    let mut site = Fletchck::start(
        Program::Full,
        &json!({
            "mqtt": { "hostname": "127.0.0.1", "port": mosquitto.port },
            "actions": { "log": { "type": "log" } },
            "checks": job(&json!({}))?,
        }),
    )
    .await?;
    let told = async || {
        let log = site.process().ok()?.log();
        log.contains("a report of a job must not be retained").then_some(())
    };
    wait::until(PATIENCE, "the retained report to be left", told).await?;
    job_side.publish(&format!("fletchck/push/{TOKEN}/fail"), "oh", false).await?;
    until(&site, "fail", "it reported a failure").await?;
    site.stop().await
}
