//! The check `process` as the program runs it, and what is hard to see of a process.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::Verdict;
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::wait::{self, PATIENCE};
use fletchck_tests::{look, original};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_a_check_is_not_what_it_looks_for() -> Result<()> {
    let name = format!("nightly-{}.sh", std::process::id());
    let options = json!({"pattern": name.replace('.', "\\.")});
    // It takes a second, in which a second one can look at it.
    let slow = json!({"pattern": name.replace('.', "\\."), "measure": "cpu"});
    let site = Fletchck::prepare(
        Program::Agent,
        &json!({"checks": {
            name.as_str(): {"type": "process", "options": options},
            format!("slow {name}"): {"type": "process", "options": slow},
        }}),
    )?;
    let expected = "runs, expected at least 1";
    let program = Program::Agent.path()?;
    let config = site.config_path();
    let mut first = Command::new(&program);
    first
        .arg("--config")
        .arg(&config)
        .args(["check", &format!("slow {name}")])
        .stdout(Stdio::piped());
    let first = first.spawn()?;
    // A shell's command line has all of it in one argument.
    let line =
        format!("'{}' --config {} check {name}; exit $?", program.display(), config.display());
    let shell = Command::new("sh").args(["-c", &line]).output()?;
    for output in [shell, first.wait_with_output()?] {
        let told = String::from_utf8(output.stdout)?;
        ensure!(told.contains(expected), "{told}");
    }
    let mut job = Command::new("sh");
    let mut job =
        job.args(["-c", "read line", &format!("/opt/{name}")]).stdin(Stdio::piped()).spawn()?;
    let output = site.run(&["check", &name]).await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && told.contains(&format!("runs (sh {})", job.id())), "{told}");
    drop(job.stdin.take());
    job.wait()?;
    Ok(())
}

/// Its first thread ends, and a second one goes on: the kernel shows a zombie then.
#[tokio::test]
async fn a_process_runs_as_long_as_one_of_its_threads() -> Result<()> {
    let script = "import ctypes, sys, threading\n\
                  threading.Thread(target=sys.stdin.read).start()\n\
                  ctypes.CDLL(None).pthread_exit(None)";
    let mut python =
        Command::new(original::python()).args(["-c", script]).stdin(Stdio::piped()).spawn()?;
    let id = python.id();
    let stat = format!("/proc/{id}/stat");
    let zombie = async || std::fs::read_to_string(&stat).ok().filter(|stat| stat.contains(") Z "));
    wait::until(PATIENCE, "its first thread to end", zombie).await?;
    let dir = TempDir::new()?;
    let file = dir.path().join("pid");
    std::fs::write(&file, id.to_string())?;
    let seen = look::ours("process", &json!({ "pidFile": file })).await?;
    ensure!(seen.verdict == Verdict::Pass, "{seen:?}");
    drop(python.stdin.take().context("an input")?);
    // It has ended now, and nobody has fetched it yet.
    let ended = async || {
        let seen = look::ours("process", &json!({ "pidFile": file })).await.ok()?;
        (seen.verdict == Verdict::Fail).then_some(seen)
    };
    let seen = wait::until(PATIENCE, "the process to end", ended).await?;
    ensure!(seen.text.ends_with(&format!("it names process {id}, which does not run")), "{seen:?}");
    python.wait()?;
    Ok(())
}
