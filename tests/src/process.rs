//! A server as a child process: its log, its signals, its end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};
use tokio::net::TcpStream;

use crate::wait;

/// Lines of the log shown when something went wrong.
const TAIL: usize = 25;

/// A running server. Dropping it kills it together with its children.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where this run's output begins: a restarted server goes on with the log of the run before.
    log_start: usize,
}

impl Process {
    /// Starts `command` with both output streams appended to `log`, in a process group of its own.
    ///
    /// # Errors
    /// The program is missing or cannot be started; the text advises `tests/run`.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        let mut guarded = die_with_us(&command);
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("opening {}", log.display()))?;
        let log_start = usize::try_from(out.metadata()?.len())?;
        guarded.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out).process_group(0);
        let child = spawn(guarded).with_context(|| {
            format!(
                "starting {name} ({}); tests/run installs it",
                Path::new(command.get_program()).display()
            )
        })?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), log_start })
    }

    /// What the server has written since it was started, so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_start..).unwrap_or_default()).into_owned()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server accepts connections on `port` of 127.0.0.1.
    ///
    /// # Errors
    /// The server ended, or the port did not open in time.
    pub async fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.wait_until(&format!("it to listen on port {port}"), async |_| {
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await
    }

    /// Waits until a line of the log contains `text`, and returns that line.
    ///
    /// # Errors
    /// The server ended without writing it, or it did not come in time.
    pub async fn wait_for_line(&mut self, text: &str) -> Result<String> {
        self.wait_until(&format!("the line `{text}`"), async |process: &Self| {
            process.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
        .await
    }

    /// Waits until the server has ended by itself.
    ///
    /// # Errors
    /// It is still running after `limit`.
    pub async fn wait_for_end(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        wait::until(limit, &what, async || self.child.try_wait().transpose())
            .await
            .map_err(|error| self.explain(&error))?
            .with_context(|| what)
    }

    /// Sends `signal` to the server alone, not to its children.
    ///
    /// # Errors
    /// The server has already ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        rustix::process::kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// Asks the server to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// It is still running after [`wait::PATIENCE`].
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        // One that is frozen, as a fault, would otherwise never see the request.
        self.signal(Signal::CONT)?;
        self.signal(Signal::TERM)?;
        self.wait_for_end(wait::PATIENCE).await
    }

    /// Ends the server and its children at once (SIGKILL), as a power cut would.
    pub fn kill(&mut self) {
        // Both fail only for a process that has ended already, which is what is wanted.
        rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.wait().ok();
    }

    /// Waits until `probe` answers, as long as the server runs.
    ///
    /// # Errors
    /// The server ended or `probe` did not answer within [`wait::PATIENCE`].
    pub async fn wait_until<T>(
        &mut self,
        what: &str,
        mut probe: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> Result<T> {
        let described = format!("{}: {what}", self.name);
        let found = wait::until(wait::PATIENCE, &described, async || {
            let ended = self.child.try_wait().ok().flatten();
            match probe(self).await {
                Some(found) => Some(Ok(found)),
                None => ended.map(|status| Err(anyhow!("it ended ({status})"))),
            }
        })
        .await;
        match found {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => bail!(self.explain(&error.context(described))),
            Err(error) => bail!(self.explain(&error)),
        }
    }

    fn explain(&self, error: &anyhow::Error) -> anyhow::Error {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  ");
        anyhow!("{error:#}\nlog of {}:\n  {tail}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command under `setpriv`, which asks the kernel to kill it when its parent dies.
fn die_with_us(command: &Command) -> Command {
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        guarded.current_dir(dir);
    }
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env::<&OsStr, &OsStr>(key, value),
            None => guarded.env_remove(key),
        };
    }
    guarded
}

/// Starts a process from a thread that lives as long as the test program.
///
/// To the kernel the parent that dies is the thread that forked, and a test's own thread ends with the test,
/// which would take along a server shared by several.
fn spawn(command: Command) -> Result<Child> {
    type Job = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, todo) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in todo {
                // A test that has gone away in the meantime wants no child any more.
                if let Err(unwanted) = answer.send(command.spawn())
                    && let Ok(mut child) = unwanted.0
                {
                    child.kill().ok();
                    child.wait().ok();
                }
            }
        });
        jobs
    });
    let (answer, spawned) = mpsc::channel();
    spawner
        .send((command, answer))
        .map_err(|_| anyhow!("the thread that starts processes is gone"))?;
    Ok(spawned.recv().context("the thread that starts processes is gone")??)
}
