//! One run of a program: bounded in time and in what it says, and nothing of it is left behind.

use std::{io, os::unix::process::ExitStatusExt as _, process::Stdio, time::Duration};

use futures_util::future::join3;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    process::{Child, Command},
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use crate::checks::aside::{Aside, AsideError};

/// Most bytes that are kept of what it says. The rest is read and thrown away, so that it can go on.
pub(crate) const KEPT: usize = 64 * 1024;

/// How long its end is waited for once it is killed, and what it said once it has ended. A process that has left the
/// group may hold the pipes for ever.
const DRAIN: Duration = Duration::from_millis(30);

/// A command that ran, and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) end: End,
    pub(crate) output: Vec<u8>,
    pub(crate) errors: Vec<u8>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed at the end of its time.
    Late,
}

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The system call that starts it did not return.
    #[error(transparent)]
    Aside(#[from] AsideError),
    /// It could not be started, or its end was not told.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Runs a command for so long, and lets it read `input`, if there is any. Once it has ended, or its time has, whatever it
/// started in its group is killed too, and also when this is dropped.
pub(crate) async fn run(
    mut command: Command,
    input: Vec<u8>,
    limit: Duration,
    aside: &Aside,
) -> Result<Ran, RunError> {
    let end = Instant::now() + limit;
    let runtime = Handle::current();
    command
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let start = move || {
        let _runtime = runtime.enter();
        Running::start(&mut command)
    };
    // A program on a dead file server is waited for by whoever starts it.
    let mut running = aside.ask(limit, start).await??;
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let end = match timeout_at(end, running.ended(&input, &mut output, &mut errors)).await {
        Ok(ended) => ended?,
        Err(_) => {
            running.kill();
            // What does not end even so is left to the runtime, which reaps it when it does.
            drop(timeout(DRAIN, running.child.wait()).await);
            End::Late
        }
    };
    Ok(Ran { end, output, errors })
}

/// A command that runs, and the group of all that it starts. Dropped, all of it is killed.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self { child, group: id.and_then(Pid::from_raw) })
    }

    async fn ended(
        &mut self,
        input: &[u8],
        output: &mut Vec<u8>,
        errors: &mut Vec<u8>,
    ) -> io::Result<End> {
        let stdin = self.child.stdin.take();
        let (out, err) = (self.child.stdout.take(), self.child.stderr.take());
        let heard = join3(say(stdin, input), hear(out, output), hear(err, errors));
        let mut heard = std::pin::pin!(heard);
        let (status, all) = tokio::select! {
            status = self.child.wait() => (status?, false),
            _ = &mut heard => (self.child.wait().await?, true),
        };
        self.kill();
        if !all {
            // What it said before its end is there already.
            drop(timeout(DRAIN, heard).await);
        }
        let signal = || status.signal().map_or(End::Late, End::Signal);
        Ok(status.code().map_or_else(signal, End::Code))
    }

    /// Kills what is left of the group, once: later its number may be somebody else's.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It fails where nobody is left, as is usual.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes all of it, or as much as is read: a program need not want to know everything.
async fn say(to: Option<impl AsyncWrite + Unpin>, input: &[u8]) {
    let Some(mut to) = to else { return };
    if to.write_all(input).await.is_ok() {
        to.shutdown().await.ok();
    }
}

/// Reads to the end, and keeps the first [`KEPT`] bytes.
async fn hear(from: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; 8192];
    while let Ok(some @ 1..) = from.read(&mut piece).await {
        let room = KEPT - kept.len();
        kept.extend_from_slice(&piece[..some.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use tempfile::TempDir;

    use super::*;

    async fn shell(script: &str, limit: Duration) -> Ran {
        shell_reads(script, Vec::new(), limit).await
    }

    async fn shell_reads(script: &str, input: Vec<u8>, limit: Duration) -> Ran {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, input, limit, &Aside::default()).await.expect("a shell")
    }

    /// Waits until the process whose id is in this file runs no longer: it is gone, or nobody has reaped it yet.
    async fn gone(pid: &Path) {
        let runs = || {
            let pid = fs::read_to_string(pid).ok()?.trim().parse::<u32>().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit_once(") ").filter(|(_, state)| !state.starts_with('Z')).map(drop)
        };
        let patience = Instant::now() + Duration::from_secs(10);
        while runs().is_some() {
            assert!(Instant::now() < patience, "it still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_command_is_heard_to_its_end() {
        let ran = shell("echo out; echo err >&2; exit 2", LONG).await;
        assert_eq!(
            (ran.end, &*ran.output, &*ran.errors),
            (End::Code(2), &b"out\n"[..], &b"err\n"[..])
        );
        assert_eq!(shell("kill -SEGV $$", LONG).await.end, End::Signal(11));
        let ran = shell("read line || echo none", LONG).await;
        assert_eq!(ran.output, b"none\n");
    }

    #[tokio::test]
    async fn a_command_reads_what_it_is_told_as_far_as_it_likes() {
        let much = vec![b'x'; 1_000_000];
        assert_eq!(shell_reads("wc -c", much.clone(), LONG).await.output.trim_ascii(), b"1000000");
        let ran = shell_reads("head -c 3", much.clone(), LONG).await;
        assert_eq!((ran.end, &*ran.output), (End::Code(0), &b"xxx"[..]));
        let ran = shell_reads("exec <&-; exec >&- 2>&-; sleep 0.1; exit 3", much, LONG).await;
        assert_eq!(ran.end, End::Code(3));
    }

    #[tokio::test]
    async fn at_the_end_of_its_time_a_command_is_killed_with_all_it_started() {
        let dir = TempDir::new().expect("a folder");
        let pid = dir.path().join("pid");
        let script = format!("echo begun; sleep 300 & echo $! > {}; wait", pid.display());
        let began = Instant::now();
        let ran = shell(&script, Duration::from_millis(300)).await;
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!((ran.end, &*ran.output), (End::Late, &b"begun\n"[..]));
        assert!(pid.exists());
        gone(&pid).await;
    }

    #[tokio::test]
    async fn a_run_that_is_given_up_leaves_nothing_behind() {
        let dir = TempDir::new().expect("a folder");
        let pid = dir.path().join("pid");
        let script = format!("sleep 300 & echo $! > {}; wait", pid.display());
        let running = shell(&script, LONG);
        let begun = async {
            while fs::read_to_string(&pid).unwrap_or_default().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = running => panic!("it cannot have ended"),
            () = begun => {}
        }
        gone(&pid).await;
    }

    #[tokio::test]
    async fn who_keeps_the_pipes_open_holds_nothing_up() {
        let dir = TempDir::new().expect("a folder");
        let pid = dir.path().join("pid");
        let began = Instant::now();
        let script = format!("sleep 300 & echo $! > {}; echo done", pid.display());
        let ran = shell(&script, LONG).await;
        assert_eq!((ran.end, &*ran.output), (End::Code(0), &b"done\n"[..]));
        gone(&pid).await;
        // This one has left the group, so it lives on.
        let ran = shell("setsid sleep 15 & echo done", LONG).await;
        assert_eq!((ran.end, &*ran.output), (End::Code(0), &b"done\n"[..]));
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn of_what_has_no_end_only_the_beginning_is_kept() {
        let ran = shell("yes", Duration::from_millis(300)).await;
        assert_eq!((ran.end, ran.output.len()), (End::Late, KEPT));
        let ran = shell("head -c 1000000 /dev/zero; exit 1", LONG).await;
        assert_eq!((ran.end, ran.output.len()), (End::Code(1), KEPT));
    }
}
