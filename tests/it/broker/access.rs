//! Logins and rights.

use std::sync::Arc;

use anyhow::{Result, ensure};
use fletchck::broker::{Access, Memory, Rights, Settings, Table};
use fletchck_shared::Secret;
use fletchck_shared::topic::{Topic, TopicFilter};

use super::raw::{Hello, Raw, V4, V5, publish};
use super::setup::{Honest, Site, anyone};

/// `secret a` and `secret b`, hashed so that a test need not wait for them.
const HASHES: [&str; 2] = [
    "$argon2id$v=19$m=64,t=1,p=1$KIZEA3QTGxojnIf2ixQK6w$eE2qE9kbTzbMKi3kstrwhgKgx5G3NfbkM2puuhTrX7k",
    "$argon2id$v=19$m=64,t=1,p=1$lsRCtmqiDSBRbqoJmj+kCQ$EadUOtoSGW5LEXo4aUCWVrUFeaFc0bAaKGxrBT7TIEI",
];

/// Agents `a` and `b` with their own topics below `P`, and what all may read.
fn agents() -> Result<Arc<dyn Access>> {
    let rights = Rights::new(vec![], vec![TopicFilter::try_from("news/+")?]);
    let mut table = Table::new();
    for (name, hash) in ["a", "b"].into_iter().zip(HASHES) {
        let rights = rights.clone().with_own(&format!("P/{name}"))?;
        table = table.user(name, Secret::new(hash), rights);
    }
    Ok(Arc::new(table))
}

async fn site() -> Result<Site> {
    Site::with(Settings::default(), agents()?, Arc::new(Memory::default())).await
}

