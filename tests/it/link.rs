//! The link to a broker: nothing lost, back by itself, and clear about what is wrong.

mod scripted;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use chrono::Utc;
use fletchck_agent::link::{
    Arrived, Failure, Greeting, Identity, LinkState, MemoryOutbox, Outgoing, Publication, Running,
    Settings, Subscription, spawn,
};
use fletchck_shared::{
    AgentId, Secret,
    config::{Mqtt as Config, Protocol},
    topic::TopicFilter,
};
use fletchck_tests::{
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    pki::Pki,
    wait::{PATIENCE, until},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use scripted::{Answer, Refusal, Scripted};

struct Client {
    outbox: Arc<MemoryOutbox>,
    arrived: mpsc::Receiver<Arrived>,
    running: Running,
    stop: CancellationToken,
}

impl Client {
    fn start(settings: Settings, greeting: impl Greeting) -> Self {
        Self::with_room(settings, greeting, 1024)
    }

    fn with_room(settings: Settings, greeting: impl Greeting, room: usize) -> Self {
        let outbox = Arc::<MemoryOutbox>::default();
        let (sender, arrived) = mpsc::channel(room);
        let stop = CancellationToken::new();
        let running = spawn(settings, outbox.clone(), greeting, sender, stop.clone());
        Self { outbox, arrived, running, stop }
    }

    fn add(&self, topic: &str, number: u64, qos: u8) {
        let payload = number.to_string().into();
        self.outbox.add(Outgoing {
            id: 0,
            topic: topic.into(),
            payload,
            qos,
            retain: true,
            keep: true,
        });
    }

    async fn state(&mut self, matches: impl Fn(&LinkState) -> bool) -> Result<LinkState> {
        let mut watch = self.running.state.clone();
        let state = tokio::time::timeout(PATIENCE, watch.wait_for(matches)).await;
        let state = state.map(|state| state.map(|state| state.clone()));
        let now = self.running.state.borrow().clone();
        Ok(state.with_context(|| format!("the link stayed {now:?}"))??)
    }

    async fn up(&mut self) -> Result<LinkState> {
        self.state(|state| matches!(state, LinkState::Up { .. })).await
    }

    async fn down(&mut self) -> Result<Failure> {
        match self.state(|state| matches!(state, LinkState::Down { .. })).await? {
            LinkState::Down { why, .. } => Ok(why),
            other => anyhow::bail!("{other:?}"),
        }
    }

    async fn all_sent(&self) -> Result<()> {
        let sent = async || self.outbox.is_empty().then_some(());
        until(3 * PATIENCE, "the broker to acknowledge everything", sent).await
    }

    async fn next(&mut self) -> Result<Arrived> {
        let arrived = tokio::time::timeout(PATIENCE, self.arrived.recv()).await;
        arrived.context("nothing arrived")?.context("the link is gone")
    }

    async fn leave(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(3), self.running.task).await??;
        Ok(())
    }
}

fn config(port: u16) -> Config {
    Config {
        hostname: Some("127.0.0.1".into()),
        port,
        tls: false,
        ca_file: None,
        ca: None,
        username: None,
        password: None,
        client_id: None,
        persist: false,
        qos: 1,
        retain: true,
        base_topic: None,
        auto_add: false,
        debug: false,
        protocol: None,
        fleet: true,
    }
}

fn settings(config: &Config) -> Result<Settings> {
    let id = format!("link-{:016x}", rand::random::<u64>());
    let mut settings = Settings::new(config, &id);
    settings.longest_wait = Duration::from_millis(200);
    Ok(settings)
}

fn hears(settings: &mut Settings, filter: &str, qos: u8) -> Result<()> {
    let filter = TopicFilter::try_from(filter)?;
    settings.subscriptions = vec![Subscription { qos, ..Subscription::new(filter) }];
    Ok(())
}

fn nas(prefix: &str) -> Result<Identity> {
    Ok(Identity {
        prefix: prefix.into(),
        agent: AgentId::try_from("nas")?,
        hub: false,
        labels: BTreeMap::new(),
        config_hash: String::new(),
        checks: 0,
    })
}

struct Says(Identity);

