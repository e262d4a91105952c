//! What disk, memory, cpu, load, swap and process read, against the original and psutil on the same machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fletchck_agent::checks::{Before, Probe};
use fletchck_shared::Outcome;
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

/// The span that both measure, beside which what lies between their beginnings and their ends is little. Linux counts in
/// hundredths of a second: over one second on two cores, each count is half a point.
const SPAN: Duration = Duration::from_secs(4);

/// How far our reading and psutil's of one span lie apart, in points, and psutil's. The script reads when it is sent a
/// line, and prints what it read at its second line.
async fn apart(probe: &dyn Probe, script: &str, argument: &str) -> Result<(f64, f64)> {
    let mut python = Command::new(fletchck_tests::original::python())
        .args(["-c", script, argument])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(python.stdout.take().context("an output")?).lines();
    let mut input = python.stdin.take().context("an input")?;
    ensure!(lines.next().context("a line")?? == "ready");
    // The first look measures a second of its own, and leaves what the next one counts from.
    let before = Before::default();
    look::again(probe, &before).await;
    input.write_all(b"\n")?;
    tokio::time::sleep(SPAN).await;
    input.write_all(b"\n")?;
    let ours = look::again(probe, &before).await;
    let theirs: f64 = lines.next().context("a line")??.parse()?;
    ensure!(python.wait()?.success(), "Python failed");
    let apart = (percent(ours.level.as_deref())? - theirs).abs();
    println!("{:?}, psutil {theirs}%", ours.level);
    Ok((apart, theirs))
}

/// As [`apart`], once they are within one point. Python may be kept waiting at one end of the span, as any program on a
/// busy machine, and then measures another one; it is not every time.
async fn within_a_point(probe: &dyn Probe, script: &str, argument: &str) -> Result<f64> {
    let mut nearest = f64::MAX;
    for _ in 0..4 {
        let (apart, theirs) = apart(probe, script, argument).await?;
        if apart <= 1.0 {
            return Ok(theirs);
        }
        nearest = nearest.min(apart);
    }
    bail!("never nearer than {nearest} points")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_is_measured_as_psutil_does() -> Result<()> {
    let script = "import psutil\n\
                  print('ready', flush=True); input(); psutil.cpu_percent()\n\
                  input(); print(psutil.cpu_percent(), flush=True)";
    let probe = look::probe("cpu", &json!({"level": 100}))?;
    within_a_point(&*probe, script, "").await.map(drop)
}

/// The first look has nothing to count from, and measures a second by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_look_at_the_processor_measures_as_psutil_does() -> Result<()> {
    let script = "import psutil\n\
                  print('ready', flush=True); input(); print(psutil.cpu_percent(interval=1), flush=True)";
    let mut nearest = f64::MAX;
    // In one second on two cores each hundredth is half a point, and neither begins when the other does.
    for _ in 0..8 {
        let mut python = Command::new(fletchck_tests::original::python())
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(python.stdout.take().context("an output")?).lines();
        ensure!(lines.next().context("a line")?? == "ready");
        python.stdin.take().context("an input")?.write_all(b"\n")?;
        let ours = look::ours("cpu", &json!({"level": 100})).await?;
        let theirs: f64 = lines.next().context("a line")??.parse()?;
        ensure!(python.wait()?.success(), "Python failed");
        println!("{:?}, psutil {theirs}%", ours.level);
        nearest = nearest.min((percent(ours.level.as_deref())? - theirs).abs());
        if nearest <= 1.0 {
            return Ok(());
        }
    }
    bail!("never nearer than {nearest} points")
}

/// The kernel counts anew every five seconds; what psutil counts before and after our look, we count in between.
#[tokio::test]
async fn load_is_what_psutil_counts() -> Result<()> {
    let script = "import psutil,json; print(json.dumps([psutil.getloadavg(), psutil.cpu_count()]))";
    for (nth, minutes) in [1, 5, 15].into_iter().enumerate() {
        for per_core in [true, false] {
            let options = json!({"minutes": minutes, "perCore": per_core, "level": 100_000});
            let (ours, theirs) = between(script, "load", &options).await?;
            let cores = if per_core { theirs[1].as_f64().context("cores")? } else { 1.0 };
            let expected = theirs[0][nth].as_f64().context("an average")? / cores;
            let level: f64 = ours.level.as_deref().context("a level")?.parse()?;
            // Both say hundredths.
            ensure!((level - expected).abs() <= 0.011, "{minutes}: {ours:?}, psutil {theirs}");
        }
    }
    Ok(())
}

/// What we look at between two looks of psutil that say the same.
async fn between(script: &str, kind: &str, options: &Value) -> Result<(Outcome, Value)> {
    for _ in 0..20 {
        let before = psutil(script, "")?;
        let ours = look::ours(kind, options).await?;
        if psutil(script, "")? == before {
            return Ok((ours, before));
        }
    }
    bail!("psutil says something else each time")
}

