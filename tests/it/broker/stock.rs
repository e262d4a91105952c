//! mosquitto's clients as a second opinion on both protocols.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::setup::{Honest, LIMIT, Site};

async fn send(port: u16, version: &str, args: &[&str]) -> Result<()> {
    let status = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version])
        .args(args)
        .kill_on_drop(true)
        .status();
    let status = timeout(LIMIT, status).await?.context("running mosquitto_pub")?;
    ensure!(status.success(), "mosquitto_pub {version} {args:?}: {status}");
    Ok(())
}

async fn receive(
    port: u16,
    version: &'static str,
    filter: impl AsRef<str>,
    count: usize,
) -> Result<Vec<String>> {
    let output = Command::new("mosquitto_sub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version, "-q", "1"])
        .args(["-v", "-t", filter.as_ref(), "-C", &count.to_string(), "-W", "15"])
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, output).await?.context("running mosquitto_sub")?;
    ensure!(output.status.success(), "mosquitto_sub {version}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quality_of_service_and_retained_messages_work() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    for version in ["mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            let topic = format!("{version}/{qos}");
            send(site.port, version, &["-q", qos, "-r", "-t", &topic, "-m", "hello"]).await?;
        }
        let filter = format!("{version}/+");
        let want: Vec<_> = (0..3).map(|qos| format!("{version}/{qos} hello")).collect();
        for reader in ["mqttv311", "mqttv5"] {
            let got = receive(site.port, reader, &filter, 3).await?;
            ensure!(got == want, "{reader}: {got:?}");
        }
    }
    honest.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn live_messages_reach_a_waiting_client() -> Result<()> {
    let site = Site::open().await?;
    for (reader, writer) in [("mqttv311", "mqttv5"), ("mqttv5", "mqttv311")] {
        let port = site.port;
        let mut waiting = tokio::spawn(receive(port, reader, "live/#", 1));
        // It does not tell when it has subscribed, so it is sent messages until it has one.
        let got = loop {
            send(port, writer, &["-q", "1", "-t", "live/a", "-m", "the message"]).await?;
            if let Ok(got) = timeout(Duration::from_millis(50), &mut waiting).await {
                break got??;
            }
        };
        ensure!(got == ["live/a the message"], "{reader} from {writer}: {got:?}");
    }
    Ok(())
}
