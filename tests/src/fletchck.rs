//! Our own programs as processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, State};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;

use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `fletchck`: everything.
    Full,
    /// `fletchck-agent`: checks and the link to a hub.
    Agent,
}

/// A site in a folder of its own, run by one of our programs.
#[derive(Debug)]
pub struct Fletchck {
    program: Program,
    dir: TempDir,
    variables: Vec<(&'static str, PathBuf)>,
    process: Option<Process>,
}

impl Fletchck {
    /// Writes `site` as its configuration, starts the program on it and waits until it is ready: until it says so and
    /// listens on the ports the configuration names (take them from [`crate::port::free`]).
    ///
    /// # Errors
    /// The program is not built, ends, or does not get ready in time.
    pub async fn start(program: Program, site: &Value) -> Result<Self> {
        let mut fletchck = Self::prepare(program, site)?;
        fletchck.restart().await?;
        Ok(fletchck)
    }

    /// As [`Fletchck::start`], but leaves the start to [`Fletchck::restart`].
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn prepare(program: Program, site: &Value) -> Result<Self> {
        let dir = TempDir::with_prefix("fletchck-")?;
        let fletchck = Self { program, dir, variables: Vec::new(), process: None };
        fletchck.write(site)?;
        Ok(fletchck)
    }

    /// Starts the program, again where it is running, on the folder as it is now.
    ///
    /// # Errors
    /// As [`Fletchck::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.launch().await?;
        let ports = ports(&self.saved()?);
        let process = self.process()?;
        for &port in &ports {
            process.wait_for_port(port).await?;
        }
        Ok(())
    }

    /// As [`Fletchck::restart`], for a site whose ports may not open: waits only until its checks run.
    ///
    /// # Errors
    /// As [`Fletchck::start`].
    pub async fn launch(&mut self) -> Result<()> {
        self.kill();
        let mut command = self.command()?;
        command.arg("--config").arg(self.config_path());
        let mut process = Process::start(self.program.name(), command, &self.dir().join("log"))?;
        // Logged when the engine has been started.
        process.wait_for_line(" runs /").await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends the program by SIGTERM.
    ///
    /// # Errors
    /// It is not running, does not end in time, or ends with an error.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the program is not running")?;
        let status = process.stop().await?;
        ensure!(status.success(), "it ended with {status}; log:\n{}", process.log());
        Ok(())
    }

    /// Ends the program as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sets a variable for the program's next start, and for [`Fletchck::run`].
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, path: &Path) -> Self {
        self.variables.push((name, path.to_owned()));
        self
    }

    /// Runs the program once with `args`, such as `["check", "disk"]`, beside the one that may be running.
    ///
    /// # Errors
    /// The program cannot be started. That it fails is in the output's status.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        let mut command = self.command()?;
        command.arg("--config").arg(self.config_path()).args(args);
        spawn_blocking(move || command.output()).await?.context("running it")
    }

    /// Has the site run a check now, over the socket that the command line uses, as soon as that is there.
    ///
    /// # Errors
    /// It ends before it answers, or does not know the check.
    pub async fn run_now(&self, check: &str) -> Result<()> {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("check", check)
            .append_pair("token", "")
            .finish();
        let request = format!(
            "POST /run HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len(),
        );
        let path = self.config_path().with_extension("sock");
        let socket = async || UnixStream::connect(&path).await.ok();
        let mut socket = wait::until(PATIENCE, "the socket of the site", socket).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        ensure!(answer.ends_with("begun"), "it does not run `{check}`: {answer}");
        Ok(())
    }

    /// The process, to signal it or to wait for lines in its log.
    ///
    /// # Errors
    /// It is not running.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the program is not running")
    }

    /// How a check stands in the store; `None`: it is not known there.
    pub fn state(&self, check: &str) -> Option<State> {
        let past = Store::read_past(&self.dir().join("fletchck.db")).ok()?;
        past.checks.get(&CheckName::try_from(check).ok()?).map(|row| row.state.clone())
    }

    /// Waits until a check stands like this, in one word as [`State::word`] says it.
    ///
    /// # Errors
    /// It does not within [`PATIENCE`].
    pub async fn until(&self, check: &str, word: &str) -> Result<State> {
        let stands = async || self.state(check).filter(|state| state.word() == word);
        wait::until(PATIENCE, &format!("`{check}` to be {word}"), stands).await
    }

    /// The folder with the configuration and the store.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.dir().join("fletchck.conf")
    }

    /// The configuration as it is in the file.
    ///
    /// # Errors
    /// The file is missing or no JSON.
    pub fn saved(&self) -> Result<Value> {
        let path = self.config_path();
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Replaces the configuration file; a running program notices by itself.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, site: &Value) -> Result<()> {
        fs::write(self.config_path(), serde_json::to_vec_pretty(site)?)
            .context("writing the configuration")
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(self.program.path()?);
        command.current_dir(self.dir()).env("HOME", self.dir());
        command.envs(self.variables.iter().map(|(name, path)| (name, path)));
        Ok(command)
    }
}

impl Program {
    /// The name of the binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "fletchck",
            Self::Agent => "fletchck-agent",
        }
    }

    /// The binary, built from the sources as they are now: in `FLETCHCK_TEST_BIN`, else where the running test was
    /// built. (Cargo tells only a package's own tests where its binaries are.)
    ///
    /// # Errors
    /// It is missing or older than its sources; the text says what to run.
    pub fn path(self) -> Result<PathBuf> {
        let dir = match std::env::var_os("FLETCHCK_TEST_BIN") {
            Some(dir) => PathBuf::from(dir),
            None => beside_test()?,
        };
        let path = dir.join(self.name());
        let advice = "please run: cargo build --workspace --all-targets";
        let Ok(built) = fs::metadata(&path).and_then(|found| found.modified()) else {
            bail!("{} is not built; {advice}", path.display());
        };
        if let Some(reason) = stale(&path, built) {
            bail!("{} {reason}; {advice}", path.display());
        }
        Ok(path)
    }
}

/// `target/debug`, from `target/debug/deps/it-0123456789abcdef`.
fn beside_test() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let dir = test.ancestors().nth(2).context("the test program is in no folder")?;
    Ok(dir.to_owned())
}

/// Why the binary is not what its sources are now, if so. Cargo lists the sources in a `.d` file beside the binary; a
/// target folder that several checkouts share can hold the build of another.
fn stale(binary: &Path, built: SystemTime) -> Option<String> {
    let list = fs::read_to_string(binary.with_extension("d")).ok()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let (_, sources) = list.split_once(": ")?;
    // A path with spaces is listed with backslashes before them; it is then simply not compared.
    sources
        .split_whitespace()
        .filter(|source| source.ends_with(".rs") && !source.contains('\\'))
        .find_map(|source| {
            if !Path::new(source).starts_with(root) {
                return Some(format!("was built from {source}, another checkout"));
            }
            let changed = fs::metadata(source).and_then(|found| found.modified()).ok()?;
            (changed > built).then(|| format!("is older than {source}"))
        })
}

/// The ports `site` asks the program to listen on.
fn ports(site: &Value) -> Vec<u16> {
    let page = site.pointer("/webui/port").and_then(Value::as_u64);
    let listeners = site.pointer("/broker/listeners").and_then(Value::as_array);
    let broker = listeners
        .into_iter()
        .flatten()
        .filter_map(|listener| listener["listen"].as_str()?.rsplit_once(':')?.1.parse().ok());
    page.into_iter()
        .chain(broker)
        .filter_map(|port| u16::try_from(port).ok())
        .filter(|&port| port != 0)
        .collect()
}
