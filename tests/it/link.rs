//! The link to a broker: nothing lost, back by itself, and clear about what is wrong.

mod client;
mod loss;
mod scripted;
mod trouble;

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use chrono::Utc;
use fletchck_agent::link::{Greeting, Identity, LinkState, Publication};
use fletchck_shared::{
    AgentId,
    config::{Mqtt as Config, Protocol},
};
use fletchck_tests::{
    mqtt::Mqtt,
    wait::{PATIENCE, until},
};

use client::{Client, broker, config, hears, settings};
use scripted::{Answer, Refusal, Scripted};

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
