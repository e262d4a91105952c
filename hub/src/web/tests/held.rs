//! Why an alert that waits is not told yet, on the pages.

use std::path::Path;

use serde_json::{Value, json};

use super::alerts::Running;

fn site(volume: &Path, port: u16) -> Value {
    let url = format!("http://127.0.0.1:{port}/");
    json!({
        "actions": {
            "night": { "type": "log", "quiet": { "from": "00:00", "to": "00:00" } },
            "seldom": { "type": "webhook", "rate": 1, "options": { "url": url } },
            "later": { "type": "log", "gather": 3600 },
        },
        "checks": { "disk": {
            "type": "disk", "options": { "volume": volume, "level": 100 }, "flapping": false,
            "actions": ["night", "seldom", "later"],
        } },
    })
}

#[tokio::test]
async fn an_alert_that_waits_says_what_for_and_until_when() {
    let mut site = Running::of(site, 200).await;
    site.post("/run", &[("check", "disk")]).await;
    site.until_told(1).await;
    std::fs::create_dir(site.folder.path().join("volume")).expect("made");
    site.post("/run", &[("check", "disk")]).await;
    for why in [
        "; it has told as often as it may for now, and goes on at ",
        "; it waits for the end of its quiet hours at ",
        "; it waits until ",
    ] {
        site.until_page(why).await;
    }
    let page = site.page("/check/disk").await;
    for sentence in [
        "<p class=\"notice\">night waits for the end of its quiet hours at ",
        " 00:00 UTC.</p>",
        "<p class=\"notice\">seldom has told as often as it may for now, and goes on at ",
        "<p class=\"notice\">later waits until ",
    ] {
        assert!(page.contains(sentence), "{sentence} is not in {page}");
    }
}

#[tokio::test]
async fn an_alert_that_failed_says_when_it_is_tried_again() {
    let mut site = Running::of(site, 503).await;
    site.post("/run", &[("check", "disk")]).await;
    site.until_page("; it tries again at ").await;
    site.until_told(3).await;
    site.until_page("; it tries again at ").await;
}
