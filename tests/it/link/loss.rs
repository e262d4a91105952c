//! Nothing is lost on the way, whatever happens to the broker or between.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fletchck_agent::link::LinkState;
use fletchck_shared::config::{Mqtt as Config, Protocol};
use fletchck_tests::{
    mqtt::Mqtt,
    wait::{PATIENCE, until},
};

use super::client::{Client, broker, config, hears, settings};
use super::scripted::{Answer, Refusal, Scripted};

/// Cuts at arbitrary messages, before and after their acknowledgement, acknowledging in order and not: everything the
/// broker took arrives, and each topic's newest message is its last.
async fn nothing_is_lost(session_present: bool) -> Result<()> {
    const MESSAGES: u64 = 1000;
    let mut count = 0;
    let broker = Scripted::start(session_present, Refusal::None, move |_| {
        count += 1;
        match count % 97 {
            13 => Answer::CutBefore,
            61 => Answer::CutAfter,
            n if n > 61 => Answer::AckReversed,
            _ => Answer::Ack,
        }
    })
    .await?;
    let mut settings = settings(&Config { persist: session_present, ..config(broker.port) })?;
    settings.longest_wait = Duration::from_millis(5);
    let client = Client::start(settings, ());
    for number in 0..MESSAGES {
        client.add(&format!("t/{}", number % 7), number, 1);
        if number % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    client.all_sent().await?;
    let heard = broker.heard();
    let distinct: BTreeSet<u64> = heard.iter().map(|message| message.number).collect();
    assert_eq!(distinct.len() as u64, MESSAGES);
    assert!(broker.versions().len() > 10, "{} connections", broker.versions().len());
    for topic in 0..7 {
        let topic = format!("t/{topic}");
        let numbers: Vec<u64> =
            heard.iter().filter(|m| m.topic == topic).map(|m| m.number).collect();
        assert_eq!(numbers.last(), numbers.iter().max(), "{topic} ends with its newest message");
        let mut first = BTreeSet::new();
        let fresh: Vec<u64> = numbers.into_iter().filter(|&n| first.insert(n)).collect();
        assert!(fresh.is_sorted(), "{topic} arrived in order at first: {fresh:?}");
    }
    client.leave().await
}

#[tokio::test]
async fn nothing_is_lost_where_the_broker_forgets_the_session() -> Result<()> {
    nothing_is_lost(false).await
}

#[tokio::test]
async fn nothing_is_lost_where_the_broker_keeps_the_session() -> Result<()> {
    nothing_is_lost(true).await
}

/// mosquitto killed under load, twice. What it acknowledged in the very moment of its death it may have forgotten
/// itself, so that what it passed on counts as well.
async fn survives_killed_brokers(persist: bool, qos: u8) -> Result<()> {
    const MESSAGES: u64 = 1000;
    let (_dir, _pki, mut broker) = broker().await?;
    let mut hearing = settings(&config(broker.port))?;
    hears(&mut hearing, "load/#", 0)?;
    hearing.longest_wait = Duration::from_millis(10);
    let mut hearer = Client::with_room(hearing, (), 100_000);
    hearer.up().await?;
    let mut client = Client::start(settings(&Config { persist, ..config(broker.port) })?, ());
    client.up().await?;
    for number in 0..MESSAGES {
        client.add(&format!("load/{number}"), number, qos);
        tokio::time::sleep(Duration::from_millis(1)).await;
        if number % 400 == 300 {
            broker.kill();
            client.down().await?;
            hearer.down().await?;
            broker.restart().await?;
            hearer.up().await?;
            let up = client.up().await?;
            assert!(
                matches!(up, LinkState::Up { session_present, protocol: Protocol::V5, .. }
                    if session_present == (persist && qos < 2)),
                "{up:?}"
            );
        }
    }
    client.all_sent().await?;
    let late = Mqtt::connect(broker.port).await?;
    late.subscribe("load/#").await?;
    let mut heard = BTreeSet::new();
    until(PATIENCE, "all messages", async || {
        while let Ok(arrived) = hearer.arrived.try_recv() {
            heard.insert(arrived.topic.to_string());
        }
        heard.extend(late.messages().into_iter().map(|message| message.topic));
        (heard.len() as u64 == MESSAGES).then_some(())
    })
    .await
    .with_context(|| format!("{} of {MESSAGES} arrived", heard.len()))?;
    client.leave().await
}

#[tokio::test]
async fn a_killed_broker_loses_no_message() -> Result<()> {
    survives_killed_brokers(false, 1).await
}

#[tokio::test]
async fn a_killed_broker_with_a_kept_session_loses_no_message() -> Result<()> {
    survives_killed_brokers(true, 1).await
}

#[tokio::test]
async fn a_killed_broker_loses_no_message_with_qos_2() -> Result<()> {
    survives_killed_brokers(true, 2).await
}
