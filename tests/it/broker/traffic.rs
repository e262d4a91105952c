//! Messages between clients, and what many filters do to their rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use super::raw::{Hello, Raw, V4, V5, publish, unsubscribe};
use super::setup::Site;

#[tokio::test(flavor = "multi_thread")]
async fn messages_cross_between_the_versions() -> Result<()> {
    let site = Site::open().await?;
    let (mut four, _) =
        Raw::enter(site.port, V4, &Hello { id: "four", ..Hello::default() }).await?;
    let (mut five, _) =
        Raw::enter(site.port, V5, &Hello { id: "five", ..Hello::default() }).await?;
    four.subscribe("to/four", 1).await?;
    five.subscribe("to/#", 1).await?;
    // With properties, which the one has no place for.
    five.send(&super::raw::packet(0x30, b"\0\x07to/four\x04\x03\0\x01txyz")).await?;
    ensure!(four.message().await? == ("to/four".into(), "xyz".into()));
    let body = five.read_type(3).await?;
    ensure!(body.ends_with(b"\x04\x03\0\x01txyz"), "{body:?}");
    four.publish("to/five", "ä", false).await?;
    ensure!(five.message().await? == ("to/five".into(), "ä".into()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_qos_2_arrives_once_though_it_is_sent_again() -> Result<()> {
    let mut site = Site::open().await?;
    for level in [V4, V5] {
        let (mut raw, _) =
            Raw::enter(site.port, level, &Hello { id: "a", ..Hello::default() }).await?;
        let message = publish(level, "once", "1", 2, false);
        raw.send(&message).await?;
        raw.read_type(5).await?;
        raw.send(&message).await?;
        raw.read_type(5).await?;
        raw.send(&[0x62, 2, 0, 7]).await?;
        raw.read_type(7).await?;
        raw.publish("then", "2", false).await?;
        ensure!(&*site.hear().await?.topic == "once");
        ensure!(&*site.hear().await?.topic == "then");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn publishers_wait_for_a_subscriber_that_follows() -> Result<()> {
    let site = Site::open().await?;
    let (mut reader, _) =
        Raw::enter(site.port, V4, &Hello { id: "reader", ..Hello::default() }).await?;
    reader.subscribe("much/+", 1).await?;
    // Far more than the router keeps for a subscriber.
    let (writers, each) = (4, 10_000);
    let mut writing = Vec::new();
    for writer in 0..writers {
        let (id, port) = (format!("writer-{writer}"), site.port);
        writing.push(tokio::spawn(async move {
            let (mut raw, _) = Raw::enter(port, V4, &Hello { id: &id, ..Hello::default() }).await?;
            let message = publish(V4, &format!("much/{writer}"), &"x".repeat(1000), 1, false);
            for _ in 0..each / 100 {
                raw.send(&message.repeat(100)).await?;
                for _ in 0..100 {
                    raw.read_type(4).await?;
                }
            }
            anyhow::Ok(())
        }));
    }
    for number in 0..writers * each {
        reader.message().await.with_context(|| format!("message {number}"))?;
    }
    for writing in writing {
        writing.await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_filters_leave_no_trace() -> Result<()> {
    let site = Site::open().await?;
    let (mut raw, _) = Raw::enter(site.port, V4, &Hello { id: "a", ..Hello::default() }).await?;
    let before = best(&site, "before").await?;
    for number in 0..5000 {
        let filter = format!("f/{number}/+");
        ensure!(raw.subscribe(&filter, 1).await? == 1);
        raw.send(&unsubscribe(V4, &[&filter])).await?;
        raw.read_type(11).await?;
    }
    let after = best(&site, "after").await?;
    // Over new topics this once fell to a seventieth.
    ensure!(after < 3 * before, "{before:?} before, {after:?} after");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_cannot_have_filters_without_end() -> Result<()> {
    let site = Site::open().await?;
    for (level, code) in [(V4, 0x80), (V5, 0x97)] {
        let (mut raw, _) =
            Raw::enter(site.port, level, &Hello { id: "a", ..Hello::default() }).await?;
        for number in 0..110 {
            let granted = raw.subscribe(&format!("f/{number}"), 1).await?;
            ensure!(granted == if number < 100 { 1 } else { code }, "{number}: {granted}");
        }
    }
    Ok(())
}

/// The best of three, as other tests run beside this one.
async fn best(site: &Site, name: &str) -> Result<Duration> {
    let mut best = Duration::MAX;
    for round in 0..3 {
        best = best.min(rate(site, &format!("{name}{round}")).await?);
    }
    Ok(best)
}

/// How long 20,000 messages of QoS 1 take from one client to another, over 2,000 topics that are new.
async fn rate(site: &Site, name: &str) -> Result<Duration> {
    let ids = [format!("{name}-w"), format!("{name}-r")];
    let (mut writer, _) =
        Raw::enter(site.port, V4, &Hello { id: &ids[0], ..Hello::default() }).await?;
    let (mut reader, _) =
        Raw::enter(site.port, V4, &Hello { id: &ids[1], ..Hello::default() }).await?;
    reader.subscribe(&format!("{name}/#"), 0).await?;
    let started = Instant::now();
    let reading = tokio::spawn(async move {
        for _ in 0..20_000 {
            reader.message().await?;
        }
        anyhow::Ok(())
    });
    for batch in 0..100 {
        let mut bytes = Vec::new();
        for number in 0..200 {
            let topic = format!("{name}/{}", (batch * 200 + number) % 2000);
            bytes.extend(publish(V4, &topic, "payload", 1, false));
        }
        writer.send(&bytes).await?;
        for _ in 0..200 {
            writer.read_type(4).await?;
        }
    }
    reading.await??;
    Ok(started.elapsed())
}
