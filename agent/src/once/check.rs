//! One run of one check, for a person to read.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use chrono::Utc;
use fletchck_shared::{
    CheckName, Outcome, Severity, State, Verdict,
    config::{self as shared, Check, Kinds},
    sequence::{self, Member},
    state::{Rule, Seen, step},
};

use crate::{
    checks::{self, Before, Plan},
    config::{self, Loaded, host_zone},
    say,
    service::store_path,
    store::{Past, Store},
    turn::{Places, Turn},
};

/// Runs a check once, outside of any schedule, and prints what it saw, how long each phase took and the verdict; with
/// `explain` also what was said and answered, without secrets. Nothing is stored, published or told. The code is a failure if the check fails.
///
/// # Errors
/// There is no such check, or it cannot run.
pub async fn check(
    path: &Path,
    kinds: &impl Kinds,
    name: &CheckName,
    explain: bool,
) -> anyhow::Result<ExitCode> {
    let loaded = config::load_for(path, kinds)?;
    let past = Store::read_past(&store_path(&loaded.path))?;
    let outcome = Box::pin(run(&loaded, &past, name)).await?;
    let mut text = shown(name, &outcome);
    if explain {
        outcome.conversation.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        if outcome.conversation.is_empty() {
            text.push_str("  this check holds no conversation\n");
        }
    }
    say::out(&text)?;
    Ok(if outcome.verdict == Verdict::Pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(loaded: &Loaded, past: &Past, name: &CheckName) -> anyhow::Result<Outcome> {
    let Some(check) = loaded.site.checks.get(name) else {
        return Err(unknown(loaded, past, name));
    };
    let (plan, _) = checks::kind(&check.kind).context("its type is none")?.plan(&check.options);
    match plan.context("its options cannot be used")? {
        Plan::Probe(probe) => {
            let stored = past.checks.get(name).map(|row| &row.state).or(check.seed.as_ref());
            let turn = Turn {
                name: name.clone(),
                probe,
                retries: check.retries.get(),
                zone: zone(loaded, check),
                before: stored.map(Before::from).unwrap_or_default(),
                suspect: false,
            };
            Ok(turn.run(&Places::new(4), &Utc::now).await.outcome)
        }
        Plan::Sequence(members) => {
            let began = Instant::now();
            let mut conversation = Vec::new();
            let mut states: Vec<(CheckName, String, State)> = Vec::new();
            let mut members: Vec<_> =
                members.iter().filter_map(|name| loaded.site.checks.get_key_value(name)).collect();
            members.sort_by_key(|(_, check)| check.priority);
            for (name, check) in members {
                let seen = if check.paused {
                    step(&Rule::default(), &State::default(), Seen::Paused(Utc::now())).0
                } else {
                    let outcome = Box::pin(run(loaded, past, name)).await?;
                    let said = outcome.conversation.iter().map(|line| format!("{name}: {line}"));
                    conversation.extend(said);
                    step(&Rule::default(), &State::default(), Seen::Ran(&outcome)).0
                };
                states.push((name.clone(), check.kind.clone(), seen));
            }
            let seen = states.iter().map(|(name, kind, state)| Member { name, kind, state });
            Ok(Outcome { conversation, took: began.elapsed(), ..sequence::judge(seen) })
        }
        Plan::Remote { .. } | Plan::Push(_) => {
            let Some(row) = past.checks.get(name) else {
                bail!(
                    "`{name}` was never heard of; it is judged by what its agent, or the job itself, reports"
                );
            };
            let state = &row.state;
            let mut outcome = if state.failing() {
                Outcome::fail(state.text.clone())
            } else {
                Outcome::pass(state.text.clone())
            };
            outcome.log.clone_from(&state.log);
            outcome.level.clone_from(&state.level);
            // What another machine says of it may be anything.
            Ok(outcome.bounded())
        }
    }
}

fn zone(loaded: &Loaded, check: &Check) -> fletchck_shared::Tz {
    check.timezone.or(loaded.site.timezone).unwrap_or_else(host_zone)
}

fn unknown(loaded: &Loaded, past: &Past, name: &CheckName) -> anyhow::Error {
    if loaded.site.left_out.contains(name) {
        let path = shared::Path::root().key("checks").key(name.as_str());
        let faults = loaded.faults.iter().filter(|fault| fault.severity == shared::Severity::Error);
        let own: Vec<_> =
            faults.filter(|fault| path.holds(&fault.path)).map(ToString::to_string).collect();
        return anyhow::anyhow!("`{name}` does not run for a fault in it: {}", own.join("; "));
    }
    if past.remotes.contains_key(name) {
        return anyhow::anyhow!("`{name}` runs elsewhere; `list` shows how it stands");
    }
    anyhow::anyhow!("there is no check `{name}`; `list` shows all of them")
}

fn shown(name: &CheckName, outcome: &Outcome) -> String {
    let verdict = match outcome.severity() {
        Severity::Ok => "PASS",
        Severity::Warning => "WARN",
        Severity::Critical => "FAIL",
    };
    let mut lines = vec![format!("{verdict}  {name}: {}", outcome.text)];
    lines.extend(outcome.level.iter().map(|level| format!("  level  {}", level.trim())));
    let soft_fail = outcome.soft_fail.iter();
    lines.extend(soft_fail.map(|name| format!("  trying again cannot help: {name}")));
    let time =
        |name: &str, took: Duration| format!("  {name:<12} {:>9.1} ms", took.as_secs_f64() * 1e3);
    lines.extend(outcome.phases.iter().map(|phase| time(&phase.name, phase.took)));
    if !outcome.took.is_zero() {
        lines.push(time("total", outcome.took));
    }
    lines.extend(outcome.log.iter().map(|line| format!("  | {line}")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Built;

    #[tokio::test]
    async fn a_faulty_check_tells_its_own_faults_whatever_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fletchck.conf");
        let site = r#"{"checks": {"a": {"type": "dsik"}, "ab": {"type": "memroy"},
            "Web Site": {"type": "httsp"}}}"#;
        fs::write(&path, site).expect("written");
        let told = async |name: &str| {
            let name = CheckName::try_from(name).expect("a name");
            check(&path, &Built, &name, false).await.expect_err("faulty").to_string()
        };
        let a = told("a").await;
        assert!(a.contains("`dsik`") && !a.contains("`memroy`"), "{a}");
        let quoted = told("Web Site").await;
        assert!(quoted.contains("`httsp`"), "{quoted}");
    }
}
