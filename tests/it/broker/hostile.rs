//! Clients that want to bring the broker down, with an honest pair beside them.

use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use fletchck::broker::{Memory, Settings};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::raw::{Hello, Raw, V4, V5, packet, publish, subscribe, unsubscribe};
use super::setup::{Honest, Site, anyone};

/// Panics since the first test that counts them.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let inside = |file: &str| file.contains("rumqttd") || file.contains("src/broker");
            if info.location().is_some_and(|location| inside(location.file())) {
                PANICS.fetch_add(1, Ordering::Relaxed);
            }
            before(info);
        }));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_filters_that_are_none_close_or_are_refused() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    for level in [V4, V5] {
        // Its first character once made the router panic. It is a good topic.
        let (mut raw, _) =
            Raw::enter(site.port, level, &Hello { id: "a", ..Hello::default() }).await?;
        ensure!(raw.publish("ä/b", "1", false).await? == 0);
        honest.check().await?;
        for topic in ["", "a/+", "#", "$SYS/x", "a\0b"] {
            let hello = Hello { id: "b", ..Hello::default() };
            let (mut raw, _) = Raw::enter(site.port, level, &hello).await?;
            raw.send(&publish(level, topic, "1", 0, false)).await?;
            raw.closed().await?;
        }
        for filter in ["", "a/#/b", "a+", "$SYS/#", "$share/g/a"] {
            let code = raw.subscribe(filter, 1).await?;
            ensure!(code >= 0x80, "{filter} was granted with {code}");
        }
        honest.check().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusing_a_client_twice_harms_nobody() -> Result<()> {
    let settings = Settings { max_connections: 4, ..Settings::default() };
    let site = Site::with(settings, anyone()?, Arc::new(Memory::default())).await?;
    let honest = Honest::start(site.port).await?;
    for level in [V4, V5] {
        for _ in 0..3 {
            let hello = Hello { id: "a/b", ..Hello::default() };
            let (_, answer) = Raw::knock(site.port, level, &hello).await?;
            ensure!(answer[1] == if level == V4 { 2 } else { 0x85 }, "{answer:?}");
        }
        let mut guests = Vec::new();
        for id in ["g1", "g2"] {
            let hello = Hello { id, ..Hello::default() };
            guests.push(Raw::enter(site.port, level, &hello).await?.0);
        }
        for _ in 0..3 {
            let hello = Hello { id: "g3", ..Hello::default() };
            let (_, answer) = Raw::knock(site.port, level, &hello).await?;
            ensure!(answer[1] == if level == V4 { 3 } else { 0x88 }, "{answer:?}");
        }
        honest.check().await?;
        for guest in guests {
            guest.leave().await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_subscription_of_a_session_is_refused() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    let hello = Hello { id: "a", keep_session: true, ..Hello::default() };
    let (mut raw, _) = Raw::enter(site.port, V4, &hello).await?;
    ensure!(raw.subscribe("$share/group/honest/+", 1).await? == 0x80);
    // And the same with a plain filter, of which messages are left without an answer.
    ensure!(raw.subscribe("honest/+", 1).await? == 1);
    raw.read_type(3).await?;
    drop(raw);
    honest.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_may_be_taken_over_and_drain_late() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    for keep_session in [false, true] {
        let hello = Hello { id: "slow", keep_session, ..Hello::default() };
        let (mut slow, _) = Raw::enter(site.port, V4, &hello).await?;
        slow.subscribe("flood", 0).await?;
        let (mut flood, _) =
            Raw::enter(site.port, V4, &Hello { id: "flood", ..Hello::default() }).await?;
        let message = publish(V4, "flood", &"x".repeat(10_000), 0, false);
        for _ in 0..2000 {
            flood.send(&message).await?;
        }
        let (newer, _) = Raw::enter(site.port, V4, &hello).await?;
        newer.leave().await?;
        slow.closed().await.ok();
        honest.check().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_broker_sends_closes_the_connection() -> Result<()> {
    count_panics();
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    let panics = PANICS.load(Ordering::Relaxed);
    for level in [V4, V5] {
        let second = Hello { id: "a", ..Hello::default() };
        let mut bad = vec![second.bytes(level), unsubscribe(level, &[])];
        for kind in [2, 9, 11, 13, 15] {
            bad.push(packet(kind << 4, &[0, 1, 0]));
            bad.push(packet(kind << 4, &[]));
        }
        for packet in bad {
            let (mut raw, _) = Raw::enter(site.port, level, &second).await?;
            raw.send(&packet).await?;
            let reason = raw.closed().await?;
            ensure!(reason == (level == V5).then_some(0x82), "{packet:?}: {reason:?}");
        }
    }
    ensure!(PANICS.load(Ordering::Relaxed) == panics, "the broker panicked");
    honest.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_over_the_limit_are_not_read() -> Result<()> {
    let site = Site::open().await?;
    let (mut raw, _) = Raw::enter(site.port, V5, &Hello { id: "a", ..Hello::default() }).await?;
    raw.send(&[0x30, 0xff, 0xff, 0xff, 0x7f]).await?;
    ensure!(raw.closed().await? == Some(0x95));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_packets_disturb_nobody() -> Result<()> {
    count_panics();
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    let panics = PANICS.load(Ordering::Relaxed);
    let mut random = StdRng::seed_from_u64(2);
    for round in 0..4000 {
        let level = if round % 2 == 0 { V4 } else { V5 };
        let will = (round % 3 == 0).then_some(("will/a", "gone"));
        let id = format!("m{}", round % 7);
        let hello = Hello { id: &id, keep_session: round % 5 == 0, will, ..Hello::default() };
        let mut bytes = hello.bytes(level);
        // Every third time the CONNECT itself is spoilt.
        if round % 3 == 0 {
            mutate(&mut bytes, &mut random);
        }
        let kinds: [Vec<u8>; 8] = [
            publish(level, "m/a", "payload", 1, true),
            publish(level, "m/a", "payload", 2, false),
            subscribe(level, "m/#", 1),
            unsubscribe(level, &["m/#", "x"]),
            packet(0x40, &[0, 1]),
            packet(0x62, &[0, 7]),
            // With properties: expiry, content type, correlation data, a user property.
            packet(
                0x32,
                b"\0\x03m/b\0\x05\x1a\x02\0\0\0\x09\x03\0\x01t\x09\0\x02cd\x26\0\x02ab\0\x03abcpay",
            ),
            packet(0xe0, &[0x04, 5, 17, 0, 0, 0, 9]),
        ];
        for _ in 0..random.random_range(1..5) {
            let mut packet = kinds.choose(&mut random).cloned().unwrap_or_default();
            mutate(&mut packet, &mut random);
            bytes.extend(packet);
        }
        let mut stream = TcpStream::connect(("127.0.0.1", site.port)).await?;
        if stream.write_all(&bytes).await.is_ok() && round % 4 == 0 {
            stream.shutdown().await.ok();
            stream.read_to_end(&mut Vec::new()).await.ok();
        }
        if round % 200 == 0 {
            honest.check().await?;
        }
    }
    honest.check().await?;
    ensure!(PANICS.load(Ordering::Relaxed) == panics, "the broker panicked");
    Ok(())
}

fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..5) {
            0 => bytes[at] = random.random(),
            1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, random.random()),
            _ => bytes[at] = *[0, 1, 0x7f, 0x80, 0xff].choose(random).unwrap_or(&0),
        }
    }
}
