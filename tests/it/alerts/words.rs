//! The sentence of an outcome reaches everybody as it is.

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    page::Page,
    pki::Pki,
    port,
    sink::Sink,
    wait::{self, PATIENCE},
};
use serde_json::json;

use crate::fleet::SECRET;

/// With signs that HTML, JSON and a topic would take for their own.
const VOLUME: &str = "/there <is> & \"none\"";

const SENTENCE: &str = "/there <is> & \"none\" does not exist: is the volume mounted?";

/// What a page shows.
fn shown(page: &str) -> String {
    let signs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#38;", "&")];
    signs.into_iter().fold(page.to_owned(), |page, (written, sign)| page.replace(written, sign))
}

#[tokio::test(flavor = "multi_thread")]
async fn page_message_alert_and_command_line_have_the_same_sentence() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let (sink, mosquitto) = (Sink::start().await?, Mosquitto::start(&pki).await?);
    let reader = Mqtt::connect(mosquitto.port).await?;
    reader.subscribe("#").await?;
    let pages = port::free();
    let site = json!({
        "agent": { "id": "nas" },
        "webui": {
            "hostname": "localhost", "port": pages, "cert": pki.valid.cert, "key": pki.valid.key,
            "users": { "admin": SECRET },
        },
        "mqtt": { "hostname": "127.0.0.1", "port": mosquitto.port },
        "actions": {
            "web": { "type": "webhook", "gather": 0, "options": { "url": sink.url() } },
            "bus": { "type": "mqtt", "gather": 0, "options": { "topic": "alerts" } },
            "log": { "type": "log" },
        },
        "checks": { "disk": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } },
            "publish": "old/disk", "actions": ["web", "bus", "log"],
            "options": { "volume": VOLUME },
        } },
    });
    let mut site = Fletchck::start(Program::Full, &site).await?;
    let state = site.until("disk", "fail").await?;
    ensure!(state.text == SENTENCE, "{state:?}");

    let asked = sink.wait_for(1).await?.pop().context("a request")?;
    ensure!(asked.json()?["entries"][0]["text"] == SENTENCE, "{asked:?}");
    for (topic, place) in [
        ("fletchck/nas/check/disk", "/data/text"),
        ("old/disk", "/data/text"),
        ("alerts", "/entries/0/text"),
    ] {
        let said = |message: &fletchck_tests::mqtt::Message| {
            message.topic == topic
                && message.json().pointer(place).is_some_and(|text| text == SENTENCE)
        };
        reader.wait_for(PATIENCE, topic, said).await?;
    }
    site.process()?.wait_for_line(SENTENCE).await?;

    let page = Page::log_in(pages, "admin", "secret").await?;
    for path in ["/", "/check/disk"] {
        let says = async || {
            let body = shown(&page.get(path).await.ok()?.body);
            body.contains(SENTENCE).then_some(())
        };
        wait::until(PATIENCE, &format!("{path} to say it"), says).await?;
    }
    let output = site.run(&["check", "disk"]).await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(told.contains(SENTENCE), "{told}");
    site.stop().await
}
