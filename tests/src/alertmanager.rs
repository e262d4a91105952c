//! Alertmanager, which tells a [`Sink`] of the alerts it has.

use std::{fs, process::Command};

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;

use crate::{port, process::Process, sink::Sink};

/// A running Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    /// Where it listens.
    pub port: u16,
    _process: Process,
    _dir: TempDir,
}

impl Alertmanager {
    /// Starts one that tells `sink` of each alert by itself, without waiting for more.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub async fn start(sink: &Sink) -> Result<Self> {
        let dir = TempDir::with_prefix("alertmanager-")?;
        let port = port::free();
        let conf = dir.path().join("alertmanager.yml");
        // What is JSON is YAML.
        let settings = json!({
            "route": {
                "receiver": "sink", "group_by": ["..."], "group_wait": "0s",
                "group_interval": "1s", "repeat_interval": "1h",
            },
            "receivers": [{
                "name": "sink",
                "webhook_configs": [{ "url": sink.url(), "send_resolved": true }],
            }],
        });
        fs::write(&conf, settings.to_string())?;
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", conf.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        let mut process = Process::start("alertmanager", command, &dir.path().join("output"))?;
        process.wait_for_port(port).await?;
        Ok(Self { port, _process: process, _dir: dir })
    }
}
