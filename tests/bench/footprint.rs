//! What it takes to have it running: memory with two dozen checks, the start with ten thousand, and the programs' size.
//! Ours beside the original, in one run: `cargo bench -p fletchck-tests --bench footprint`.
//!
//! The agents ask a web server over TLS and publish to a broker over TLS; their memory is that of the process after a
//! minute, when every check has run several times. The part that is not of files (the program, its libraries) no other
//! process can share, and it cannot be read again. A start counts from the first instruction until the page takes
//! connections and the program says that it runs.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::Result;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    nginx::Nginx,
    original::Original,
    pki::Pki,
    port, usage,
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

const FEW: usize = 24;
const MANY: usize = 10_000;

const RUNS: Duration = Duration::from_secs(60);
const ROUNDS: usize = 3;

/// Where both programs look for the authorities of the system, in a file: here the test's own alone.
const AUTHORITIES: &str = "SSL_CERT_FILE";

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let mut out = std::io::stdout().lock();
    let mut row = |what: &str, ours: f64, its: f64, unit: &str| {
        writeln!(out, "{what:<36} {ours:>7.2} {unit:<2} the original {its:>7.2} {unit}")
    };
    let [ours, its] = memory(&pki).await?;
    for (part, ours, its) in [("", ours.0, its.0), (", not of files", ours.1, its.1)] {
        row(&format!("memory, {FEW} checks{part}"), ours, its, "MB")?;
    }
    let (mut ours, mut its) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(start_ours(&pki).await?);
        its.push(start_original(&pki).await?);
    }
    row(&format!("start, {MANY} checks"), median(ours), median(its), "s")?;
    for program in [Program::Agent, Program::Full] {
        let bytes = fs::metadata(program.path()?)?.len();
        writeln!(out, "{:<36} {:>7.2} MB", program.name(), bytes as f64 / 1e6)?;
    }
    Ok(())
}

/// Megabytes of ours and of the original, and what of them is not of files.
async fn memory(pki: &Pki) -> Result<[(f64, f64); 2]> {
    let (nginx, broker) = (Nginx::start(pki).await?, Mosquitto::start(pki).await?);
    let check = |n| {
        let check = json!({
            "type": "https", "trigger": { "interval": { "seconds": 10 } },
            "publish": format!("memory/{n}"),
            "options": { "hostname": "localhost", "port": nginx.https },
        });
        (format!("check {n}"), check)
    };
    let site = json!({
        "mqtt": {
            "hostname": "localhost", "port": broker.tls_port, "tls": true,
            "username": Mosquitto::USER, "password": Mosquitto::PASSWORD,
        },
        "checks": (0..FEW).map(check).collect::<Map<_, _>>(),
    });
    let mut ours = Fletchck::prepare(Program::Agent, &site)?.with_variable(AUTHORITIES, &pki.ca);
    let mut original = Original::prepare(&site)?.with_variable(AUTHORITIES, &pki.ca);
    ours.restart().await?;
    original.restart().await?;
    sleep(RUNS).await;
    let used = |pid| -> Result<(f64, f64)> {
        Ok((usage::resident(pid)? as f64 / 1e6, usage::anonymous(pid)? as f64 / 1e6))
    };
    Ok([used(ours.process()?.id())?, used(original.process()?.id())?])
}

async fn start_ours(pki: &Pki) -> Result<f64> {
    let mut site = Fletchck::prepare(Program::Full, &site(pki, port::free()))?;
    let began = Instant::now();
    site.restart().await?;
    let took = began.elapsed();
    site.stop().await?;
    Ok(took.as_secs_f64())
}

async fn start_original(pki: &Pki) -> Result<f64> {
    let port = port::free();
    let mut site = Original::prepare(&site(pki, port))?;
    let began = Instant::now();
    site.restart().await?;
    site.process()?.wait_for_port(port).await?;
    Ok(began.elapsed().as_secs_f64())
}

fn site(pki: &Pki, port: u16) -> Value {
    let check = |n| {
        let check = json!({ "type": "memory", "trigger": { "interval": { "minutes": 10 } } });
        (format!("check {n}"), check)
    };
    json!({
        "webui": {
            "hostname": "localhost", "port": port, "name": "bench",
            "cert": pki.valid.cert, "key": pki.valid.key, "users": {},
        },
        "checks": (0..MANY).map(check).collect::<Map<_, _>>(),
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
