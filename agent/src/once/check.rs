//! One run of one check, for a person to read.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use chrono::Utc;
use fletchck_shared::{
    CheckName, Outcome, Severity, State, Verdict,
    config::{self as shared, Check},
    sequence::{self, Member},
    state::{Rule, Seen, step},
};

use crate::{
    checks::{self, Before, Plan},
    config::{self, Loaded, host_zone},
    service::store_path,
    store::{Past, Store},
    turn::{Places, Turn},
};

/// Runs a check once, outside of any schedule, and prints what it saw, how long each phase took and the verdict; with
/// `explain` also what was said and answered, without secrets. Nothing is stored, published or told. The code is a failure if the check fails.
///
/// # Errors
/// There is no such check, or it cannot run.
pub async fn check(path: &Path, name: &CheckName, explain: bool) -> anyhow::Result<ExitCode> {
    let loaded = config::load(path)?;
    let past = Store::read_past(&store_path(&loaded.path))?;
    let outcome = Box::pin(run(&loaded, &past, name)).await?;
    print(name, &outcome);
    if explain {
        for line in &outcome.conversation {
            println!("  {line}");
        }
        if outcome.conversation.is_empty() {
            println!("  this check holds no conversation");
        }
    }
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
            let mut states: Vec<(CheckName, String, State)> = Vec::new();
            let mut members: Vec<_> =
                members.iter().filter_map(|name| loaded.site.checks.get_key_value(name)).collect();
            members.sort_by_key(|(_, check)| check.priority);
            for (name, check) in members {
                let seen = if check.paused {
                    step(&Rule::default(), &State::default(), Seen::Paused(Utc::now())).0
                } else {
                    let outcome = Box::pin(run(loaded, past, name)).await?;
                    step(&Rule::default(), &State::default(), Seen::Ran(&outcome)).0
                };
                states.push((name.clone(), check.kind.clone(), seen));
            }
            let seen = states.iter().map(|(name, kind, state)| Member { name, kind, state });
            Ok(sequence::judge(seen))
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

fn zone(loaded: &Loaded, check: &Check) -> chrono_tz::Tz {
    check.timezone.or(loaded.site.timezone).unwrap_or_else(host_zone)
}

fn unknown(loaded: &Loaded, past: &Past, name: &CheckName) -> anyhow::Error {
    if loaded.site.left_out.contains(name) {
        let path = format!("checks.{name}");
        let faults = loaded.faults.iter().filter(|fault| fault.severity == shared::Severity::Error);
        let own: Vec<_> =
            faults.filter(|fault| fault.path.starts_with(&path)).map(ToString::to_string).collect();
        return anyhow::anyhow!("`{name}` does not run for a fault in it: {}", own.join("; "));
    }
    if past.remotes.contains_key(name) {
        return anyhow::anyhow!("`{name}` runs elsewhere; `list` shows how it stands");
    }
    anyhow::anyhow!("there is no check `{name}`; `list` shows all of them")
}

fn print(name: &CheckName, outcome: &Outcome) {
    let verdict = match outcome.severity() {
        Severity::Ok => "PASS",
        Severity::Warning => "WARN",
        Severity::Critical => "FAIL",
    };
    println!("{verdict}  {name}: {}", outcome.text);
    if let Some(level) = &outcome.level {
        println!("  level  {}", level.trim());
    }
    if let Some(soft_fail) = &outcome.soft_fail {
        println!("  trying again cannot help: {soft_fail}");
    }
    for phase in &outcome.phases {
        println!("  {:<12} {:>9.1} ms", phase.name, phase.took.as_secs_f64() * 1e3);
    }
    for line in &outcome.log {
        println!("  | {line}");
    }
}
