//! The check of MQTT topics against mosquitto, our own broker, and one of the old days.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use fletchck::broker::{Broker, Listen, Memory, Rights, Settings, Table};
use fletchck_agent::checks::Before;
use fletchck_shared::topic::TopicFilter;
use fletchck_shared::{Outcome, Secret, Severity, Verdict};
use fletchck_tests::look;
use fletchck_tests::mosquitto::Mosquitto;
use fletchck_tests::mqtt::Mqtt;
use fletchck_tests::pki::Pki;
use fletchck_tests::scripted::Scripted;
use fletchck_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

struct World {
    broker: Mosquitto,
    pki: Pki,
    _dir: TempDir,
}

impl World {
    async fn create() -> Result<Self> {
        let dir = TempDir::new()?;
        let pki = Pki::create(dir.path())?;
        Ok(Self { broker: Mosquitto::start(&pki).await?, pki, _dir: dir })
    }

    /// One look at a topic of the open listener.
    async fn look(&self, topic: &str, more: Value) -> Result<Outcome> {
        self.look_after(topic, more, &Before::default()).await
    }

    /// The same after another one.
    async fn look_after(&self, topic: &str, more: Value, before: &Before) -> Result<Outcome> {
        let mut options = json!({
            "hostname": "localhost", "port": self.broker.port, "ipVersion": "ipv4", "topic": topic,
            "age": 60, "timeout": 1,
        });
        for (key, value) in more.as_object().context("options")? {
            options[key] = value.clone();
        }
        look::ours_after("mqtt", &options, before).await
    }
}

fn after(outcome: &Outcome) -> Before {
    Before { kept: outcome.keep.clone(), ..Before::default() }
}

fn says(outcome: &Outcome, severity: Severity, words: &str) -> Result<()> {
    println!("{}", outcome.text);
    ensure!(outcome.severity() == severity && outcome.text.contains(words), "{words}: {outcome:?}");
    ensure!((outcome.verdict == Verdict::Pass) == (severity != Severity::Critical), "{outcome:?}");
    Ok(())
}

