//! The embedded broker against mosquitto, in alternating runs: `cargo bench -p fletchck-tests --bench broker`.
//!
//! Fifty publishers send QoS 1 with a hundred messages on the way each. Rates are of messages that arrived: at the one
//! subscriber, or in the hub's own consumer where there is none. Both brokers run as processes of their own, so that
//! their CPU time can be told from the load generator's. Absolute numbers depend on the machine; the ratios are what
//! counts.

use std::env;
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fletchck::broker::{Broker, Listen, Memory, Rights, Settings, Table};
use fletchck_tests::{
    frame::{packet, text},
    usage,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const PUBLISHERS: usize = 50;
const WINDOW: usize = 100;
const PAYLOAD: usize = 500;
const ROUNDS: usize = 3;

/// What one run measures.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    subscriber: bool,
    retain: bool,
    /// Windows that each publisher sends.
    windows: usize,
}

const TO_SUBSCRIBER: Load =
    Load { name: "to one subscriber", subscriber: true, retain: false, windows: 60 };
const TO_HUB: Load = Load { name: "to the hub", subscriber: false, retain: false, windows: 100 };
const RETAINED: Load = Load { name: "retained", subscriber: false, retain: true, windows: 100 };

#[tokio::main]
async fn main() -> Result<()> {
    if env::args().any(|arg| arg == "--serve") {
        return serve().await;
    }
    let runs = [
        ("gate", TO_SUBSCRIBER),
        ("mosquitto", TO_SUBSCRIBER),
        ("gate", TO_HUB),
        ("mosquitto", TO_HUB),
        ("gate", RETAINED),
        ("mosquitto", RETAINED),
    ];
    let mut results: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); runs.len()];
    for _ in 0..ROUNDS {
        for ((broker, load), results) in runs.iter().zip(&mut results) {
            let server = if *broker == "gate" { gate().await? } else { mosquitto().await? };
            results.push(
                run(&server, *load).await.with_context(|| format!("{broker} {}", load.name))?,
            );
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{PUBLISHERS} publishers, QoS 1, {PAYLOAD} bytes, median of {ROUNDS} runs")?;
    writeln!(
        out,
        "{:<20} {:<10} {:>10} {:>9} {:>8} {:>7}",
        "load", "broker", "msg/s", "us CPU", "lost", "ratio"
    )?;
    let mut gate = 0.0;
    for ((broker, load), mut results) in runs.iter().zip(results) {
        results.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (rate, cpu, lost) = results[results.len() / 2];
        let ratio = match *broker {
            "gate" => {
                gate = rate;
                String::new()
            }
            _ => format!("{:.1}", gate / rate),
        };
        writeln!(
            out,
            "{:<20} {broker:<10} {rate:>10.0} {cpu:>9.1} {lost:>8} {ratio:>7}",
            load.name
        )?;
    }
    Ok(())
}

/// Runs one load. Answers messages per second, microseconds of the broker's CPU for each, and how many were lost.
async fn run(server: &Server, load: Load) -> Result<(f64, f64, f64)> {
    let total = PUBLISHERS * load.windows * WINDOW;
    let reading = match load.subscriber {
        true => Some(subscribe(server.port, total).await?),
        false => None,
    };
    let mut publishers = Vec::new();
    for number in 0..PUBLISHERS {
        publishers.push(connect(server.port, &format!("publisher-{number}")).await?);
    }
    let (before, started) = (usage::cpu(server.child.id())?, Instant::now());
    let mut tasks = Vec::new();
    for (number, stream) in publishers.into_iter().enumerate() {
        tasks.push(tokio::spawn(publish(stream, number, load)));
    }
    for task in tasks {
        task.await??;
    }
    let mut arrived = total;
    let mut took = started.elapsed();
    if let Some(reading) = reading {
        let (count, last) = reading.await??;
        arrived = count;
        took = last.duration_since(started);
    }
    let cpu = (usage::cpu(server.child.id())? - before).as_secs_f64() * 1e6 / arrived as f64;
    Ok((arrived as f64 / took.as_secs_f64(), cpu, (total - arrived) as f64))
}

async fn publish(mut stream: TcpStream, number: usize, load: Load) -> Result<()> {
    let mut batch = Vec::new();
    for id in 1..=WINDOW as u16 {
        let topic = format!("bench/{number}/{}", id % 20);
        let mut body = text(&topic);
        body.extend(id.to_be_bytes());
        body.extend([b'x'; PAYLOAD]);
        batch.extend(packet(0x32 | u8::from(load.retain), &body));
    }
    let mut answers = vec![0; 4 * WINDOW];
    for _ in 0..load.windows {
        stream.write_all(&batch).await?;
        stream.read_exact(&mut answers).await?;
    }
    Ok(())
}

type Reading = tokio::task::JoinHandle<Result<(usize, Instant)>>;

/// Subscribes, then counts messages until all have come or none has for two seconds.
async fn subscribe(port: u16, total: usize) -> Result<Reading> {
    let mut stream = connect(port, "subscriber").await?;
    let mut body = vec![0, 1];
    body.extend(text("bench/#"));
    body.push(1);
    stream.write_all(&packet(0x82, &body)).await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == [0x90, 3, 0, 1, 1], "subscription refused: {answer:?}");
    Ok(tokio::spawn(async move {
        let (mut buffer, mut filled, mut count) = (vec![0; 1 << 18], 0, 0);
        let mut last = Instant::now();
        while count < total {
            let read = stream.read(&mut buffer[filled..]);
            let Ok(read) = tokio::time::timeout(Duration::from_secs(2), read).await else { break };
            let read = read?;
            ensure!(read > 0, "the subscriber was disconnected");
            filled += read;
            let (mut at, mut acks) = (0, Vec::new());
            // Header, two bytes of length (the messages are all over 127 bytes), topic, id.
            while filled - at > 5 {
                let length = usize::from(buffer[at + 1] & 0x7f) | usize::from(buffer[at + 2]) << 7;
                if filled - at < length + 3 {
                    break;
                }
                let id = at + 5 + usize::from(buffer[at + 3]) * 256 + usize::from(buffer[at + 4]);
                acks.extend([0x40, 2, buffer[id], buffer[id + 1]]);
                at += length + 3;
                count += 1;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
            last = Instant::now();
            stream.write_all(&acks).await?;
        }
        Ok((count, last))
    }))
}

async fn connect(port: u16, id: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60];
    body.extend(text(id));
    stream.write_all(&packet(0x10, &body)).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == [0x20, 2, 0, 0], "connect refused: {answer:?}");
    Ok(stream)
}

