//! The harness itself: each server starts, does what the tests rely on, and ends.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fault::{self, Blackhole, Mode, Proxy};
use fletchck_tests::mosquitto::Mosquitto;
use fletchck_tests::mqtt::{Message, Mqtt};
use fletchck_tests::nginx::Nginx;
use fletchck_tests::original::Original;
use fletchck_tests::pki::Pki;
use fletchck_tests::wait::PATIENCE;
use rumqttc::MqttOptions;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

async fn mosquitto() -> Result<(Mosquitto, TempDir)> {
    let dir = TempDir::new()?;
    let broker = Mosquitto::start(&Pki::create(dir.path())?).await?;
    Ok((broker, dir))
}

fn on(topic: &str) -> impl Fn(&Message) -> bool {
    move |message| message.topic == topic
}

#[tokio::test]
async fn mosquitto_keeps_retained_messages_over_a_kill() -> Result<()> {
    let (mut broker, _dir) = mosquitto().await?;
    let before = Mqtt::connect(broker.port).await?;
    before.publish("fl/a/disk", "kept", true).await?;
    broker.settle().await?;
    broker.kill();
    broker.restart().await?;

    let after = Mqtt::connect(broker.port).await?;
    after.subscribe("fl/#").await?;
    let kept = after.wait_for(PATIENCE, "the retained message", on("fl/a/disk")).await?;
    ensure!(kept.retained && kept.payload == b"kept", "{kept:?}");
    Ok(())
}

#[tokio::test]
async fn mosquitto_keeps_a_subscription_and_its_messages_over_a_restart() -> Result<()> {
    let (mut broker, _dir) = mosquitto().await?;
    let port = broker.port;
    let absent = async |round: u32| {
        let mut options = MqttOptions::new(format!("absent-{round}"), "127.0.0.1", port);
        options.set_clean_session(false);
        Mqtt::with(options).await
    };
    for round in 0..10 {
        let topic = format!("fl/{round}");
        absent(round).await?.subscribe(&topic).await?;
        broker.restart().await?;
        Mqtt::connect(port).await?.publish(&topic, "while away", false).await?;
        broker.restart().await?;
        absent(round).await?.wait_for(PATIENCE, "what was sent meanwhile", on(&topic)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn mosquitto_asks_for_the_password_where_it_should() -> Result<()> {
    let (mut broker, _dir) = mosquitto().await?;
    let options = |password: &str| {
        let mut options = MqttOptions::new("site", "127.0.0.1", broker.password_port);
        options.set_credentials(Mosquitto::USER, password);
        options
    };
    Mqtt::with(options(Mosquitto::PASSWORD)).await?;
    let refused = Mqtt::with(options("guess")).await.err().context("a wrong password was taken")?;
    ensure!(format!("{refused:#}").contains("NotAuthorized"), "{refused:#}");
    broker.stop().await
}

#[tokio::test]
async fn a_frozen_mosquitto_answers_after_the_thaw() -> Result<()> {
    let (broker, _dir) = mosquitto().await?;
    let client = Mqtt::connect(broker.port).await?;
    broker.freeze()?;
    let publish = client.publish("a", "b", false);
    tokio::pin!(publish);
    ensure!(
        timeout(Duration::from_millis(300), &mut publish).await.is_err(),
        "a frozen broker answered"
    );
    broker.thaw()?;
    publish.await
}

#[tokio::test]
async fn nginx_answers_and_shows_its_certificates() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let nginx = Nginx::start(&pki).await?;
    for (path, status) in [("/", "200"), ("/500", "500"), ("/redir", "302")] {
        let line = request(nginx.http, path).await?;
        ensure!(line.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {line}");
    }
    ensure!(request(nginx.http, "/abort").await?.is_empty(), "/abort answered");
    ensure!(nginx.requests()?.iter().any(|line| line.starts_with("GET /500 HTTP/1.1 500")));

    for (name, error) in [
        ("localhost", None),
        ("expiring.test.example", None),
        ("expired.test.example", Some("certificate expired")),
        ("future.test.example", Some("certificate not valid yet")),
        ("wrong.test.example", Some("certificate not valid for name")),
        ("selfsigned.test.example", Some("UnknownIssuer")),
    ] {
        let seen = handshake(&pki, nginx.https, name).await?;
        match (&seen, error) {
            (None, None) => {}
            (Some(seen), Some(error)) if seen.contains(error) => {}
            _ => anyhow::bail!("{name}: {seen:?} instead of {error:?}"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_original_reports_to_mosquitto_and_hears_from_it() -> Result<()> {
    let (broker, _dir) = mosquitto().await?;
    let client = Mqtt::connect(broker.port).await?;
    client.subscribe("fl/#").await?;
    let mut hub = Original::start(&Original::hub(broker.port, "fl/#")).await?;
    let every_second = json!({ "interval": { "seconds": 1 } });
    let checks =
        json!({ "root": { "type": "disk", "trigger": every_second, "publish": "fl/a/root" } });
    let mut agent = Original::start(&Original::agent(broker.port, checks)).await?;

    let message =
        client.wait_for(PATIENCE, "the original's disk check", on("fl/a/root")).await?.json();
    ensure!(message["name"] == "root" && message["type"] == "disk", "{message}");
    hub.process()?.wait_for_line("root").await?;
    agent.stop().await?;
    let saved = hub.stop().await?;
    ensure!(saved["checks"]["root"]["type"] == "remote", "{saved}");
    Ok(())
}

#[tokio::test]
async fn the_proxy_passes_stalls_cuts_and_refuses() -> Result<()> {
    let (broker, _dir) = mosquitto().await?;
    let proxy = Proxy::start(broker.port).await?;
    let client = Mqtt::connect(proxy.port).await?;
    client.publish("a", "passed", false).await?;

    proxy.set(Mode::Stall);
    let publish = client.publish("a", "stalled", false);
    tokio::pin!(publish);
    ensure!(
        timeout(Duration::from_millis(200), &mut publish).await.is_err(),
        "passed while stalled"
    );
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    publish.await?;
    let begin = Instant::now();
    client.publish("a", "delayed", false).await?;
    ensure!(begin.elapsed() >= Duration::from_millis(200), "not delayed: {:?}", begin.elapsed());

    proxy.set(Mode::Pass);
    proxy.cut();
    ensure!(client.publish("a", "cut", false).await.is_err(), "a cut connection still works");
    Mqtt::connect(proxy.port).await?;
    proxy.set(Mode::Refuse);
    ensure!(Mqtt::connect(proxy.port).await.is_err(), "a refused connection works");
    Ok(())
}

#[tokio::test]
async fn nothing_answers_in_a_black_hole() -> Result<()> {
    let hole = Blackhole::open().await?;
    let attempt = TcpStream::connect(("127.0.0.1", hole.port));
    ensure!(timeout(Duration::from_millis(500), attempt).await.is_err(), "something answered");
    let refused = TcpStream::connect(("127.0.0.1", fault::refused())).await;
    ensure!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    Ok(())
}

/// The first line of the answer to a GET; empty when the connection was closed instead.
async fn request(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// What rustls objects to in the certificate shown for `name`.
async fn handshake(pki: &Pki, port: u16, name: &str) -> Result<Option<String>> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&pki.ca)?)?;
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from(name.to_owned())?;
    Ok(connector.connect(name, stream).await.err().map(|error| error.to_string()))
}
