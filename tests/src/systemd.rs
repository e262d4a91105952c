//! systemd as the manager of a user's services, in namespaces of its own: with real units, and out of the way of the machine's.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::process::Process;

/// A running manager. Whoever has its [`Manager::runtime`] as `XDG_RUNTIME_DIR` asks it by `systemctl --user`.
#[derive(Debug)]
pub struct Manager {
    /// The folder where it listens.
    pub runtime: PathBuf,
    process: Process,
    cgroup: String,
    dir: TempDir,
}

/// It believes in a machine that systemd has started once there is this folder, and does not start otherwise. Its control
/// group is one of its own, so that it touches no other. It has no namespace of processes, for it answers only whom it sees,
/// and as the first of one it would take itself for the manager of the machine. Whatever happens, it ends in five minutes.
const SCRIPT: &str = "set -e\n\
    (sleep 300; kill -KILL $$) </dev/null >/dev/null 2>&1 &\n\
    mount -t tmpfs none /run && mkdir -p /run/systemd/system\n\
    mount -t cgroup2 none /sys/fs/cgroup\n\
    mkdir /sys/fs/cgroup/$CGROUP && echo 0 >/sys/fs/cgroup/$CGROUP/cgroup.procs\n\
    exec /lib/systemd/systemd --user --log-target=console --unit=basic.target";

impl Manager {
    /// Starts one with these units, each a name and the text of its file; one without text is masked. It is `None`, and says so,
    /// where the kernel gives no namespaces: without root, and in most containers.
    ///
    /// # Errors
    /// systemd is not installed or does not start.
    pub async fn start(units: &[(&str, &str)]) -> Result<Option<Self>> {
        let systemd = Path::new("/lib/systemd/systemd");
        ensure!(systemd.exists(), "{} is missing; tests/run installs it", systemd.display());
        let probe = "mount -t tmpfs none /run && mount -t cgroup2 none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/fletchck-probe && \
                     rmdir /sys/fs/cgroup/fletchck-probe";
        if !namespaces(probe)? {
            eprintln!(
                "SKIPPED: no systemd can be started here, for that takes root and namespaces"
            );
            return Ok(None);
        }
        let dir = TempDir::with_prefix("systemd-")?;
        let (runtime, folder) = (dir.path().join("run"), dir.path().join("units"));
        fs::create_dir(&runtime)?;
        fs::create_dir(&folder)?;
        let cgroup =
            dir.path().file_name().and_then(|name| name.to_str()).context("a name")?.to_owned();
        let manager = dir.path().join("log");
        for (name, text) in units.iter().chain(&[("basic.target", "[Unit]\n")]) {
            match *text {
                "" => symlink("/dev/null", folder.join(name))?,
                text => fs::write(folder.join(name), text)?,
            }
        }
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", SCRIPT])
            .env("CGROUP", &cgroup)
            .env("HOME", dir.path())
            .env("XDG_RUNTIME_DIR", &runtime)
            .env("SYSTEMD_UNIT_PATH", &folder)
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
        let process = Process::start("systemd", command, &manager)?;
        let mut manager = Self { runtime, process, cgroup, dir };
        let socket = manager.runtime.join("systemd/private");
        let listens = async |_: &Process| socket.exists().then_some(());
        manager.process.wait_until("it to listen", listens).await?;
        Ok(Some(manager))
    }

    /// Asks it to do something, as `["start", "a.service"]`, and says whether that went well.
    ///
    /// # Errors
    /// There is no `systemctl`.
    pub fn control(&self, arguments: &[&str]) -> Result<bool> {
        let mut command = Command::new("systemctl");
        command.arg("--user").args(arguments).env("XDG_RUNTIME_DIR", &self.runtime);
        let output = command.output().context("running systemctl; tests/run installs it")?;
        Ok(output.status.success())
    }

    /// A folder that its units may write to.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.process.kill();
        // Its services live on in their control groups, until those are killed and, a moment later, empty.
        let script = format!(
            "mount -t cgroup2 none /sys/fs/cgroup; echo 1 >/sys/fs/cgroup/{0}/cgroup.kill; for try in 1 2 3 4 5 6 7 8 9; do \
             find /sys/fs/cgroup/{0} -depth -type d -exec rmdir {{}} + 2>/dev/null; \
             [ -d /sys/fs/cgroup/{0} ] || exit 0; sleep 0.1; done; exit 1",
            self.cgroup
        );
        if !namespaces(&script).unwrap_or(false) {
            eprintln!("the control group {} could not be removed", self.cgroup);
        }
    }
}

/// Runs a script with mounts that nobody else sees, and says whether it went well.
///
/// # Errors
/// There is no `unshare`.
pub fn namespaces(script: &str) -> Result<bool> {
    let output = Command::new("unshare").args(["--mount", "sh", "-c", script]).output();
    let output = output.context("running unshare")?;
    if output.status.code() == Some(127) {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.status.success())
}