/// A broker in a process of its own. Ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        self.child.kill().and_then(|()| self.child.wait().map(drop)).unwrap_or_default();
    }
}

async fn gate() -> Result<Server> {
    let mut child = Command::new(env::current_exe()?)
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the broker")?;
    let output = child.stdout.take().context("no output")?;
    let output = tokio::process::ChildStdout::from_std(output)?;
    let line = BufReader::new(output).lines().next_line().await?.context("no port")?;
    Ok(Server { child, port: line.parse()? })
}

async fn serve() -> Result<()> {
    let (tap, mut heard) = mpsc::channel(10_000);
    let listen = vec![Listen { address: (Ipv4Addr::LOCALHOST, 0).into(), tls: None }];
    let access = Arc::new(Table::new().anonymous(Rights::all()?));
    let keep = Arc::new(Memory::default());
    let settings = Settings { listen, ..Settings::default() };
    let broker = Broker::start(settings, access, keep, tap).await?;
    let port = broker.addresses().first().context("no port")?.port();
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{port}")?;
        out.flush()?;
    }
    let mut batch = Vec::new();
    while heard.recv_many(&mut batch, 1000).await > 0 {
        batch.clear();
    }
    bail!("the broker closed its tap")
}

async fn mosquitto() -> Result<Server> {
    let port = fletchck_tests::port::free();
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("m.conf");
    // Nothing is dropped and nothing is delayed.
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n\
         max_queued_messages 0\nmax_inflight_messages 100\nset_tcp_nodelay true\nuser root\n"
    );
    fs::write(&path, text)?;
    let child = Command::new("/usr/sbin/mosquitto")
        .arg("-c")
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .context("starting mosquitto; tests/run installs it")?;
    let server = Server { child, port };
    for _ in 0..200 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(server);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("mosquitto does not answer")
}
