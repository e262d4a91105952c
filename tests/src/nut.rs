//! Network UPS Tools: upsd, and below it a driver whose UPS is whatever it is told to be.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::geteuid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::port;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// A running upsd on 127.0.0.1 with one UPS, which is online and fully charged.
#[derive(Debug)]
pub struct Nut {
    /// Where it listens.
    pub port: u16,
    server: Process,
    driver: Process,
    _dir: TempDir,
}

impl Nut {
    /// The name of its UPS.
    pub const UPS: &str = "rack";

    /// Who may change a variable.
    const LOGIN: [&str; 2] = ["USERNAME keeper", "PASSWORD sesame"];

    /// Starts the driver and the server, and waits until the one has told the other of the UPS.
    ///
    /// # Errors
    /// NUT is not installed or does not start.
    pub async fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("nut-")?;
        let port = port::free();
        write(dir.path(), port)?;
        let driver = start("dummy-ups", &["-a", Self::UPS], dir.path())?;
        let server = start("upsd", &[], dir.path())?;
        let mut nut = Self { port, server, driver, _dir: dir };
        nut.server.wait_for_port(port).await?;
        nut.wait_for("ups.status", "OL").await?;
        Ok(nut)
    }

    /// Changes a variable of the UPS, `ups.status` for example, and waits until the server tells of it.
    ///
    /// # Errors
    /// There is no such variable, or it does not change in time.
    pub async fn set(&self, variable: &str, value: &str) -> Result<()> {
        let order = format!("SET VAR {} {variable} \"{value}\"", Self::UPS);
        for answer in self.ask(&[Self::LOGIN[0], Self::LOGIN[1], &order]).await? {
            ensure!(answer.starts_with("OK"), "{order}: {answer}");
        }
        self.wait_for(variable, value).await
    }

    /// Waits until the server refuses to tell of the UPS by this word, as `DATA-STALE`.
    ///
    /// # Errors
    /// It goes on to tell of it.
    pub async fn wait_for_refusal(&self, word: &str) -> Result<()> {
        self.wait(&format!("ERR {word}"), "ups.status").await
    }

    /// The server, to freeze or end it.
    pub fn server(&mut self) -> &mut Process {
        &mut self.server
    }

    /// The driver, to freeze or end it.
    pub fn driver(&mut self) -> &mut Process {
        &mut self.driver
    }

    /// Waits until the server tells this of a variable.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn wait_for(&self, variable: &str, value: &str) -> Result<()> {
        self.wait(&format!("VAR {} {variable} \"{value}\"", Self::UPS), variable).await
    }

    async fn wait(&self, line: &str, variable: &str) -> Result<()> {
        let question = format!("GET VAR {} {variable}", Self::UPS);
        let told = async || self.ask(&[&question]).await.is_ok_and(|told| told == [line]);
        let told = async || told().await.then_some(());
        wait::until(PATIENCE, &format!("upsd to answer `{line}`"), told).await
    }

    /// What it answers to each of these lines.
    async fn ask(&self, lines: &[&str]) -> Result<Vec<String>> {
        let mut stream =
            BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?);
        let mut answers = Vec::new();
        for line in lines {
            stream.write_all(format!("{line}\n").as_bytes()).await?;
            let mut answer = String::new();
            timeout(Duration::from_secs(2), stream.read_line(&mut answer)).await??;
            answers.push(answer.trim_end().to_owned());
        }
        Ok(answers)
    }
}

fn write(dir: &Path, port: u16) -> Result<()> {
    let ups = format!(
        "pollinterval = 1\n[{}]\n driver = dummy-ups\n port = {}\n mode = dummy-once\n",
        Nut::UPS,
        dir.join("variables.dev").display()
    );
    let variables = "ups.status: OL\nbattery.charge: 100\nbattery.voltage: 13.6\nbattery.runtime: 1800\n\
                     input.voltage: 230.1\nups.load: 12\n";
    let [name, password] = Nut::LOGIN.map(|line| line.split_once(' ').map_or("", |(_, word)| word));
    let users = format!("[{name}]\n password = {password}\n actions = SET\n");
    // Data is stale once it is so many seconds old: some more than a driver on a busy machine takes for a second's poll.
    let server = format!("LISTEN 127.0.0.1 {port}\nMAXAGE 8\n");
    for (name, text) in [
        ("ups.conf", &*ups),
        ("variables.dev", variables),
        ("upsd.users", &users),
        ("upsd.conf", &server),
    ] {
        let path = dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        // It complains of passwords that others can read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Starts a program of NUT, which Debian keeps where no shell finds it; the one that is found there starts nothing.
fn start(program: &str, arguments: &[&str], dir: &Path) -> Result<Process> {
    let mut command = Command::new(format!("/lib/nut/{program}"));
    command.args(arguments).arg("-F");
    for variable in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
        command.env(variable, dir);
    }
    if geteuid().is_root() {
        // Else it becomes the user `nut`, who may not write to this folder.
        command.args(["-u", "root"]);
    }
    Process::start(program, command, &dir.join(format!("{program}.log")))
}
