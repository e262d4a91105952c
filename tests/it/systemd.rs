//! The check `systemd` against a real manager with real units, and on a machine without one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::store::Store;
use fletchck_shared::{CheckName, State};
use fletchck_tests::fletchck::{Fletchck, Program};
use fletchck_tests::systemd::{Manager, namespaces};
use fletchck_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

/// A check of a unit of the user's manager.
fn check(options: Value) -> Value {
    let mut options = options;
    options["user"] = true.into();
    json!({"type": "systemd", "trigger": {"interval": {"seconds": 1}}, "options": options})
}

/// What one run of a check prints, and whether it passed.
async fn run(site: &Fletchck, check: &str) -> Result<(bool, String)> {
    let output = site.run(&["check", check, "--explain"]).await?;
    let told = String::from_utf8(output.stdout)?;
    println!("{told}");
    Ok((output.status.success(), told))
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_a_real_manager_are_judged() -> Result<()> {
    let service = |lines: &str| format!("[Service]\n{lines}\n");
    let units = [
        // systemd forgets what became of a unit that is not active and that no active one wants.
        (
            "good.service",
            format!("[Unit]\nWants=never.service\n{}", service("ExecStart=/bin/sleep 1000")),
        ),
        ("bad.service", service("ExecStart=/bin/sh -c 'exit 3'")),
        ("shot.service", service("ExecStart=/bin/sh -c 'kill -KILL $$$$'")),
        ("done.service", service("Type=oneshot\nExecStart=/bin/true")),
        ("slow.service", service("Type=notify\nExecStart=/bin/sleep 1000")),
        ("loop.service", service("ExecStart=/bin/false\nRestart=always\nRestartSec=1000")),
        ("empty.service", service("ExecReload=/bin/true")),
        (
            "never.service",
            "[Unit]\nConditionPathExists=/no/such\n[Service]\nExecStart=/bin/true\n".into(),
        ),
        ("hidden.service", String::new()),
        ("done.timer", "[Timer]\nOnCalendar=yearly\n".into()),
    ];
    let units: Vec<_> = units.iter().map(|(name, text)| (*name, &**text)).collect();
    let Some(manager) = Manager::start(&units).await? else { return Ok(()) };
    // The timer first: it keeps its service from being forgotten.
    for unit in ["good.service", "done.timer", "done.service"] {
        ensure!(manager.control(&["start", unit])?, "{unit} was not started");
    }
    // These do not start, or not to their end.
    for unit in ["bad.service", "shot.service", "loop.service", "never.service", "slow.service"] {
        manager.control(&["start", "--no-block", unit])?;
    }
    let settled = async || {
        let state =
            |unit, state| manager.control(&["is-failed", "-q", unit]).is_ok_and(|is| is == state);
        let ended = state("bad.service", true) && state("shot.service", true);
        let show = |unit| {
            Command::new("systemctl")
                .args(["--user", "show", "-P", "SubState", unit])
                .env("XDG_RUNTIME_DIR", &manager.runtime)
                .output()
        };
        let sub = |unit, word: &str| {
            show(unit).is_ok_and(|output| output.stdout.starts_with(word.as_bytes()))
        };
        (ended && sub("loop.service", "auto-restart") && sub("slow.service", "start")).then_some(())
    };
    wait::until(PATIENCE, "the units to be as they should", settled).await?;

    let cases = [
        ("good", json!({}), true, "good.service is active (running) for "),
        ("good.service", json!({"restarts": 0}), true, "good.service is active (running) for "),
        (
            "bad",
            json!({}),
            false,
            ", expected active: it ended with 3; see `journalctl --user -u bad.service`",
        ),
        ("shot", json!({}), false, ", expected active: it was ended by SIGKILL (signal 9); see "),
        ("done", json!({}), false, "done.service is inactive (dead) for "),
        (
            "done",
            json!({"expect": ["active", "inactive"]}),
            true,
            "done.service is inactive (dead) for ",
        ),
        ("done.timer", json!({}), true, "done.timer is active (waiting) for "),
        ("slow", json!({}), false, "slow.service is activating (start) for "),
        (
            "slow",
            json!({"expect": ["activating"]}),
            true,
            "slow.service is activating (start) for ",
        ),
        (
            "loop",
            json!({}),
            false,
            "loop.service waits to be started anew, expected active: it ended with 1; see ",
        ),
        ("never", json!({}), false, ": a condition in its file kept it from being started"),
        (
            "empty",
            json!({}),
            false,
            "the file of empty.service cannot be used: Unit empty.service has a bad unit file setting.",
        ),
        (
            "hidden",
            json!({}),
            false,
            "hidden.service is masked, so that nothing can start it, expected active: `systemctl --user unmask hidden.service`",
        ),
        ("nowhere", json!({}), false, "there is no unit nowhere.service: is its name right,"),
    ];
    let all = [
        (
            "every",
            json!({"ignore": ["*.mount"]}),
            false,
            "2 units have failed: bad.service ended with 3, shot.service was ended by SIGKILL (signal 9); see ",
        ),
        (
            "pattern",
            json!({"unit": "b*"}),
            false,
            "a unit that matches `b*` has failed: bad.service ended with 3; see ",
        ),
        (
            "others",
            json!({"unit": "*", "ignore": ["bad.service", "sh?t*"]}),
            true,
            "no unit has failed (2 ignored)",
        ),
        ("none", json!({"unit": "d*"}), true, "no unit that matches `d*` has failed"),
    ];
    let mut checks = json!({});
    for (nth, (unit, options, ..)) in cases.iter().enumerate() {
        let mut options = options.clone();
        options["unit"] = (*unit).into();
        checks[nth.to_string()] = check(options);
    }
    for (name, options, ..) in &all {
        checks[*name] = check(options.clone());
    }
    let site = Fletchck::prepare(Program::Agent, &json!({ "checks": checks }))?
        .with_variable("XDG_RUNTIME_DIR", &manager.runtime);
    let names: Vec<_> = (0..cases.len()).map(|nth| nth.to_string()).collect();
    let cases =
        names.iter().zip(&cases).map(|(name, (_, _, passes, words))| (&**name, passes, words));
    for (name, passes, words) in
        cases.chain(all.iter().map(|(name, _, passes, words)| (*name, passes, words)))
    {
        let (passed, told) = run(&site, name).await?;
        ensure!(passed == *passes && told.contains(words), "{name}, {words}: {told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_crashes_and_comes_back_is_noticed() -> Result<()> {
    let text = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n";
    let Some(manager) = Manager::start(&[("web.service", text)]).await? else { return Ok(()) };
    ensure!(manager.control(&["start", "web.service"])?, "it is not started");
    let checks = json!({"web": check(json!({"unit": "web", "restarts": 0}))});
    let mut site = Fletchck::prepare(Program::Agent, &json!({ "checks": checks }))?
        .with_variable("XDG_RUNTIME_DIR", &manager.runtime);
    site.restart().await?;
    until(&site, "pass", "web.service is active (running) for ").await?;
    // What the last run saw is known after a restart of the program too.
    site.stop().await?;
    ensure!(manager.control(&["kill", "--signal=KILL", "web.service"])?, "it is not killed");
    let back = async || manager.control(&["is-active", "-q", "web.service"]).ok().filter(|is| *is);
    wait::until(PATIENCE, "the service to be back", back).await?;
    site.restart().await?;
    until(&site, "fail", "but was started anew once since the last run, expected never").await?;
    until(&site, "pass", "web.service is active (running) for ").await?;
    Ok(())
}

/// Waits until the check `web` is in this state, with these words.
async fn until(site: &Fletchck, word: &str, text: &str) -> Result<State> {
    let name = CheckName::try_from("web")?;
    let stands = async || {
        let past = Store::read_past(&site.dir().join("fletchck.db")).ok()?;
        let state = past.checks.get(&name)?.state.clone();
        (state.word() == word && state.text.contains(text)).then_some(state)
    };
    wait::until(PATIENCE, &format!("`web` to be {word}: {text}"), stands).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_systemd_says_so() -> Result<()> {
    let own = json!({"type": "systemd", "options": {"unit": "cron"}});
    let site = Fletchck::prepare(
        Program::Agent,
        &json!({"checks": {"own": check(json!({"unit": "cron"})), "system": own}}),
    )?
    .with_variable("XDG_RUNTIME_DIR", Path::new("/no/such"));
    let (passed, told) = run(&site, "own").await?;
    ensure!(!passed && told.contains("has no manager of services that runs"), "{told}");
    // Where systemd has started the machine it is hidden, if that may be done.
    let hides = namespaces("mount -t tmpfs none /run")?;
    if !hides && Path::new("/run/systemd/system").exists() {
        eprintln!("SKIPPED: this machine has systemd, and it takes root to hide it");
        return Ok(());
    }
    let program = Program::Agent.path()?;
    let command =
        format!("{} --config {} check system", program.display(), site.config_path().display());
    let script = if hides { format!("mount -t tmpfs none /run; {command}") } else { command };
    let arguments: &[&str] =
        if hides { &["unshare", "--mount", "sh", "-c"] } else { &["sh", "-c"] };
    let output =
        Command::new(arguments[0]).args(&arguments[1..]).arg(script).output().context("unshare")?;
    let told = String::from_utf8(output.stdout)?;
    ensure!(
        told.contains("this machine was not started with systemd, so there are no units"),
        "{told}"
    );
    Ok(())
}

/// What no `systemctl` of a sound machine does, by one that is put before it in PATH.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_hangs_or_floods_is_ended_and_told() -> Result<()> {
    let cases = [
        ("sleep 60", "systemd did not answer within 1 s: is the machine overloaded,"),
        ("trap '' TERM; while :; do echo Id=a.service; done", "systemd did not answer within 1 s"),
        (
            "head -c 100000000 /dev/zero",
            "`systemctl` tells no state of a.service, though it ended well",
        ),
        ("echo garbage; echo =; echo Id=", "`systemctl` tells no state of a.service"),
        (
            "printf 'Id=a.service\\nActiveState=act'; kill -KILL $$",
            "`systemctl` was ended by SIGKILL (signal 9)",
        ),
        (
            "echo 'Failed to get properties: Access denied' >&2; exit 1",
            "this user may not ask systemd: it says `Failed to get properties: Access denied`",
        ),
        ("echo $LC_ALL $TZ $SECRET. >&2; exit 4", "`systemctl` ended with 4: C UTC ."),
    ];
    for (script, words) in cases {
        let check = json!({"type": "systemd", "options": {"unit": "a", "timeout": 1}});
        let site = Fletchck::prepare(Program::Agent, &json!({"checks": {"a": check}}))?;
        let program = site.dir().join("systemctl");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let path = format!("{}:/usr/bin:/bin", site.dir().display());
        let site = site
            .with_variable("PATH", Path::new(&path))
            .with_variable("SECRET", Path::new("hunter22"));
        let output = site.run(&["check", "a"]).await?;
        let told = String::from_utf8(output.stdout)?;
        ensure!(!output.status.success() && told.contains(words), "{script}: {told}");
        let took =
            told.lines().find_map(|line| line.trim().strip_prefix("ask")).context("a phase")?;
        let took: f64 = took.trim().trim_end_matches(" ms").parse()?;
        ensure!(took < 1100.0, "{script} took {took} ms");
    }
    let check = json!({"type": "systemd", "options": {"unit": "a"}});
    let site = Fletchck::prepare(Program::Agent, &json!({"checks": {"a": check}}))?
        .with_variable("PATH", Path::new("/no/such"));
    let told = String::from_utf8(site.run(&["check", "a"]).await?.stdout)?;
    ensure!(
        told.contains("there is no `systemctl` in PATH: is this machine run by systemd at all?"),
        "{told}"
    );
    Ok(())
}
