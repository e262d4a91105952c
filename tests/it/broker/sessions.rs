//! Sessions that outlive their connection.

use anyhow::{Result, ensure};

use super::raw::{Hello, Raw, V4, V5, unsubscribe};
use super::setup::Site;

/// Session expiry of an hour.
const HOUR: &[u8] = &[17, 0, 0, 0x0e, 0x10];

fn keeping(level: u8) -> Hello<'static> {
    let properties = if level == V5 { HOUR } else { &[] };
    Hello { id: "a", keep_session: true, properties, ..Hello::default() }
}

async fn writer(site: &Site) -> Result<Raw> {
    Ok(Raw::enter(site.port, V4, &Hello { id: "writer", ..Hello::default() }).await?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_wait_for_a_client_that_is_away() -> Result<()> {
    let site = Site::open().await?;
    let mut writer = writer(&site).await?;
    for level in [V4, V5] {
        let (mut raw, present) = Raw::enter(site.port, level, &keeping(level)).await?;
        ensure!(!present);
        ensure!(raw.subscribe("q/+", 1).await? == 1);
        writer.publish("q/1", "live", false).await?;
        ensure!(raw.message().await?.1 == "live");
        drop(raw);
        for number in 0..250 {
            writer.publish("q/1", &number.to_string(), false).await?;
        }
        let (mut raw, present) = Raw::enter(site.port, level, &keeping(level)).await?;
        ensure!(present);
        // The acknowledgement of the live one may have been lost with the connection.
        let mut next = raw.message().await?.1;
        if next == "live" {
            next = raw.message().await?.1;
        }
        for number in 0..250 {
            ensure!(next == number.to_string(), "{next}, not {number}");
            if number < 249 {
                next = raw.message().await?.1;
            }
        }
        // A subscription of a resumed session can be ended.
        raw.send(&unsubscribe(level, &["q/+", "other"])).await?;
        let answer = raw.read_type(11).await?;
        ensure!(level == V4 || answer[3..] == [0, 0x11], "{answer:?}");
        writer.publish("q/1", "unwanted", false).await?;
        raw.subscribe("p", 1).await?;
        writer.publish("p", "wanted", false).await?;
        ensure!(raw.message().await?.1 == "wanted");
        // Starting clean forgets it all.
        drop(raw);
        let (raw, present) =
            Raw::enter(site.port, level, &Hello { id: "a", ..Hello::default() }).await?;
        ensure!(!present);
        raw.leave().await?;
        let (raw, present) = Raw::enter(site.port, level, &keeping(level)).await?;
        ensure!(!present);
        raw.leave().await?;
        Raw::enter(site.port, level, &Hello { id: "a", ..Hello::default() }).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mqtt_5_session_without_expiry_ends_with_its_connection() -> Result<()> {
    let site = Site::open().await?;
    let hello = Hello { id: "a", keep_session: true, ..Hello::default() };
    let (mut raw, _) = Raw::enter(site.port, V5, &hello).await?;
    raw.subscribe("q", 1).await?;
    drop(raw);
    let (_, present) = Raw::enter(site.port, V5, &hello).await?;
    ensure!(!present);
    // And one that gives its session up when it leaves.
    let (mut raw, _) = Raw::enter(site.port, V5, &keeping(V5)).await?;
    raw.send(&[0xe0, 7, 0, 5, 17, 0, 0, 0, 0]).await?;
    raw.closed().await?;
    let (_, present) = Raw::enter(site.port, V5, &keeping(V5)).await?;
    ensure!(!present);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn subscription_options_of_mqtt_5_are_followed() -> Result<()> {
    let site = Site::open().await?;
    let mut writer = writer(&site).await?;
    let (mut raw, _) = Raw::enter(site.port, V5, &Hello { id: "a", ..Hello::default() }).await?;
    // No local (4), keep the retain flag (8), no retained messages (0x20).
    writer.publish("o", "before", true).await?;
    ensure!(raw.subscribe("o", 1 | 4 | 8 | 0x20).await? == 1);
    raw.publish("o", "mine", false).await?;
    writer.publish("o", "yours", true).await?;
    let (header, body) = loop {
        let Some(packet) = raw.read().await? else { anyhow::bail!("closed") };
        if packet.0 >> 4 == 3 {
            break packet;
        }
    };
    ensure!(header & 1 == 1, "the retain flag was lost");
    ensure!(body.ends_with(b"yours"), "{body:?}");
    Ok(())
}