/// Of `secret a`, hashed so that a test need not wait for it.
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$KIZEA3QTGxojnIf2ixQK6w$eE2qE9kbTzbMKi3kstrwhgKgx5G3NfbkM2puuhTrX7k";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_is_new_in_both_versions() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    let publishing = tokio::spawn(async move {
        for number in 0.. {
            publisher.publish("live", format!(r#"{{"n": {number}}}"#), false).await?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, anyhow::Error>(())
    });
    for (protocol, log) in [("5", "(p5, c1,"), ("3.1.1", "(p2, c1,")] {
        let more =
            json!({"protocol": protocol, "timeout": 20, "jsonPath": "$.n", "jsonIs": ">= 0"});
        let seen = world.look("live", more).await?;
        says(&seen, Severity::Ok, "live at localhost:")?;
        ensure!(seen.text.contains(": a message came, limit 60 s, $.n is "), "{seen:?}");
        let phases: Vec<_> = seen.phases.iter().map(|phase| phase.name.as_str()).collect();
        ensure!(phases == ["dns", "connect", "login", "subscribe", "message"], "{phases:?}");
        ensure!(world.broker.log().contains(log), "a clean session: {}", world.broker.log());
    }
    // It said goodbye each time, and nothing is left of it.
    let goodbye = async || {
        let log = world.broker.log();
        let left = log.lines().filter(|line| line.contains("Client fletchck"));
        (left.filter(|line| line.ends_with(" disconnected.")).count() == 2).then_some(())
    };
    wait::until(PATIENCE, "both to say goodbye", goodbye).await?;
    publishing.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_publisher_with_a_retained_message_is_found_out() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    publisher.publish("kept", "ok", true).await?;
    let short = json!({"age": 1.5});

    let first = world.look("kept", short.clone()).await?;
    says(
        &first,
        Severity::Warning,
        "how old its retained message is cannot be known yet: it fails unless",
    )?;
    let second = world.look_after("kept", short.clone(), &after(&first)).await?;
    says(&second, Severity::Critical, "its retained message is the same for ")?;
    // The publisher is back: the look before still saw the old message.
    publisher.publish("kept", "ok again", true).await?;
    let third = world.look_after("kept", json!({}), &after(&second)).await?;
    says(&third, Severity::Ok, "its retained message is at most ")?;

    // Listening as long as a message may be old needs no look before.
    let began = Instant::now();
    let listened = world.look("kept", json!({"age": 0.5, "timeout": 10})).await?;
    says(&listened, Severity::Critical, "nothing came while it was listened to for so long")?;
    ensure!(began.elapsed() < Duration::from_secs(5), "it ends once that is known");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_counts_as_long_as_it_may_be_old() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    let options = json!({"timeout": 20});
    let (heard, published) = tokio::join!(world.look("once", options.clone()), async {
        let subscribed = async || world.broker.log().contains("once (QoS 0)").then_some(());
        wait::until(PATIENCE, "the check to subscribe", subscribed).await?;
        publisher.publish("once", "hello", false).await
    });
    published?;
    let heard = heard?;
    says(&heard, Severity::Ok, "a message came")?;
    let again = world.look_after("once", options, &after(&heard)).await?;
    says(&again, Severity::Ok, "its last message came ")?;
    let late = world.look_after("once", json!({"age": 0.001}), &after(&again)).await?;
    says(&late, Severity::Critical, "nothing is retained, and nothing came in the ")?;
    ensure!(late.text.contains(", the last message came "), "{late:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retained_message_may_say_how_old_it_is() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    let at =
        |ago: i64| json!({"at": (Utc::now() - TimeDelta::seconds(ago)).to_rfc3339()}).to_string();
    publisher.publish("stamp/new", at(5), true).await?;
    publisher.publish("stamp/old", at(300), true).await?;
    let path = json!({"timestampPath": "$.at"});
    says(
        &world.look("stamp/new", path.clone()).await?,
        Severity::Ok,
        "s old by its `$.at`, limit 60 s",
    )?;
    let old = world.look("stamp/old", path.clone()).await?;
    says(&old, Severity::Critical, "its newest message is 5")?;
    ensure!(old.level.as_deref().is_some_and(|level| level.starts_with('5')), "{old:?}");
    publisher.publish("stamp/none", "{}", true).await?;
    says(
        &world.look("stamp/none", path).await?,
        Severity::Critical,
        "its payload has nothing at `$.at`",
    )?;

    // MQTT 5 tells what is left of an expiry.
    let mut sent = Command::new("mosquitto_pub");
    sent.args(["-V", "mqttv5", "-h", "127.0.0.1", "-p", &world.broker.port.to_string()]);
    sent.args([
        "-r",
        "-q",
        "1",
        "-t",
        "expires",
        "-m",
        "ok",
        "-D",
        "publish",
        "message-expiry-interval",
        "3600",
    ]);
    ensure!(sent.status().context("running mosquitto_pub; tests/run installs it")?.success());
    let known = world.look("expires", json!({"expiry": "1 h"})).await?;
    says(&known, Severity::Ok, "old by what is gone of its expiry")?;
    let old = world.look("expires", json!({"expiry": "2 h"})).await?;
    says(
        &old,
        Severity::Critical,
        "its newest message is 60 min old by what is gone of its expiry",
    )?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_not_as_expected_is_told() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    publisher.publish("state", r#"{"state": "down", "n": 3}"#, true).await?;
    publisher.publish("large", vec![b'x'; 100_000], true).await?;
    for (topic, more, words) in [
        (
            "state",
            json!({"contains": "up"}),
            "expected `up` in its payload, which begins with `{\"state\": \"down\"",
        ),
        ("state", json!({"lacks": ["down"]}), "expected no `down` in its payload"),
        ("state", json!({"matches": "\"up\"|\"idle\""}), "expected its payload to match `"),
        (
            "state",
            json!({"jsonPath": "$.state", "jsonIs": "up"}),
            "$.state is \"down\", expected \"up\"",
        ),
        ("state", json!({"jsonPath": "$.none"}), "nothing in its payload is at $.none"),
        ("large", json!({"contains": "x"}), "its payload is too large to be read (100"),
        ("nobody/writes/here", json!({}), "nothing is retained, and nothing came in the "),
    ] {
        says(&world.look(topic, more).await?, Severity::Critical, words)?;
    }
    let unread = world.look("large", json!({})).await?;
    says(&unread, Severity::Warning, "how old its retained message is cannot be known yet")?;
    let own = world.look("$SYS/broker/version", json!({"contains": "mosquitto"})).await?;
    says(&own, Severity::Warning, "cannot be known yet")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_told_and_passwords_are_not() -> Result<()> {
    let world = World::create().await?;
    let (user, right) = (Mosquitto::USER, Mosquitto::PASSWORD);
    let guess = "a wrong guess";
    for protocol in ["5", "3.1.1", "any"] {
        let login = |port, password: &str| json!({"port": port, "username": user, "password": password, "protocol": protocol});
        let port = world.broker.password_port;
        let seen = world.look("x", login(port, guess)).await?;
        says(&seen, Severity::Critical, "it refuses the login of site (")?;
        ensure!(seen.soft_fail.as_deref() == Some("login"), "{seen:?}");
        ensure!(!format!("{seen:?}").contains(guess), "{seen:?}");

        let nobody = world.look("x", json!({"port": port, "protocol": protocol})).await?;
        says(&nobody, Severity::Critical, "it lets nobody in without a login")?;

        let seen = world.look("x", login(port, right)).await?;
        says(&seen, Severity::Critical, "nothing is retained")?;
        ensure!(!format!("{seen:?}").contains(right), "{seen:?}");
        ensure!(seen.conversation.iter().any(|line| line.contains("user site")), "{seen:?}");
    }
    // What a payload repeats of it is hidden as well.
    let publisher = Mqtt::connect(world.broker.port).await?;
    publisher.publish("leak", format!("the password is {right}"), true).await?;
    let leak = json!({"username": user, "password": right, "contains": "none"});
    let seen = world.look("leak", leak).await?;
    says(&seen, Severity::Critical, "begins with `the password is ****`")?;
    ensure!(!format!("{seen:?}").contains(right), "{seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_heard_is_told_as_far_as_the_broker_does() -> Result<()> {
    let world = World::create().await?;
    // Mosquitto grants every subscription, and sends nothing of what may not be heard.
    let publisher = Mqtt::connect(world.broker.port).await?;
    for topic in ["open/a", "closed/a"] {
        publisher.publish(topic, "ok", true).await?;
    }
    let login = json!({"port": world.broker.guarded_port, "username": Mosquitto::USER, "password": Mosquitto::PASSWORD});
    let seen = world.look("closed/a", login.clone()).await?;
    says(&seen, Severity::Critical, "nothing is retained")?;
    ensure!(seen.text.contains("may this user hear it"), "{seen:?}");
    says(&world.look("open/a", login).await?, Severity::Warning, "its retained message")?;

    // Ours says so.
    let rights = Rights::new(vec![], vec![TopicFilter::try_from("open/#")?]);
    let access = Table::new().user("watch", Secret::new(HASH), rights);
    let listen = vec![Listen { address: (Ipv4Addr::LOCALHOST, 0).into(), tls: None }];
    let settings = Settings { listen, ..Settings::default() };
    let (tap, _heard) = tokio::sync::mpsc::channel(16);
    let ours = Broker::start(settings, Arc::new(access), Arc::new(Memory::default()), tap).await?;
    let port = ours.addresses().first().context("a port")?.port();
    for (protocol, why) in [("5", "not authorised"), ("3.1.1", "it does not say why")] {
        let login = json!({
            "port": port, "username": "watch", "password": "secret a", "protocol": protocol, "clientId": "watch",
        });
        let seen = world.look("closed/a", login.clone()).await?;
        let words = format!(
            "it does not let this user hear closed/a ({why}): check what the user may read"
        );
        says(&seen, Severity::Critical, &words)?;
        ensure!(seen.soft_fail.as_deref() == Some("login"), "{seen:?}");
        says(&world.look("open/a", login).await?, Severity::Critical, "nothing is retained")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_spoken_to_over_tls() -> Result<()> {
    let world = World::create().await?;
    let publisher = Mqtt::connect(world.broker.port).await?;
    publisher.publish("safe", Utc::now().timestamp().to_string(), true).await?;
    let mut options = json!({
        "port": world.broker.tls_port, "tls": true, "cafile": world.pki.ca, "timestampPath": "$", "timeout": 5,
        "username": Mosquitto::USER, "password": Mosquitto::PASSWORD,
        "clientCert": world.pki.client.cert, "clientKey": world.pki.client.key,
    });
    let seen = world.look("safe", options.clone()).await?;
    says(&seen, Severity::Ok, ", certificate good for 59 days (until ")?;
    options["warn"] = json!(80);
    says(
        &world.look("safe", options.clone()).await?,
        Severity::Warning,
        "certificate good for 59 days",
    )?;
    options["cafile"] = json!(world.pki.selfsigned.cert);
    let seen = world.look("safe", options.clone()).await?;
    says(&seen, Severity::Critical, "which this machine does not trust")?;
    ensure!(!world.broker.log().contains("as fletchck") || seen.soft_fail.is_some(), "{seen:?}");
    // The right port with the wrong expectation.
    options["tls"] = json!(false);
    let seen = world.look("safe", options.clone()).await?;
    says(&seen, Severity::Critical, "does the port speak MQTT 5, or TLS?")?;
    options["tls"] = json!(true);
    options["port"] = json!(world.broker.port);
    let seen = world.look("safe", options).await?;
    says(&seen, Severity::Critical, "TLS failed: ")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_is_told_in_time() -> Result<()> {
    let world = World::create().await?;
    world.broker.freeze()?;
    let began = Instant::now();
    let seen = world.look("x", json!({"timeout": 0.5})).await?;
    world.broker.thaw()?;
    says(
        &seen,
        Severity::Critical,
        "did not answer within 0.5 s: it was connected, and CONNECT was not answered",
    )?;
    ensure!(began.elapsed() < Duration::from_secs(2), "{seen:?}");
    Ok(())
}

/// A broker of the old days: it knows MQTT 3.1.1 alone, and refuses the newer one by its code or by hanging up.
async fn old(hangs_up: bool) -> Result<Scripted> {
    Scripted::serve(move |mut stream| async move {
        let mut connect = [0; 256];
        let some = stream.read(&mut connect).await?;
        // The level stands behind the length and the name of the protocol.
        let level =
            connect[..some].windows(5).find(|part| part.starts_with(b"MQTT")).context("CONNECT")?
                [4];
        if level != 4 {
            if !hangs_up {
                stream.write_all(b"\x20\x02\x00\x01").await?;
            }
            return Ok(());
        }
        stream.write_all(b"\x20\x02\x00\x00").await?;
        _ = stream.read(&mut connect).await?;
        stream.write_all(b"\x90\x03\x00\x01\x00\x30\x07\x00\x03a/bok").await?;
        // Until the other side has had enough.
        while stream.read(&mut connect).await? > 0 {}
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_knows_no_better_is_spoken_to_in_3_1_1() -> Result<()> {
    for hangs_up in [false, true] {
        let server = old(hangs_up).await?;
        let options = |protocol: &str| {
            json!({
                "hostname": "127.0.0.1", "port": server.port, "topic": "a/b", "age": 60, "timeout": 5, "protocol": protocol,
            })
        };
        for protocol in ["any", "3.1.1"] {
            says(&look::ours("mqtt", &options(protocol)).await?, Severity::Ok, "a message came")?;
        }
        let words =
            if hangs_up { "does the port speak MQTT 5" } else { "it does not speak MQTT 5" };
        says(&look::ours("mqtt", &options("5")).await?, Severity::Critical, words)?;
    }
    Ok(())
}
