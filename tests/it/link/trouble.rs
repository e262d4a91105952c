//! What is wrong with a broker or with what it sends is told, and the link comes back by itself.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::link::{Failure, LinkState};
use fletchck_shared::{
    Secret,
    config::{Mqtt as Config, Protocol},
};
use fletchck_tests::{
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    wait::{PATIENCE, until},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::client::{Client, broker, config, hears, settings};

#[tokio::test]
async fn a_frozen_broker_is_noticed_and_comes_back() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let mut settings = settings(&config(broker.port))?;
    settings.keep_alive = Duration::from_secs(1);
    let mut client = Client::start(settings, ());
    client.up().await?;
    broker.freeze()?;
    let began = tokio::time::Instant::now();
    assert_eq!(client.down().await?, Failure::Silent);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    client.add("frozen", 1, 1);
    broker.thaw()?;
    client.up().await?;
    client.all_sent().await?;
    client.leave().await
}

#[tokio::test]
async fn a_wrong_password_is_told_and_heals_once_it_is_right() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    for protocol in [Protocol::V5, Protocol::V311] {
        broker.set_password(Mosquitto::PASSWORD)?;
        let login = Config {
            username: Some(Mosquitto::USER.into()),
            password: Some(Secret::new("another")),
            protocol: Some(protocol),
            ..config(broker.password_port)
        };
        let mut client = Client::start(settings(&login)?, ());
        // mosquitto says "not authorised" for a wrong password. A connection that it is given while it reads its
        // passwords anew it may close without a word; the link tries again then.
        let told = |state: &LinkState| {
            matches!(state, LinkState::Down { why: Failure::Login | Failure::NotAuthorised, .. })
        };
        client.state(told).await?;
        assert!(!format!("{:?}", client.running).contains("another"));
        broker.set_password("another")?;
        client.up().await?;
        client.leave().await?;
    }
    Ok(())
}

#[tokio::test]
async fn tls_trusts_the_configured_authority_and_no_other() -> Result<()> {
    let (_dir, pki, broker) = broker().await?;
    let tls = |ca_file: Option<PathBuf>| Config {
        tls: true,
        ca_file,
        username: Some(Mosquitto::USER.into()),
        password: Some(Secret::new(Mosquitto::PASSWORD)),
        ..config(broker.tls_port)
    };
    let mut client = Client::start(settings(&tls(Some(pki.ca.clone())))?, ());
    client.up().await?;
    client.add("tls", 1, 1);
    client.all_sent().await?;
    client.leave().await?;

    let elsewhere = tempfile::TempDir::new()?;
    let other = Pki::create(elsewhere.path())?;
    let mut client = Client::start(settings(&tls(Some(other.ca.clone())))?, ());
    let why = client.down().await?.to_string();
    assert!(why.contains("mqtt.cafile"), "{why}");
    client.leave().await?;

    let plain = Config { tls: true, ca_file: Some(pki.ca.clone()), ..config(broker.port) };
    let mut client = Client::start(settings(&plain)?, ());
    let why = client.down().await?;
    assert!(!matches!(why, Failure::Login | Failure::NotAuthorised), "{why}");
    client.leave().await
}

#[tokio::test]
async fn a_missing_authority_is_told_and_heals_once_it_is_there() -> Result<()> {
    let (dir, pki, broker) = broker().await?;
    let file = dir.path().join("later.pem");
    let tls = Config {
        tls: true,
        ca_file: Some(file.clone()),
        username: Some(Mosquitto::USER.into()),
        password: Some(Secret::new(Mosquitto::PASSWORD)),
        ..config(broker.tls_port)
    };
    let mut client = Client::start(settings(&tls)?, ());
    let why = client.down().await?;
    let fault = why.fault().context("waiting alone does not mend it")?;
    ensure!(fault.path == "mqtt.cafile" && fault.wrong.contains("later.pem"), "{fault}");

    // Another authority at first, and the right one then.
    let elsewhere = tempfile::TempDir::new()?;
    std::fs::copy(Pki::create(elsewhere.path())?.ca, &file)?;
    client.state(|state| matches!(state, LinkState::Down { why: Failure::Tls(_), .. })).await?;
    std::fs::copy(&pki.ca, &file)?;
    client.up().await?;
    client.leave().await
}

#[tokio::test]
async fn a_huge_retained_message_does_not_end_the_connection() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let other = Mqtt::connect(broker.port).await?;
    other.publish("in/poison", vec![b'x'; 3 << 20], true).await?;
    for protocol in [Protocol::V5, Protocol::V311] {
        let mut settings = settings(&Config { protocol: Some(protocol), ..config(broker.port) })?;
        hears(&mut settings, "in/#", 1)?;
        let mut client = Client::start(settings, ());
        client.up().await?;
        let skipped = async || (client.running.counters.given_up() == 1).then_some(());
        until(PATIENCE, "the large message to be skipped", skipped).await?;
        other.publish("in/good", "fine", false).await?;
        assert_eq!(&*client.next().await?.topic, "in/good");
        assert!(matches!(*client.running.state.borrow(), LinkState::Up { .. }));
        client.leave().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_message_that_cannot_be_read_does_not_end_the_connection() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let mut settings = settings(&config(listener.local_addr()?.port()))?;
    hears(&mut settings, "#", 1)?;
    let mut client = Client::start(settings, ());
    let (mut stream, _) = listener.accept().await?;
    // CONNACK; topic `a`, id 9 and a property that there is none of; topic `b`, id 10 and `x`.
    stream.write_all(&[0x20, 3, 0, 0, 0]).await?;
    stream.write_all(&[0x32, 8, 0, 1, b'a', 0, 9, 2, 0xff, 0xff]).await?;
    stream.write_all(&[0x32, 7, 0, 1, b'b', 0, 10, 0, b'x']).await?;
    assert_eq!(&*client.next().await?.topic, "b");
    assert_eq!(client.running.counters.given_up(), 1);
    let mut bytes = Vec::new();
    let acknowledged = [0x40, 2, 0, 9, 0x40, 2, 0, 10];
    while !bytes.ends_with(&acknowledged) {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut bytes)).await??;
        ensure!(read > 0, "the link closed: {bytes:x?}");
    }
    client.leave().await
}

#[tokio::test]
async fn a_slow_consumer_stops_the_reading_and_not_the_pings() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let other = Mqtt::connect(broker.port).await?;
    let mut settings = settings(&config(broker.port))?;
    settings.keep_alive = Duration::from_secs(1);
    hears(&mut settings, "in/#", 1)?;
    let mut client = Client::with_room(settings, (), 1);
    client.up().await?;
    client.running.state.mark_unchanged();
    for number in 0..200 {
        other.publish("in/x", number.to_string(), false).await?;
    }
    // mosquitto ends a connection that is silent for one and a half times its keep-alive.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!client.running.state.has_changed()?, "{:?}", client.running.state.borrow());
    for number in 0..200 {
        assert_eq!(client.next().await?.payload, number.to_string().as_bytes());
    }
    client.leave().await
}

#[tokio::test]
async fn another_client_with_the_same_id_is_named_as_the_reason() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let settings = settings(&config(broker.port))?;
    let mut first = Client::start(settings.clone(), ());
    first.up().await?;
    let second = Client::start(settings, ());
    let why = first.down().await?;
    // mosquitto 2.0.11 does not say why it closes the old one.
    ensure!(matches!(why, Failure::TakenOver(_) | Failure::Closed(_)), "{why}");
    ensure!(why.to_string().contains("another client"), "{why}");
    second.running.task.abort();
    first.up().await?;
    first.leave().await
}
