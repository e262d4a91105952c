//! The mosquitto broker: an independent opinion on MQTT, and the one the original uses.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::mqtt::Mqtt;
use crate::pki::Pki;
use crate::port;
use crate::process::Process;

/// A mosquitto with four listeners. It saves at every change, so that [`Mosquitto::kill`] loses nothing
/// after [`Mosquitto::settle`].
#[derive(Debug)]
pub struct Mosquitto {
    /// Anybody may do anything here.
    pub port: u16,
    /// The same topics, for [`Mosquitto::USER`] with [`Mosquitto::PASSWORD`] alone.
    pub password_port: u16,
    /// As `password_port`, over TLS with the authority's `valid` certificate.
    pub tls_port: u16,
    /// As `password_port`, and only messages below `open/` are heard here; of the others nothing is said.
    pub guarded_port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Mosquitto {
    /// Who may use the listeners that ask for a name.
    pub const USER: &str = "site";
    /// The password of [`Mosquitto::USER`].
    pub const PASSWORD: &str = "open sesame";

    /// Starts a broker on free ports.
    ///
    /// # Errors
    /// mosquitto is not installed or does not start.
    pub async fn start(pki: &Pki) -> Result<Self> {
        let dir = TempDir::with_prefix("mosquitto-")?;
        let mut broker = Self {
            port: port::free(),
            password_port: port::free(),
            tls_port: port::free(),
            guarded_port: port::free(),
            process: None,
            dir,
        };
        broker.configure(pki)?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Starts the broker again, or for the first time: same ports, same retained messages and sessions. One that runs is
    /// stopped before, so that it saves what it has.
    ///
    /// # Errors
    /// mosquitto does not start, or does not end in time.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            self.stop().await?;
        }
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("-v").arg("-c").arg(self.dir.path().join("m.conf"));
        let log = self.dir.path().join("log");
        let mut process = Process::start("mosquitto", command, &log)?;
        for port in [self.port, self.password_port, self.tls_port, self.guarded_port] {
            process.wait_for_port(port).await?;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Ends the broker in an orderly way; its clients see their connections closed.
    ///
    /// # Errors
    /// It is not running or does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("mosquitto is not running")?;
        let status = process.stop().await?;
        ensure!(status.success(), "mosquitto ended with {status}");
        Ok(())
    }

    /// Ends the broker as a power cut would. It forgets what it has confirmed and not yet saved, subscriptions too; see
    /// [`Mosquitto::settle`].
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Waits until what the broker has confirmed is on the disk.
    ///
    /// It works in one thread, which saves after every round of packets: once a new client has been answered, the
    /// rounds before are saved.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn settle(&self) -> Result<()> {
        Mqtt::connect(self.port).await.map(drop)
    }

    /// Stops the broker's clock: connections stay open, nothing answers. [`Mosquitto::thaw`] lets it go on.
    ///
    /// # Errors
    /// It is not running.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen broker go on.
    ///
    /// # Errors
    /// It is not running.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Gives [`Mosquitto::USER`] another password, at once.
    ///
    /// # Errors
    /// mosquitto is not installed or not running.
    pub fn set_password(&self, password: &str) -> Result<()> {
        self.hash(password)?;
        self.signal(Signal::HUP)
    }

    /// What the broker has logged since its last start.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }

    /// The broker's process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("mosquitto is not running")?.signal(signal)
    }

    fn configure(&self, pki: &Pki) -> Result<()> {
        let dir = self.dir.path();
        self.hash(Self::PASSWORD)?;
        fs::write(dir.join("acl"), format!("user {}\ntopic read open/#\n", Self::USER))?;
        let text = self.settings(pki, &dir.join("passwords"))?;
        fs::write(dir.join("m.conf"), text).context("writing the configuration of mosquitto")
    }

    fn hash(&self, password: &str) -> Result<()> {
        let hashed = Command::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(self.dir.path().join("passwords"))
            .args([Self::USER, password])
            .output()
            .context("running mosquitto_passwd; tests/run installs it")?;
        ensure!(hashed.status.success(), "mosquitto_passwd: {hashed:?}");
        Ok(())
    }

    fn settings(&self, pki: &Pki, passwords: &Path) -> Result<String> {
        let dir = self.dir.path().display();
        let passwords = passwords.display();
        let mut text = format!(
            "per_listener_settings true\n\
             persistence true\npersistence_location {dir}/\npersistence_file m.db\n\
             autosave_interval 1\nautosave_on_changes true\n\
             listener {} 127.0.0.1\nallow_anonymous true\n\
             listener {} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n\
             listener {} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n\
             cafile {}\ncertfile {}\nkeyfile {}\n\
             listener {} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {dir}/acl\n",
            self.port,
            self.password_port,
            self.tls_port,
            pki.ca.display(),
            pki.valid.cert.display(),
            pki.valid.key.display(),
            self.guarded_port,
        );
        // As root it would become the user mosquitto, who may not read the temporary folder.
        if rustix::process::geteuid().is_root() {
            writeln!(text, "user root")?;
        }
        Ok(text)
    }
}
