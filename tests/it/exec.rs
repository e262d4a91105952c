//! The check `exec` with the plugins that Debian packages for Nagios.

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{Outcome, Severity, Verdict};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::look;
use serde_json::{Value, json};

use crate::answers::{
    bad,
    memory::{ONE, taken},
};

const PLUGINS: &str = "/usr/lib/nagios/plugins";

async fn plugin(name: &str, arguments: &[&str]) -> Result<Outcome> {
    let path = format!("{PLUGINS}/{name}");
    ensure!(std::path::Path::new(&path).exists(), "{path} is missing; tests/run installs it");
    let command: Vec<_> = [path.as_str()].iter().chain(arguments).copied().collect();
    let outcome = look::ours("exec", &json!({ "command": command })).await?;
    println!("{}", outcome.text);
    Ok(outcome)
}

#[tokio::test]
async fn every_state_of_a_plugin_is_a_verdict() -> Result<()> {
    for (code, word, verdict, severity) in [
        ("0", "OK: text", Verdict::Pass, Severity::Ok),
        ("1", "WARNING: text", Verdict::Fail, Severity::Warning),
        ("2", "CRITICAL: text", Verdict::Fail, Severity::Critical),
        ("3", "UNKNOWN: text", Verdict::Fail, Severity::Critical),
    ] {
        let outcome = plugin("check_dummy", &[code, "text"]).await?;
        ensure!((outcome.verdict, outcome.severity()) == (verdict, severity), "{outcome:?}");
        ensure!(outcome.text.starts_with(word), "{outcome:?}");
        ensure!((code == "3") == outcome.text.contains("could not tell"), "{outcome:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_numbers_of_plugins_are_read() -> Result<()> {
    let load = plugin("check_load", &["-w", "500,500,500", "-c", "600,600,600"]).await?;
    ensure!(load.verdict == Verdict::Pass, "{load:?}");
    let level = load.level.as_deref().context("a level")?;
    ensure!(level.parse::<f64>().is_ok(), "{level}");
    ensure!(load.log.iter().filter(|line| line.starts_with("load")).count() == 3, "{load:?}");
    ensure!(load.log[1].contains(", warning over 500.000, critical over 600.000"), "{load:?}");

    let disk = plugin("check_disk", &["-w", "1%", "-c", "0%", "-p", "/"]).await?;
    ensure!(disk.level.as_ref().is_some_and(|level| level.ends_with('B')), "{disk:?}");
    ensure!(disk.log.iter().any(|line| line.starts_with("/: ")), "{disk:?}");
    let missing = plugin("check_disk", &["-w", "1%", "-c", "0%", "-p", "/no/such"]).await?;
    ensure!(missing.verdict == Verdict::Fail && missing.level.is_none(), "{missing:?}");

    let processes = plugin("check_procs", &["-w", "1:100000", "-c", "0:200000"]).await?;
    ensure!(processes.verdict == Verdict::Pass, "{processes:?}");
    let words = "warning outside 1 to 100000, critical over 200000, 0 or more";
    ensure!(processes.log.iter().any(|line| line.ends_with(words)), "{processes:?}");
    Ok(())
}

#[tokio::test]
async fn the_conversation_tells_no_arguments_and_no_variables() -> Result<()> {
    let check = |command: Value| {
        json!({"type": "exec", "options": {
            "command": command, "env": {"SECRET": "sesame-1"}, "timeout": 5,
        }})
    };
    let script = "test -n \"$SECRET\" && test -z \"$FLETCHCK__MQTT__PASSWORD\" && echo fine";
    let site = Fletchck::prepare(
        Program::Agent,
        &json!({"checks": {"own": check(json!(["/bin/sh", "-c", script, "sesame-2"]))}}),
    )?;
    let output = site.run(&["check", "own", "--explain"]).await?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success() && told.contains("fine"), "{told}");
    ensure!(told.contains("* SECRET is set") && !told.contains("sesame"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_answers_badly_fails_in_time_and_little_memory() -> Result<()> {
    let run = |script: &str, timeout: f64| json!({"command": ["/bin/sh", "-c", script], "timeout": timeout});
    let late = "did not end within 1 s";
    for (what, script, words) in [
        ("silent", "exec sleep 60", late),
        ("a byte a second", "while :; do printf x; sleep 1; done", late),
        ("endless", "exec yes and more", late),
        ("deaf", "trap '' TERM; while :; do sleep 60; done", late),
        ("left behind", "sleep 60 & exit 2", "ended with 2 and said nothing"),
        ("garbage", "head -c 16384 /bin/sh; exit 2", "\u{fffd}"),
        (
            "cut half way",
            "printf 'OK: ha'; kill -KILL $$",
            "was ended by SIGKILL (signal 9); it said `OK: ha`",
        ),
        ("not found", "exec /no/such/plugin", "ended with 127"),
    ] {
        let outcome = bad::look("exec", &run(script, bad::LIMIT)).await?;
        println!("{what:16} {}", outcome.text);
        ensure!(outcome.verdict == Verdict::Fail, "{what}: {outcome:?}");
        ensure!(outcome.text.contains(words), "{what}: {outcome:?}");
    }
    let much = run("head -c 100000000 /dev/zero | tr '\\0' x; exit 2", 20.0);
    let lines = run("yes 'and more | more=1;2;3' | head -c 100000000; exit 2", 20.0);
    for options in [much, lines] {
        let most = taken("exec", &run("echo little; exit 2", 20.0), &options).await?;
        ensure!(most < ONE, "{most} bytes: {options}");
    }
    Ok(())
}
