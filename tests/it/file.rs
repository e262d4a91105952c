//! Logs, read by this program and by the original side by side.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::checks::Before;
use fletchck_shared::Verdict;
use fletchck_tests::{look, original};
use serde_json::{Value, json};

/// What happens to a log between two runs.
#[derive(Clone, Copy, Debug)]
enum Step {
    Append(&'static str),
    Rotate(&'static str),
    Cut(&'static str),
    Delete,
    Nothing,
}

use Step::{Append, Cut, Delete, Nothing, Rotate};

impl Step {
    fn take(self, log: &Path) -> Result<()> {
        match self {
            Append(text) => {
                let mut file = OpenOptions::new().create(true).append(true).open(log)?;
                file.write_all(text.as_bytes())?;
            }
            Rotate(text) => {
                // Where ours does not look for it, for the original does not read on in it.
                fs::rename(log, log.with_file_name("old"))?;
                fs::write(log, text)?;
            }
            Cut(text) => {
                let mut file = File::create(log)?;
                file.write_all(text.as_bytes())?;
            }
            Delete => fs::remove_file(log)?,
            Nothing => {}
        }
        Ok(())
    }
}

/// Runs both after each step, and compares verdicts, levels and the lines of the original's log.
async fn compare(fail: &str, pass: &str, steps: &[Step]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("app.log");
    fs::write(&log, "ERROR of old\n")?;
    let options = json!({"filename": log, "failpattern": fail, "passpattern": pass});
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/log.py");
    let mut python = Command::new(original::python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting Python; tests/run sets it up")?;
    let mut stdin = python.stdin.take().context("it has an input")?;
    let mut lines = BufReader::new(python.stdout.take().context("it has an output")?).lines();
    writeln!(stdin, "{options}")?;
    let mut before = Before::default();
    for (nth, step) in steps.iter().enumerate() {
        step.take(&log)?;
        writeln!(stdin)?;
        let theirs: Value = serde_json::from_str(&lines.next().context("a line")??)?;
        let ours = look::ours_after("file", &options, &before).await?;
        before.failing = ours.verdict == Verdict::Fail;
        before.kept = ours.keep.clone().or(before.kept);
        let told =
            format!("{fail:?}, {pass:?}, step {nth} {step:?}: {ours:?}, the original {theirs}");
        ensure!(theirs[0] == Value::Bool(!before.failing), "{told}");
        ensure!(theirs[2].as_str() == ours.level.as_deref(), "{told}");
        for (line, theirs) in ours.log.iter().zip(theirs[1].as_array().context("a log")?) {
            ensure!(theirs == line, "{told}");
        }
    }
    drop(stdin);
    ensure!(python.wait()?.success(), "the original fell over");
    Ok(())
}

#[tokio::test]
async fn a_log_is_judged_as_the_original_judges_it() -> Result<()> {
    let steps = [
        Nothing,
        Append("nothing\n"),
        Append("ERROR one\n\nmore {\"level\": 1}\n"),
        Append("nothing\n"),
        Nothing,
        Append("ERROR\r\n OK two \rnothing\n"),
        Nothing,
        Append("OK and ERROR\n"),
        Append("OK\nOK\n"),
        Rotate("ERROR in the new one\n"),
        Append("OK\n"),
        Cut("ERROR\n"),
        Nothing,
        Append("OK ä\u{2028}ö ERROR\n"),
        Append("OK\n"),
        Append(" \u{1c} \n"),
    ];
    for (fail, pass) in [
        ("ERROR", "OK"),
        ("ERROR", ""),
        ("", ""),
        ("", "OK"),
        (r"^ERROR\Z", "(?i)^ok$"),
        (r#"{"level""#, "[[]|OK"),
    ] {
        compare(fail, pass, &steps).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_log_that_goes_and_comes_fails_in_both() -> Result<()> {
    compare("ERROR", "", &[Nothing, Delete, Nothing, Append("ERROR\n"), Nothing]).await
}