fn hello(id: &'static str, password: &'static str) -> Hello<'static> {
    Hello { id, login: Some((id, password)), ..Hello::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_by_their_code() -> Result<()> {
    let site = site().await?;
    for (level, bad, foreign) in [(V4, 4, 2), (V5, 0x86, 0x85)] {
        let (_, answer) = Raw::knock(site.port, level, &hello("a", "wrong")).await?;
        ensure!(answer[1] == bad, "{answer:?}");
        let nobody = Hello { id: "a", ..Hello::default() };
        let (_, answer) = Raw::knock(site.port, level, &nobody).await?;
        ensure!(answer[1] == bad, "{answer:?}");
        // With b's password, as a.
        let pretender = Hello { id: "a", login: Some(("b", "secret b")), ..Hello::default() };
        let (_, answer) = Raw::knock(site.port, level, &pretender).await?;
        ensure!(answer[1] == foreign, "{answer:?}");
    }
    let old = Hello { id: "a", ..Hello::default() };
    let (_, answer) = Raw::knock(site.port, 3, &old).await?;
    ensure!(answer[1] == 1, "{answer:?}");
    let (_, answer) = Raw::knock(site.port, 6, &old).await?;
    ensure!(answer[1] == 0x84, "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_speak_for_another() -> Result<()> {
    let mut site = site().await?;
    for level in [V4, V5] {
        let (mut a, _) = Raw::enter(site.port, level, &hello("a", "secret a")).await?;
        for topic in ["P/b/status", "P/ab/status", "P", "news/x", "P/b"] {
            let reason = a.publish(topic, "spoof", true).await?;
            ensure!(reason == if level == V5 { 0x87 } else { 0 }, "{topic}: {reason}");
        }
        ensure!(a.publish("P/a/status", "online", true).await? == 0);
        let heard = site.hear().await?;
        ensure!((&*heard.client, &*heard.topic) == ("a", "P/a/status"), "{heard:?}");
        let denied = if level == V5 { 0x87 } else { 0x80 };
        for filter in ["P/b/cmd", "P/+/cmd", "P/#", "#", "news/#", "+/a/cmd"] {
            ensure!(a.subscribe(filter, 1).await? == denied, "{filter}");
        }
        for filter in ["P/a/cmd", "P/a/#", "news/x", "news/+"] {
            ensure!(a.subscribe(filter, 1).await? == 1, "{filter}");
        }
        // A will is a message too.
        let will = Some(("P/b/status", "offline"));
        let (_, answer) =
            Raw::knock(site.port, level, &Hello { will, ..hello("a", "secret a") }).await?;
        ensure!(answer[1] == if level == V5 { 0x87 } else { 5 }, "{answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_hub_reach_their_agent_alone() -> Result<()> {
    let site = site().await?;
    for level in [V4, V5] {
        let (mut a, _) = Raw::enter(site.port, level, &hello("a", "secret a")).await?;
        let (mut b, _) = Raw::enter(site.port, level, &hello("b", "secret b")).await?;
        ensure!(a.subscribe("P/a/cmd/+", 1).await? == 1);
        ensure!(b.subscribe("P/b/cmd/+", 1).await? == 1);
        for number in 0..300 {
            for agent in ["a", "b"] {
                let topic = Topic::try_from(format!("P/{agent}/cmd/run").as_str())?;
                site.broker.publish(&topic, format!("{agent} {number}"), false).await?;
            }
        }
        for number in 0..300 {
            for (raw, agent) in [(&mut a, "a"), (&mut b, "b")] {
                let (topic, payload) = raw.message().await?;
                ensure!(topic == format!("P/{agent}/cmd/run"), "{topic}");
                ensure!(payload == format!("{agent} {number}"), "{payload}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_is_slowed_down_and_others_are_not() -> Result<()> {
    let site = site().await?;
    for _ in 0..5 {
        Raw::knock(site.port, V5, &hello("a", "guess")).await?;
    }
    // Too many: not even the right one is tried now.
    let (_, answer) = Raw::knock(site.port, V5, &hello("a", "secret a")).await?;
    ensure!(answer[1] == 0x9f, "{answer:?}");
    Raw::enter(site.port, V5, &hello("b", "secret b")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_an_id_is_given_one() -> Result<()> {
    let site = Site::with(Settings::default(), anyone()?, Arc::new(Memory::default())).await?;
    let honest = Honest::start(site.port).await?;
    let (_raw, answer) = Raw::knock(site.port, V5, &Hello::default()).await?;
    ensure!(answer[1] == 0 && answer.windows(5).any(|part| part == b"auto-"), "{answer:?}");
    let (_raw, answer) = Raw::knock(site.port, V4, &Hello::default()).await?;
    ensure!(answer[1] == 0);
    // A session without a name could not be found again.
    let keep = Hello { keep_session: true, ..Hello::default() };
    let (_, answer) = Raw::knock(site.port, V4, &keep).await?;
    ensure!(answer[1] == 2, "{answer:?}");
    ensure!(site.broker.clients().iter().filter(|c| c.id.starts_with("auto-")).count() == 2);
    honest.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn qos_1_is_acknowledged_only_when_the_hub_has_the_message() -> Result<()> {
    let (tap, mut heard) = tokio::sync::mpsc::channel(1);
    let listen = vec![fletchck::broker::Listen { address: super::setup::loopback(), tls: None }];
    let settings = Settings { listen, ..Settings::default() };
    let broker =
        fletchck::broker::Broker::start(settings, anyone()?, Arc::new(Memory::default()), tap)
            .await?;
    let port = broker.addresses()[0].port();
    let (mut raw, _) = Raw::enter(port, V4, &Hello { id: "a", ..Hello::default() }).await?;
    ensure!(raw.publish("t", "1", false).await? == 0, "there is room for one");
    raw.send(&publish(V4, "t", "2", 1, false)).await?;
    let waited = std::time::Duration::from_millis(200);
    ensure!(tokio::time::timeout(waited, raw.read()).await.is_err(), "acknowledged unheard");
    ensure!(heard.recv().await.is_some());
    raw.read_type(4).await?;
    broker.stop().await;
    Ok(())
}
