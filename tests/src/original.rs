//! The original fletchck, the Python program, as a process: the peer ours must get on with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;

/// A site run by the original.
#[derive(Debug)]
pub struct Original {
    dir: TempDir,
    variables: Vec<(&'static str, PathBuf)>,
    process: Option<Process>,
}

impl Original {
    /// Starts it on `site`, its configuration, and waits until it has loaded that.
    ///
    /// # Errors
    /// It is not installed, or refuses the configuration.
    pub async fn start(site: &Value) -> Result<Self> {
        let mut original = Self::prepare(site)?;
        original.restart().await?;
        Ok(original)
    }

    /// As [`Original::start`], but leaves the start to [`Original::restart`].
    ///
    /// # Errors
    /// The configuration cannot be written.
    pub fn prepare(site: &Value) -> Result<Self> {
        let dir = TempDir::with_prefix("original-")?;
        let original = Self { dir, variables: Vec::new(), process: None };
        original.write(site)?;
        Ok(original)
    }

    /// Sets a variable for the program's next start.
    #[must_use]
    pub fn with_variable(mut self, name: &'static str, path: &Path) -> Self {
        self.variables.push((name, path.to_owned()));
        self
    }

    /// An agent's configuration: `checks` as they are, reporting to the broker on `port`, no page.
    pub fn agent(port: u16, checks: Value) -> Value {
        json!({ "mqtt": { "hostname": "127.0.0.1", "port": port }, "checks": checks })
    }

    /// A hub's configuration: every message below `basetopic` becomes a check, no page.
    pub fn hub(port: u16, basetopic: &str) -> Value {
        json!({
            "mqtt": {
                "hostname": "127.0.0.1", "port": port, "basetopic": basetopic, "autoadd": true,
            },
            "checks": {},
        })
    }

    /// Starts it again on the configuration it last saved, or was last given.
    ///
    /// # Errors
    /// It does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = None;
        let mut command = Command::new(program()?);
        command
            .arg(format!("--config={}", self.config_path().display()))
            .env("HOME", self.dir.path())
            .env("PYTHONUNBUFFERED", "1")
            .envs(self.variables.iter().cloned())
            .current_dir(self.dir.path());
        let log = self.dir.path().join("log");
        let mut process = Process::start("the original", command, &log)?;
        process.wait_for_line("Starting").await?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it in an orderly way, which is when it saves, and returns what it saved.
    ///
    /// # Errors
    /// It is not running, does not end in time, or saved nothing readable.
    pub async fn stop(&mut self) -> Result<Value> {
        let mut process = self.process.take().context("the original is not running")?;
        process.signal(Signal::TERM)?;
        // Now and then it hangs after having saved, waiting for a thread of its own; it is killed.
        process.wait_for_line("Saved site config").await?;
        self.saved()
    }

    /// Its configuration file as it is now.
    ///
    /// # Errors
    /// The file is missing or no JSON.
    pub fn saved(&self) -> Result<Value> {
        let path = self.config_path();
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// The process, to signal it or to wait for lines in its log.
    ///
    /// # Errors
    /// It is not running.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the original is not running")
    }

    /// Where its configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("site.conf")
    }

    fn write(&self, site: &Value) -> Result<()> {
        let mut site = site.clone();
        site["base"] = json!(self.config_path());
        fs::write(self.config_path(), serde_json::to_vec_pretty(&site)?)
            .context("writing the configuration of the original")
    }
}

/// The original's program, beside the Python interpreter of the environment made by `tests/run`.
fn program() -> Result<PathBuf> {
    let beside = python();
    let program = beside.with_file_name("fletchck");
    program.is_file().then_some(program).with_context(|| {
        format!("the original is not installed beside {}; please run tests/run", beside.display())
    })
}

/// The interpreter of the environment with the original and APScheduler: `FLETCHCK_TEST_PYTHON`, else the one that
/// `tests/run` makes.
pub fn python() -> PathBuf {
    match std::env::var_os("FLETCHCK_TEST_PYTHON") {
        Some(python) => python.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python"),
    }
}
