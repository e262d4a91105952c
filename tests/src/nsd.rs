//! NSD, a name server with zones of its own: plain ones, one that is signed and one whose signatures are wrong.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::port;
use crate::process::Process;

/// Zones that are served: `test.example` with every type of record that it knows, the names of addresses, a signed one,
/// one signed and then changed, and one that cannot be loaded.
const ZONES: &[&str] = &[
    "test.example",
    "2.0.192.in-addr.arpa",
    "8.b.d.0.1.0.0.2.ip6.arpa",
    "signed.example",
    "bogus.example",
];

/// A zone that is served without a file.
const BROKEN: &str = "broken.example";

/// A running NSD on 127.0.0.1, over UDP and TCP.
#[derive(Debug)]
pub struct Nsd {
    /// Where it listens.
    pub port: u16,
    process: Process,
    dir: TempDir,
}

impl Nsd {
    /// Writes the zones, signs those that are to be, and starts the server.
    ///
    /// # Errors
    /// NSD or the tools of ldns are not installed, or it does not start.
    pub async fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("nsd-")?;
        let port = port::free();
        write_zones(dir.path())?;
        let conf = dir.path().join("nsd.conf");
        fs::write(&conf, settings(dir.path(), port))?;
        let mut command = Command::new("/usr/sbin/nsd");
        command.arg("-d").arg("-c").arg(conf);
        let mut process = Process::start("nsd", command, &dir.path().join("log"))?;
        process.wait_until("it to answer", async |_| answers(port).await).await?;
        Ok(Self { port, process, dir })
    }

    /// Files with the keys that sign its zones, for whoever is to trust them.
    pub fn trust_anchors(&self) -> Vec<PathBuf> {
        ["signed.example", "bogus.example"].map(|zone| key(self.dir.path(), zone)).into()
    }

    /// Where the zones are looked for, with the name of each.
    pub fn zones(&self) -> &'static [&'static str] {
        ZONES
    }

    /// The process, to freeze or end it.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn write_zones(dir: &Path) -> Result<()> {
    let head = |zone: &str| {
        format!(
            "$ORIGIN {zone}.\n$TTL 60\n@ SOA ns.test.example. hostmaster.test.example. 2024010101 3600 600 86400 60\n@ NS ns.test.example.\n"
        )
    };
    let mut test = head("test.example");
    test.push_str(include_str!("../fixtures/test.zone"));
    for letter in ["a", "b", "c", "d", "e", "f"] {
        test.push_str(&format!("big TXT \"{}\"\n", letter.repeat(250)));
    }
    fs::write(dir.join("test.example"), test)?;
    for (zone, name) in [
        ("2.0.192.in-addr.arpa", "10"),
        ("8.b.d.0.1.0.0.2.ip6.arpa", "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"),
    ] {
        fs::write(dir.join(zone), format!("{}{name} PTR www.test.example.\n", head(zone)))?;
    }
    for zone in ["signed.example", "bogus.example"] {
        let plain = format!("{}www A 192.0.2.10\n", head(zone));
        fs::write(dir.join(zone), plain)?;
        sign(dir, zone)?;
    }
    // Somebody puts another address in place of the one that was signed.
    let bogus = dir.join("bogus.example");
    let signed = fs::read_to_string(&bogus)?;
    let changed = signed.replace("192.0.2.10", "192.0.2.66");
    ensure!(changed != signed, "the zone has no address to change: {signed}");
    fs::write(bogus, changed)?;
    Ok(())
}

/// Signs a zone in place with a new key of its own.
fn sign(dir: &Path, zone: &str) -> Result<()> {
    let made = run(dir, "ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", zone])?;
    for end in ["key", "private", "ds"] {
        fs::rename(dir.join(format!("{made}.{end}")), dir.join(format!("{zone}.{end}")))?;
    }
    run(dir, "ldns-signzone", &["-f", "signed", zone, zone])?;
    fs::rename(dir.join("signed"), dir.join(zone))?;
    Ok(())
}

fn run(dir: &Path, tool: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(tool);
    let output = command.args(arguments).current_dir(dir).output();
    let output = output.with_context(|| format!("running {tool}; tests/run installs it"))?;
    ensure!(output.status.success(), "{tool}: {output:?}");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn key(dir: &Path, zone: &str) -> PathBuf {
    dir.join(format!("{zone}.key"))
}

fn settings(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    let mut text = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{dir}\"\n \
         zonelistfile: \"{dir}/zone.list\"\n database: \"\"\n pidfile: \"\"\n xfrdfile: \"{dir}/xfrd.state\"\n \
         xfrdir: \"{dir}\"\n server-count: 1\nremote-control:\n control-enable: no\n"
    );
    for zone in ZONES.iter().chain(&[BROKEN]) {
        text.push_str(&format!("zone:\n name: {zone}\n zonefile: {zone}\n"));
    }
    text
}

/// Whether a zone is served: it listens before it has read them. Asks for the SOA of `test.example`.
async fn answers(port: u16) -> Option<()> {
    const QUESTION: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04test\x07example\0\0\x06\0\x01";
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?;
    socket.connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
    socket.send(QUESTION).await.ok()?;
    let mut answer = [0; 512];
    let heard = timeout(Duration::from_millis(200), socket.recv(&mut answer)).await.ok()?;
    (heard.ok()? > QUESTION.len() && answer[3] & 0x0f == 0).then_some(())
}
