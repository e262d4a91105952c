//! Parts of a site that cannot run as the configuration says: everything else runs, the page and the log say so, and they
//! come by themselves.

use std::fs;

use anyhow::Result;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
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
