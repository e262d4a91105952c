//! Network namespaces: networks of their own for faults that a real one has, which touch nothing else. They need root.

use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with nothing but its loopback. It ends with the value.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. `None`, and a line that says so, where the system allows none.
    ///
    /// # Errors
    /// It was made and cannot be used.
    pub fn create() -> Result<Option<Self>> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fletchck-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        let made = made.context("running ip; tests/run installs it")?;
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr);
            // What a test prints is hidden where it passes; a test that saw nothing must not look like one that passed.
            writeln!(
                std::io::stderr(),
                "SKIPPED: no network namespace is to be had: {}",
                why.trim()
            )?;
            return Ok(None);
        }
        let made = Self { name };
        // Addresses count at once, without asking whether another machine has them.
        made.sysctl("net.ipv6.conf.all.accept_dad", "0")?;
        made.sysctl("net.ipv6.conf.default.accept_dad", "0")?;
        made.ip("link set lo up")?;
        Ok(Some(made))
    }

    /// Connects two by a cable: `eth0` in each, which is their second interface.
    ///
    /// # Errors
    /// The system has no such cables.
    pub fn connect(&self, other: &Self) -> Result<()> {
        let peer = &other.name;
        self.ip(&format!("link add eth0 index 2 type veth peer name eth0 netns {peer} index 2"))?;
        self.ip("link set eth0 up")?;
        other.ip("link set eth0 up")
    }

    /// Runs `ip` in it with these words.
    ///
    /// # Errors
    /// What it says.
    pub fn ip(&self, words: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(words.split(' '));
        run(command)
    }

    /// Sets a variable of its kernel.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let mut command = self.command("sh");
        command.args(["-c", "printf %s \"$1\" >\"$0\"", &path, value]);
        run(command)
    }

    /// A program that is to run in it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // One that stays until the next boot is in nobody's way.
        Command::new("ip").args(["netns", "del", &self.name]).output().ok();
    }
}

fn run(mut command: Command) -> Result<()> {
    let ran = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}