#[tokio::test]
async fn disk_memory_and_swap_are_what_psutil_counts() -> Result<()> {
    // Its percentage of a disk is of what users may have; ours, as the original's, is of all.
    let disk = |volume: &str| {
        format!("(lambda disk: 100 * disk.used / disk.total)(psutil.disk_usage('{volume}'))")
    };
    for (kind, options, script) in [
        ("disk", json!({"volume": "/"}), disk("/").as_str()),
        ("disk", json!({"volume": "/dev/shm"}), disk("/dev/shm").as_str()),
        ("memory", json!({}), "psutil.virtual_memory().percent"),
        ("swap", json!({"level": 100}), "psutil.swap_memory().percent"),
    ] {
        let script = format!("import psutil,json; print(json.dumps(round({script})))");
        let (ours, theirs) = between(&script, kind, &options).await?;
        let apart = (percent(ours.level.as_deref())? - theirs.as_f64().context("a number")?).abs();
        ensure!(apart <= 1.0, "{ours:?}, psutil {theirs}");
    }
    Ok(())
}

/// What a script for Python prints, as JSON.
fn psutil(script: &str, argument: &str) -> Result<Value> {
    let output = std::process::Command::new(fletchck_tests::original::python())
        .args(["-c", script, argument])
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what Python says")
}

#[tokio::test]
async fn processes_and_their_memory_are_what_psutil_counts() -> Result<()> {
    let mark = format!("held-by-{}", std::process::id());
    let hold =
        "import sys; held = bytearray(60 << 20); print('ready', flush=True); sys.stdin.read()";
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut python = std::process::Command::new(fletchck_tests::original::python())
            .args(["-c", hold, &mark])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()?;
        let output = python.stdout.take().context("an output")?;
        let line = std::io::BufRead::lines(std::io::BufReader::new(output)).next();
        ensure!(line.context("a line")?? == "ready");
        held.push(python);
    }
    // Those that end meanwhile have neither.
    let sums = "import psutil,json,sys,os\n\
                rss = [p.info['memory_info'].rss for p in psutil.process_iter(['cmdline', 'memory_info'])\n\
                       if p.pid != os.getpid() and sys.argv[1] in (p.info['cmdline'] or [])]\n\
                print(json.dumps([len(rss), sum(rss)]))";
    let theirs = psutil(sums, &mark)?;
    let options =
        json!({"pattern": format!(" {mark}$"), "measure": "memory", "minCount": 3, "maxCount": 3});
    let ours = look::ours("process", &options).await?;
    ensure!(ours.text.starts_with("the memory of 3 processes with a command line"), "{ours:?}");
    let level = ours.level.as_deref().and_then(|level| level.strip_suffix(" MiB"));
    let (ours_mib, theirs_bytes) = (level.context("a level")?.parse::<f64>()?, theirs[1].as_f64());
    let theirs_mib = theirs_bytes.context("bytes")? / f64::from(1 << 20);
    ensure!(theirs[0] == 3 && theirs_mib > 180.0, "{theirs}");
    ensure!((ours_mib / theirs_mib - 1.0).abs() <= 0.01, "{ours:?}, psutil {theirs_mib} MiB");
    for mut python in held {
        // Its input ends, and so does it.
        drop(python.stdin.take());
        python.wait()?;
    }
    Ok(())
}

#[tokio::test]
async fn processes_of_a_user_are_those_that_psutil_lists() -> Result<()> {
    let count = "import psutil,json,sys\n\
                 alive = [p for p in psutil.process_iter(['uids', 'status'])\n\
                          if p.info['uids'].effective == int(sys.argv[1]) and p.info['status'] != 'zombie']\n\
                 print(len(alive))";
    let user = rustix::process::geteuid().as_raw().to_string();
    let mut apart = i64::MAX;
    // Others begin and end between the two lists; they do not every time.
    for _ in 0..20 {
        let theirs = psutil(count, &user)?.as_i64().context("a number")?;
        let ours = look::ours("process", &json!({ "user": user })).await?;
        let level = ours.level.as_deref().and_then(|level| level.strip_suffix(" processes"));
        // Python is there for itself alone.
        apart = (level.context("a level")?.parse::<i64>()? - (theirs - 1)).abs();
        if apart <= 1 {
            return Ok(());
        }
    }
    anyhow::bail!("{apart} processes apart")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_processor_time_of_a_process_is_what_psutil_measures() -> Result<()> {
    let script = "import psutil,sys\n\
                  busy = psutil.Process(int(sys.argv[1]))\n\
                  print('ready', flush=True); input(); busy.cpu_percent()\n\
                  input(); print(busy.cpu_percent(), flush=True)";
    let dir = tempfile::TempDir::new()?;
    let file = dir.path().join("pid");
    let mut busy = Command::new("/bin/sh").args(["-c", "while :; do :; done"]).spawn()?;
    std::fs::write(&file, busy.id().to_string())?;
    let probe = look::probe("process", &json!({"pidFile": file, "measure": "cpu"}))?;
    let measured = within_a_point(&*probe, script, &busy.id().to_string()).await;
    busy.kill()?;
    busy.wait()?;
    let theirs = measured?;
    ensure!(theirs > 5.0, "a loop took {theirs}%");
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
