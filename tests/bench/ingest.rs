//! A hub that hears: ours with its embedded broker against the original with mosquitto, in alternating runs:
//! `cargo bench -p fletchck-tests --bench ingest`. Sixty thousand updates of a thousand remote checks with QoS 1, from one
//! publisher; then the same with every message a transition. A run ends when the hub has acted on the last message. CPU
//! time is that of hub and broker together. The ratios are what counts.

use std::{
    fs,
    io::Write as _,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    original::Original,
    port,
    process::Process,
    usage,
};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::json;

const CHECKS: u32 = 1000;
const UPDATES: u32 = 60_000;
const ROUNDS: usize = 3;

/// `secret`.
const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

#[derive(Clone, Copy)]
struct Run {
    rate: f64,
    cpu_us: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{UPDATES} updates of {CHECKS} checks, QoS 1, median of {ROUNDS} runs")?;
    writeln!(out, "{:<14} {:<10} {:>9} {:>9}", "updates", "hub", "msg/s", "us CPU")?;
    for (name, flips) in [("plain", false), ("transitions", true)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(run_ours(flips).await?);
            theirs.push(run_original(flips).await?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        for (hub, run) in [("ours", ours), ("original", theirs)] {
            writeln!(out, "{name:<14} {hub:<10} {:>9.0} {:>9.1}", run.rate, run.cpu_us)?;
        }
        let (rate, cpu) = (ours.rate / theirs.rate, theirs.cpu_us / ours.cpu_us);
        writeln!(out, "{name:<14} {:<10} {rate:>8.1}x {:>8.1}x less", "ratio", cpu)?;
    }
    Ok(())
}

async fn run_ours(flips: bool) -> Result<Run> {
    let port = port::free();
    let mut hub = Fletchck::start(
        Program::Full,
        &json!({
            "broker": {
                "listeners": [{ "listen": format!("127.0.0.1:{port}") }],
                "users": { "load": { "password": SECRET, "publish": ["fl/#"] } },
            },
            "mqtt": { "basetopic": "fl/#" },
            "fleet": { "hub": false },
            "actions": { "log": { "type": "log" } },
            "checks": { "last": { "type": "remote", "actions": ["log"] } },
        }),
    )
    .await?;
    let pid = hub.process()?.id();
    let before = cpu(&[pid])?;
    let began = load(port, flips).await?;
    hub.process()?.wait_for_line("last (").await?;
    Ok(measured(began, cpu(&[pid])? - before))
}

async fn run_original(flips: bool) -> Result<Run> {
    // As it is by default, but for the bound of what it keeps for a slow subscriber: it drops what is beyond it, and the run
    // would end without its end.
    let (dir, port) = (tempfile::tempdir()?, port::free());
    let settings = dir.path().join("m.conf");
    fs::write(
        &settings,
        format!("listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"),
    )?;
    let mut command = Command::new("/usr/sbin/mosquitto");
    command.arg("-c").arg(settings);
    let mut broker = Process::start("mosquitto", command, &dir.path().join("log"))?;
    broker.wait_for_port(port).await?;
    let mut site = Original::hub(port, "fl/#");
    site["actions"] = json!({ "log": { "type": "log" } });
    site["checks"] = json!({ "last": { "type": "remote", "actions": ["log"] } });
    let mut hub = Original::start(&site).await?;
    let pids = [hub.process()?.id(), broker.id()];
    let before = cpu(&pids)?;
    let began = load(port, flips).await?;
    hub.process()?.wait_for_line("last (remote.disk) FAIL").await?;
    Ok(measured(began, cpu(&pids)? - before))
}

/// Publishes everything, and last of all a failure of `last`, which has passed before: of a first failure the original tells
/// nobody.
async fn load(port: u16, flips: bool) -> Result<Instant> {
    let mut options = MqttOptions::new("load", "127.0.0.1", port);
    options.set_credentials("load", "secret").set_inflight(1000);
    let (client, mut events) = AsyncClient::new(options, 1000);
    loop {
        if let Event::Incoming(Packet::ConnAck(_)) = events.poll().await? {
            break;
        }
    }
    client.publish("fl/last", QoS::AtLeastOnce, false, message("last", 0, false)).await?;
    while !matches!(events.poll().await?, Event::Incoming(Packet::PubAck(_))) {}
    let began = Instant::now();
    let publisher = tokio::spawn(async move {
        for n in 0..UPDATES {
            let check = n % CHECKS;
            let payload = message(&format!("check {check}"), n, flips && (n / CHECKS) % 2 == 1);
            client.publish(format!("fl/{check}"), QoS::AtLeastOnce, false, payload).await?;
        }
        let last = message("last", UPDATES, true);
        client.publish("fl/last", QoS::AtLeastOnce, false, last).await?;
        anyhow::Ok(client)
    });
    let mut confirmed = 0;
    while confirmed <= UPDATES {
        if let Event::Incoming(Packet::PubAck(_)) = events.poll().await? {
            confirmed += 1;
        }
    }
    publisher.await??;
    Ok(began)
}

fn message(name: &str, second: u32, fails: bool) -> String {
    let at = chrono::DateTime::UNIX_EPOCH
        + chrono::TimeDelta::seconds(1_790_000_000 + i64::from(second));
    json!({ "name": name, "type": "disk", "data": {
        "threshold": 1, "failState": fails, "failCount": u32::from(fails),
        "log": ["/:  7% 19/252GiB, 72GiB Free, Target: 90%"], "softFail": null,
        "lastCheck": at.to_rfc3339(), "lastFail": null, "lastPass": null, "level": " 7%",
    } })
    .to_string()
}

fn measured(began: Instant, cpu: Duration) -> Run {
    Run {
        rate: f64::from(UPDATES) / began.elapsed().as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / f64::from(UPDATES),
    }
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    runs[runs.len() / 2]
}

/// CPU time that processes have used.
fn cpu(pids: &[u32]) -> Result<Duration> {
    pids.iter().map(|&pid| usage::cpu(pid)).sum()
}
