//! Parts of a site that cannot run as the configuration says: everything else runs, the page and the log say so, and they
//! come by themselves.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    page::Page,
    pki::Pki,
    port,
    wait::{self, PATIENCE},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::{SECRET, until};

fn own_check() -> Value {
    json!({ "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "options": { "level": 100 } })
}

/// A hub with pages, whose broker has these listeners.
fn hub(page: u16, pki: &Pki, listeners: Value) -> Value {
    json!({
        "agent": { "id": "hub-1" },
        "webui": { "hostname": "localhost", "port": page, "cert": pki.valid.cert, "key": pki.valid.key,
                   "users": { "admin": SECRET } },
        "broker": { "listeners": listeners,
                    "users": { "nas": { "password": SECRET }, "pi": { "password": SECRET } } },
        "checks": { "own": own_check() },
    })
}

fn listener(port: u16) -> Value {
    json!({ "listen": format!("127.0.0.1:{port}") })
}

/// Waits until the overview has all these words in it.
async fn page_says(port: u16, words: &[&str]) -> Result<String> {
    let says = async || {
        let page = Page::log_in(port, "admin", "secret").await.ok()?.get("/").await.ok()?.body;
        words.iter().all(|word| page.contains(word)).then_some(page)
    };
    wait::until(PATIENCE, &format!("the page to say {words:?}"), says).await
}

async fn page_is_well(port: u16) -> Result<()> {
    let well = async || {
        let page = Page::log_in(port, "admin", "secret").await.ok()?.get("/").await.ok()?.body;
        (!page.contains("Faults in the configuration")).then_some(())
    };
    wait::until(PATIENCE, "the page to be without faults", well).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_configuration_any_more_is_told_on_the_page() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let page = port::free();
    let config = hub(page, &pki, json!([listener(port::free())]));
    let mut site = Fletchck::start(Program::Full, &config).await?;
    page_is_well(page).await?;
    fs::write(site.config_path(), "{\n  \"checks\": {\n")?;
    page_says(page, &["the file", "fletchck.conf", "this is not JSON", "line 3"]).await?;
    let first = until(&site, "own", "pass").await?.last_check;
    let goes_on = async || {
        let state = until(&site, "own", "pass").await.ok()?;
        (state.last_check != first).then_some(())
    };
    wait::until(PATIENCE, "what ran before to go on", goes_on).await?;
    site.write(&config)?;
    page_is_well(page).await?;
    site.stop().await
}

/// A hub that hears over a link to mosquitto.
fn linked(page: u16, pki: &Pki, broker: &Mosquitto, ca: &Path, password: &str) -> Value {
    json!({
        "agent": { "id": "hub-1" },
        "webui": { "hostname": "localhost", "port": page, "cert": pki.valid.cert, "key": pki.valid.key,
                   "users": { "admin": SECRET } },
        "mqtt": { "hostname": "127.0.0.1", "port": broker.tls_port, "tls": true, "cafile": ca,
                  "username": Mosquitto::USER, "password": password, "basetopic": "site/#" },
        "fleet": { "hub": true },
        "checks": { "root": { "type": "remote" } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_made_is_told_and_tried_until_it_is() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let broker = Mosquitto::start(&pki).await?;
    let (page, ca) = (port::free(), dir.path().join("later.pem"));
    let heard = Mqtt::connect(broker.port).await?;
    let update = json!({
        "name": "root", "type": "disk", "data": { "failState": false, "lastCheck": chrono::Utc::now() },
    });
    heard.publish("site/root", update.to_string(), true).await?;

    // Nobody to trust, from the start on.
    let right = linked(page, &pki, &broker, &ca, Mosquitto::PASSWORD);
    let mut site = Fletchck::start(Program::Full, &right).await?;
    let stale = until(&site, "root", "stale").await?;
    ensure!(format!("{:?}", stale.cover).contains("the broker is away"), "{stale:?}");
    page_says(page, &["mqtt.cafile", "later.pem", "there is no link to the broker"]).await?;
    fs::copy(&pki.ca, &ca)?;
    until(&site, "root", "pass").await?;
    page_is_well(page).await?;

    // A wrong password, after a reload.
    site.write(&linked(page, &pki, &broker, &ca, "wrong"))?;
    until(&site, "root", "stale").await?;
    page_says(page, &["mqtt.username", "does not authorise this user"]).await?;
    let log = site.process()?.log();
    ensure!(!log.contains(Mosquitto::PASSWORD), "{log}");
    site.write(&right)?;
    until(&site, "root", "pass").await?;
    page_is_well(page).await?;
    site.stop().await
}