impl Greeting for Says {
    fn birth(&self, connected: chrono::DateTime<Utc>, _: bool) -> Vec<Publication> {
        self.0.birth(connected, Utc::now())
    }

    fn states(&self, _: bool) -> Vec<Publication> {
        vec![Publication {
            topic: "state".into(),
            payload: Bytes::from_static(b"newest"),
            qos: 1,
            retain: true,
            connected: None,
        }]
    }
}

async fn broker() -> Result<(tempfile::TempDir, Pki, Mosquitto)> {
    let dir = tempfile::TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let broker = Mosquitto::start(&pki).await?;
    Ok((dir, pki, broker))
}

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
async fn the_configured_version_is_spoken() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let old = Config { protocol: Some(Protocol::V311), persist: true, ..config(broker.port) };
    let mut settings = settings(&old)?;
    hears(&mut settings, "old/#", 1)?;
    let mut client = Client::start(settings, ());
    let up = client.up().await?;
    assert!(matches!(up, LinkState::Up { protocol: Protocol::V311, .. }), "{up:?}");
    for qos in 0..3 {
        client.add("old/x", qos.into(), qos);
        let arrived = client.next().await?;
        assert_eq!((&*arrived.topic, &arrived.payload[..]), ("old/x", qos.to_string().as_bytes()));
    }
    client.all_sent().await?;
    client.leave().await
}

#[tokio::test]
async fn a_broker_that_knows_only_the_old_version_is_spoken_to_in_it() -> Result<()> {
    for refusal in [Refusal::Code, Refusal::Close] {
        let broker = Scripted::start(false, refusal, |_| Answer::Ack).await?;
        let mut client = Client::start(settings(&config(broker.port))?, ());
        let up = client.up().await?;
        assert!(matches!(up, LinkState::Up { protocol: Protocol::V311, .. }), "{up:?}");
        assert_eq!(broker.versions(), [5, 4]);
        client.leave().await?;
    }
    Ok(())
}

#[tokio::test]
async fn birth_will_and_farewell_say_who_lives() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let watcher = Mqtt::connect(broker.port).await?;
    watcher.subscribe("#").await?;
    for (protocol, prefix) in [(Protocol::V5, "five"), (Protocol::V311, "three")] {
        let status = async |payload: &str, count: usize| {
            until(PATIENCE, &format!("{prefix}: {payload} the {count}. time"), async || {
                let status = |m: &&fletchck_tests::mqtt::Message| {
                    m.topic == format!("{prefix}/nas/status") && m.payload == payload.as_bytes()
                };
                (watcher.messages().iter().filter(status).count() == count).then_some(())
            })
            .await
        };
        let identity = nas(prefix)?;
        let mut settings = settings(&Config { protocol: Some(protocol), ..config(broker.port) })?;
        identity.introduce(&mut settings);
        let mut client = Client::start(settings.clone(), Says(identity.clone()));
        client.up().await?;
        status("online", 1).await?;
        // The death of an older connection, too late: it must not stand.
        watcher.publish(&format!("{prefix}/nas/status"), "offline", true).await?;
        status("online", 2).await?;
        // Gone without a word.
        client.running.task.abort();
        status("offline", 2).await?;
        let mut client = Client::start(settings, Says(identity));
        client.up().await?;
        status("online", 3).await?;
        client.leave().await?;
        status("offline", 3).await?;
        watcher.wait_for(PATIENCE, "the info", |m| m.topic == format!("{prefix}/nas/info")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_newest_state_is_the_last_of_its_topic() -> Result<()> {
    let (_dir, _pki, broker) = broker().await?;
    let watcher = Mqtt::connect(broker.port).await?;
    watcher.subscribe("state").await?;
    let client = Client::start(settings(&config(broker.port))?, Says(nas("order")?));
    for number in 0..600 {
        client.add("state", number, 1);
    }
    watcher.wait_for(PATIENCE, "the newest state", |m| m.payload == b"newest").await?;
    client.all_sent().await?;
    let messages = watcher.messages();
    assert_eq!(messages.last().map(|m| m.payload.as_slice()), Some(&b"newest"[..]));
    assert_eq!(messages.len(), 601);
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
