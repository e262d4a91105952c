//! Targets that hang to their timeout, and how late the others run: ours beside the original, in one run:
//! `cargo bench -p fletchck-tests --bench hanging`. Each healthy check runs every two seconds and publishes; how late it is,
//! is told by the time between two of its messages beyond those two seconds. Our jitter is switched off, the original's
//! cannot be: its figure without hanging targets is printed beside it.

use std::{collections::HashMap, io::Write as _, time::Duration};

use anyhow::Result;
use chrono::{DateTime, FixedOffset};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    original::Original,
    pki::Pki,
};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

const HEALTHY: usize = 20;
const INTERVAL: f64 = 2.0;
const WATCHED: Duration = Duration::from_secs(40);

#[tokio::main]
async fn main() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let port = silent.local_addr()?.port();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{HEALTHY} healthy checks every {INTERVAL} s: ms late")?;
    writeln!(out, "{:<10} {:>8} {:>9} {:>9} {:>9}", "program", "hanging", "p50", "p99", "max")?;
    for (program, hanging) in [("ours", 0), ("ours", 500), ("original", 0), ("original", 50)] {
        let dir = tempfile::tempdir()?;
        let broker = Mosquitto::start(&Pki::create(dir.path())?).await?;
        let spectator = Mqtt::connect(broker.port).await?;
        spectator.subscribe("late/#").await?;
        let checks = checks(port, hanging, program == "ours");
        let mut late = if program == "ours" {
            let site = json!({
                "mqtt": { "hostname": "127.0.0.1", "port": broker.port, "fleet": false },
                "checks": checks,
            });
            let mut site = Fletchck::start(Program::Agent, &site).await?;
            let late = watch(&spectator).await;
            site.stop().await?;
            late
        } else {
            let mut site = Original::start(&Original::agent(broker.port, checks)).await?;
            let late = watch(&spectator).await;
            site.process()?;
            late
        };
        late.sort_by(f64::total_cmp);
        let at = |share: f64| late.get(((late.len() as f64 - 1.0) * share) as usize).copied();
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        let ms =
            |late: Option<f64>| late.map_or("-".to_owned(), |late| format!("{:.0}", late * 1e3));
        writeln!(out, "{program:<10} {hanging:>8} {:>9} {:>9} {:>9}", ms(p50), ms(p99), ms(max))?;
    }
    Ok(())
}

fn checks(port: u16, hanging: usize, ours: bool) -> Value {
    let mut checks = Map::new();
    for n in 0..HEALTHY {
        let mut trigger = json!({ "interval": { "seconds": INTERVAL as u32 } });
        if ours {
            trigger["interval"]["jitter"] = 0.into();
        }
        checks.insert(format!("well {n}"), json!({
            "type": "memory", "trigger": trigger, "publish": format!("late/{n}"), "options": { "level": 100 },
        }));
    }
    for n in 0..hanging {
        checks.insert(
            format!("hangs {n}"),
            json!({
                "type": "https", "trigger": { "interval": { "seconds": 5 } },
                "options": { "hostname": "127.0.0.1", "port": port, "timeout": 5 },
            }),
        );
    }
    Value::Object(checks)
}

/// Seconds that each run came after its time.
async fn watch(spectator: &Mqtt) -> Vec<f64> {
    tokio::time::sleep(WATCHED).await;
    let mut runs: HashMap<String, Vec<DateTime<FixedOffset>>> = HashMap::new();
    for message in spectator.messages() {
        let json = message.json();
        let at = json["data"]["lastCheck"].as_str().map(DateTime::parse_from_rfc3339);
        if let (Some(name), Some(Ok(at))) = (json["name"].as_str(), at) {
            runs.entry(name.to_owned()).or_default().push(at);
        }
    }
    let gaps = |runs: Vec<DateTime<FixedOffset>>| {
        let pairs: Vec<_> = runs.windows(2).map(|pair| pair[1] - pair[0]).collect();
        pairs
            .into_iter()
            .map(|gap| (gap.num_microseconds().unwrap_or(0) as f64 / 1e6 - INTERVAL).max(0.0))
    };
    runs.into_values().flat_map(gaps).collect()
}
