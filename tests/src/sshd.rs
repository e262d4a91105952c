//! OpenSSH's server, with host keys of any type. Nobody can log in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::port;
use crate::process::Process;

/// A running sshd on 127.0.0.1.
#[derive(Debug)]
pub struct Sshd {
    /// Where it listens.
    pub port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Sshd {
    /// Makes a new host key of each of these types of `ssh-keygen` with this many bits, and starts a server that has
    /// them. 0 bits are as many as is usual.
    ///
    /// # Errors
    /// sshd is not installed or does not start.
    pub async fn start(keys: &[(&str, u32)], more: &str) -> Result<Self> {
        let dir = TempDir::with_prefix("sshd-")?;
        let mut server = Self { port: port::free(), process: None, dir };
        for (kind, bits) in keys {
            server.new_key(kind, *bits)?;
        }
        server.restart(keys, more).await?;
        Ok(server)
    }

    /// Makes another host key of this type, for the next start.
    ///
    /// # Errors
    /// ssh-keygen is not installed.
    pub fn new_key(&self, kind: &str, bits: u32) -> Result<()> {
        let file = self.key_file(kind, bits);
        // It would ask whether it may overwrite it.
        fs::remove_file(&file).ok();
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-N", "", "-t", kind, "-f"]).arg(file);
        if bits > 0 {
            command.args(["-b", &bits.to_string()]);
        }
        let made = command.output().context("running ssh-keygen; tests/run installs it")?;
        ensure!(made.status.success(), "ssh-keygen: {made:?}");
        Ok(())
    }

    /// Starts the server again with these of its keys, on the same port; `more` is further lines of its configuration.
    ///
    /// # Errors
    /// sshd does not start.
    pub async fn restart(&mut self, keys: &[(&str, u32)], more: &str) -> Result<()> {
        self.process = None;
        // Root's sshd insists on an empty folder of this name, which a machine without an init lacks.
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd")?;
        }
        let mut conf = format!(
            "ListenAddress 127.0.0.1:{}\nPidFile none\nUsePAM no\nPasswordAuthentication no\nLogLevel VERBOSE\n\
             PerSourceMaxStartups none\nMaxStartups 100\n{more}\n",
            self.port
        );
        for (kind, bits) in keys {
            conf.push_str(&format!("HostKey {}\n", self.key_file(kind, *bits).display()));
        }
        let file = self.dir.path().join("sshd_config");
        fs::write(&file, conf)?;
        // It starts itself again for each connection, and needs its whole path for that.
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(file);
        let mut process = Process::start("sshd", command, &self.dir.path().join("log"))?;
        process.wait_for_port(self.port).await?;
        self.process = Some(process);
        Ok(())
    }

    /// The line of this key's `.pub` file.
    ///
    /// # Errors
    /// There is no such key.
    pub fn public(&self, kind: &str, bits: u32) -> Result<String> {
        let file = self.key_file(kind, bits).with_extension("pub");
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        Ok(text.trim().to_owned())
    }

    /// The fingerprint of this key, as `ssh-keygen` tells it.
    ///
    /// # Errors
    /// There is no such key.
    pub fn fingerprint(&self, kind: &str, bits: u32) -> Result<String> {
        let mut command = Command::new("ssh-keygen");
        let told = command.arg("-lf").arg(self.key_file(kind, bits)).output()?;
        let told = String::from_utf8(told.stdout)?;
        Ok(told.split_whitespace().nth(1).context("a fingerprint")?.to_owned())
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    fn key_file(&self, kind: &str, bits: u32) -> PathBuf {
        self.dir.path().join(format!("host_{kind}_{bits}"))
    }
}
