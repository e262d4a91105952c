//! Retained messages.

use std::sync::Arc;

use anyhow::{Result, ensure};
use fletchck::broker::{Keep, Limits, Memory, Settings};

use super::raw::{Hello, Raw, V4, V5, packet};
use super::setup::{Site, anyone};

fn hello(id: &str) -> Hello<'_> {
    Hello { id, ..Hello::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_five_hundred_arrive_at_qos_1() -> Result<()> {
    let site = Site::open().await?;
    let (mut writer, _) = Raw::enter(site.port, V4, &hello("writer")).await?;
    for number in 0..500 {
        writer.publish(&format!("r/{number:03}"), &number.to_string(), true).await?;
    }
    for (level, receive_max) in [(V4, &[][..]), (V5, &[]), (V5, &[0x21, 0, 3])] {
        let hello = Hello { id: "reader", properties: receive_max, ..Hello::default() };
        let (mut reader, _) = Raw::enter(site.port, level, &hello).await?;
        ensure!(reader.subscribe("r/+", 1).await? == 1);
        for number in 0..500 {
            let want = (format!("r/{number:03}"), number.to_string());
            ensure!(reader.message().await? == want);
        }
        // Live messages go on behind them, in their order.
        for number in 0..300 {
            writer.publish("r/live", &number.to_string(), false).await?;
        }
        for number in 0..300 {
            ensure!(reader.message().await? == ("r/live".to_owned(), number.to_string()));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn they_survive_a_restart() -> Result<()> {
    let keep = Arc::new(Memory::default());
    let site = Site::with(Settings::default(), anyone()?, keep.clone()).await?;
    let (mut writer, _) = Raw::enter(site.port, V5, &hello("writer")).await?;
    for number in 0..300 {
        writer.publish(&format!("r/{number}"), "old", true).await?;
    }
    writer.publish("r/0", "new", true).await?;
    writer.publish("r/1", "", true).await?;
    // With a content type, which is to come back too.
    writer.send(&packet(0x31, b"\0\x03r/2\x04\x03\0\x01txyz")).await?;
    writer.publish("x", "after it", false).await?;
    site.broker.stop().await;
    ensure!(keep.load()?.len() == 299);

    let site = Site::with(Settings::default(), anyone()?, keep).await?;
    let (mut reader, _) = Raw::enter(site.port, V5, &hello("reader")).await?;
    ensure!(reader.subscribe("r/0", 0).await? == 0);
    ensure!(reader.message().await?.1 == "new");
    reader.send(&super::raw::subscribe(V5, "r/2", 0)).await?;
    let body = reader.read_type(3).await?;
    ensure!(body == b"\0\x03r/2\x04\x03\0\x01txyz", "{body:?}");
    reader.subscribe("r/1", 0).await?;
    reader.subscribe("r/3", 0).await?;
    ensure!(reader.message().await?.0 == "r/3", "a deleted message came back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_empty_retained_message_deletes() -> Result<()> {
    let site = Site::open().await?;
    let (mut raw, _) = Raw::enter(site.port, V4, &hello("a")).await?;
    raw.publish("r/1", "kept", true).await?;
    raw.publish("r/1", "", false).await?;
    raw.publish("r/2", "gone", true).await?;
    raw.publish("r/2", "", true).await?;
    raw.publish("r/3", "last", true).await?;
    ensure!(raw.subscribe("r/#", 1).await? == 1);
    ensure!(raw.message().await? == ("r/1".into(), "kept".into()));
    ensure!(raw.message().await? == ("r/3".into(), "last".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_ones_are_not_delivered() -> Result<()> {
    let site = Site::open().await?;
    let (mut raw, _) = Raw::enter(site.port, V5, &hello("a")).await?;
    // Expires after one second; and after an hour.
    raw.send(&packet(0x31, b"\0\x03r/1\x05\x02\0\0\0\x01soon")).await?;
    raw.send(&packet(0x31, b"\0\x03r/2\x05\x02\0\0\x0e\x10late")).await?;
    ensure!(raw.subscribe("r/1", 0).await? == 0);
    ensure!(raw.message().await?.1 == "soon");
    // The first of the two stays away once its second has passed.
    loop {
        raw.send(&super::raw::subscribe(V5, "r/+", 0)).await?;
        let first = raw.message().await?.1;
        if first == "late" {
            return Ok(());
        }
        ensure!(first == "soon" && raw.message().await?.1 == "late");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_fill_the_memory() -> Result<()> {
    let limits = Limits { client_count: 10, ..Limits::default() };
    let settings = Settings { retained: limits, ..Settings::default() };
    let site = Site::with(settings, anyone()?, Arc::new(Memory::default())).await?;
    let (mut greedy, _) = Raw::enter(site.port, V5, &hello("greedy")).await?;
    for number in 0..20 {
        let reason = greedy.publish(&format!("g/{number}"), "x", true).await?;
        ensure!(reason == if number < 10 { 0 } else { 0x97 }, "{number}: {reason}");
    }
    let (mut other, _) = Raw::enter(site.port, V5, &hello("other")).await?;
    ensure!(other.publish("o/1", "x", true).await? == 0);
    Ok(())
}
