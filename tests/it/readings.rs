//! What disk, memory, cpu, load and swap read, against the original and psutil on the same machine.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::look;
use serde_json::{Value, json};

/// A level such as `" 7%"` in percent.
fn percent(level: Option<&str>) -> Result<f64> {
    Ok(level.context("a level")?.trim().trim_end_matches('%').parse()?)
}

/// A line with its numbers taken out: they move between two readings.
fn form(line: &str) -> String {
    let line = line.replace(|c: char| c.is_ascii_digit(), "");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn readings_are_those_of_the_original_within_one_percent() -> Result<()> {
    let checks = json!({
        "root": ["disk", {"level": 99}],
        "shm": ["disk", {"volume": "/dev/shm"}],
        "tmp": ["disk", {"volume": "/tmp"}],
        "ram": ["memory", {"level": 99}],
    });
    let theirs = look::originals(&checks, Path::new("/etc/ssl/certs/ca-certificates.crt"))?;
    for (name, theirs) in theirs {
        let kind = checks[&name][0].as_str().context("a type")?;
        let ours = look::ours(kind, &checks[&name][1]).await?;
        let level = ours.level.as_deref();
        let apart = (percent(level)? - percent(theirs[2].as_str())?).abs();
        ensure!(apart <= 1.0, "{name}: {ours:?}, the original {theirs}");
        let line = theirs[1][0].as_str().context("a line")?;
        ensure!(form(&ours.log[0]) == form(line), "{name}: {:?}, the original {line:?}", ours.log);
        ensure!(level.map(str::len) == theirs[2].as_str().map(str::len), "{name}: {level:?}");
    }
    Ok(())
}

/// Both measure the second from the same moment, give or take Python's start, under a load that does not change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_is_measured_as_psutil_does() -> Result<()> {
    use std::process::{Command, Stdio};

    let script = "import psutil,time\n\
                  psutil.cpu_percent(); print('ready', flush=True); input()\n\
                  psutil.cpu_percent(); time.sleep(1); print(psutil.cpu_percent(), flush=True)";
    let python = fletchck_tests::original::python();
    let mut apart = f64::MAX;
    // Another test may begin or end between the two first readings; it does not every time.
    for _ in 0..8 {
        let mut python = Command::new(&python)
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
            python.stdout.take().context("an output")?,
        ));
        ensure!(lines.next().context("a line")?? == "ready");
        // Dropping its input is what it waits for.
        let start = std::io::Write::write_all(&mut python.stdin.take().context("an input")?, b"\n");
        let ours = look::ours("cpu", &json!({"level": 100})).await?;
        start?;
        let theirs: f64 = lines.next().context("a line")??.parse()?;
        ensure!(python.wait()?.success(), "Python failed");
        apart = apart.min((percent(ours.level.as_deref())? - theirs).abs());
        if apart <= 1.5 {
            return Ok(());
        }
    }
    anyhow::bail!("never nearer than {apart} percent")
}

/// A machine that is measured twice within a second: the averages move a little in between.
#[tokio::test]
async fn load_and_swap_are_what_psutil_counts() -> Result<()> {
    let script = "import psutil,json\n\
                  print(json.dumps([psutil.getloadavg(), psutil.cpu_count(), psutil.swap_memory().percent]))";
    let output = std::process::Command::new(fletchck_tests::original::python())
        .args(["-c", script])
        .output()?;
    let theirs: Value = serde_json::from_slice(&output.stdout).context("what Python says")?;
    let cores = theirs[1].as_f64().context("cores")?;
    for (nth, minutes) in [1, 5, 15].into_iter().enumerate() {
        let average = theirs[0][nth].as_f64().context("an average")?;
        for (per_core, expected) in [(true, average / cores), (false, average)] {
            let options = json!({"minutes": minutes, "perCore": per_core, "level": 100_000});
            let ours = look::ours("load", &options).await?;
            let level: f64 = ours.level.as_deref().context("a level")?.parse()?;
            let near = 0.3 + 0.05 * expected;
            ensure!((level - expected).abs() <= near, "{minutes}: {ours:?}, psutil {theirs}");
        }
    }
    let ours = look::ours("swap", &json!({"level": 100})).await?;
    let swap = theirs[2].as_f64().context("a percentage")?;
    ensure!((percent(ours.level.as_deref())? - swap).abs() <= 1.0, "{ours:?}, psutil {theirs}");
    Ok(())
}

#[tokio::test]
async fn a_missing_volume_fails_in_both() -> Result<()> {
    let checks = json!({"gone": ["disk", {"volume": "/nope"}]});
    let theirs = look::originals(&checks, Path::new("/dev/null"))?;
    ensure!(theirs["gone"][0] == Value::Bool(false));
    let ours = look::ours("disk", &json!({"volume": "/nope"})).await?;
    ensure!(ours.text == "/nope does not exist: is the volume mounted?", "{ours:?}");
    Ok(())
}
