//! unbound, a name server that resolves for others and validates what it hears.

use std::fs;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;

use crate::nsd::Nsd;
use crate::port;
use crate::process::Process;

/// A running unbound on 127.0.0.1 that knows of nobody but an [`Nsd`].
#[derive(Debug)]
pub struct Unbound {
    /// Where it listens.
    pub port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Unbound {
    /// A zone that it does not answer about.
    pub const SILENT: &str = "silent.example";

    /// Starts a server that asks `nsd` for its zones and trusts the keys that it has for them.
    ///
    /// # Errors
    /// unbound is not installed or does not start.
    pub async fn start(nsd: &Nsd) -> Result<Self> {
        let dir = TempDir::with_prefix("unbound-")?;
        let port = port::free();
        let mut text = format!(
            "server:\n interface: 127.0.0.1\n port: {port}\n do-daemonize: no\n use-syslog: no\n username: \"\"\n \
             chroot: \"\"\n directory: \"{}\"\n pidfile: \"\"\n do-not-query-localhost: no\n ede: yes\n \
             module-config: \"validator iterator\"\n local-zone: \"{}\" deny\n",
            dir.path().display(),
            Self::SILENT,
        );
        for file in nsd.trust_anchors() {
            text.push_str(&format!(" trust-anchor-file: \"{}\"\n", file.display()));
        }
        text.push_str("remote-control:\n control-enable: no\n");
        for zone in nsd.zones() {
            text.push_str(&format!(
                "stub-zone:\n name: {zone}\n stub-addr: 127.0.0.1@{}\n",
                nsd.port
            ));
        }
        let conf = dir.path().join("unbound.conf");
        fs::write(&conf, text)?;
        let mut command = Command::new("/usr/sbin/unbound");
        command.arg("-d").arg("-c").arg(conf);
        let mut process = Process::start("unbound", command, &dir.path().join("log"))?;
        process.wait_for_port(port).await?;
        Ok(Self { port, _process: process, _dir: dir })
    }
}
