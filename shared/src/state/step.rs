//! One step of a check's state machine.

use chrono::{DateTime, Utc};

use super::{Condition, Cover, Failure, Report, State, Transition, TransitionKind};
use crate::{Outcome, Verdict};

/// What the owner of a check has decided about its alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Failing runs in a row that make a failure; 1 or more.
    pub threshold: u32,
    /// Whether a failure is told.
    pub fail_action: bool,
    /// Whether a recovery is told.
    pub pass_action: bool,
    /// Whether the check is paused. Only a remote check is still heard while it is; others do not run.
    pub paused: bool,
}

/// What happened to a check.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// It ran.
    Ran(&'a Outcome),
    /// Its time came while it was paused.
    Paused(DateTime<Utc>),
    /// Its time came while this check, on which it depends, was failing.
    Blocked(&'a str, DateTime<Utc>),
    /// Its agent reported it; heard at this time of the hub.
    Reported(&'a Report, DateTime<Utc>),
    /// Its updates stopped for longer than its own timeout allows. The timeout is the tolerance: one such outcome is a
    /// failure, whatever threshold the agent counts by.
    Expired(&'a Outcome),
    /// Nothing is heard of it any more, for a reason that has an alert of its own.
    Silent(&'a str),
}

impl Default for Rule {
    fn default() -> Self {
        Self { threshold: 1, fail_action: true, pass_action: true, paused: false }
    }
}

/// Moves one check on by what was seen of it. The times are in `seen`; the caller stores and tells what comes back.
///
/// A first pass is silent and a first failure is told; a recovery is told only where the failure was.
pub fn step(rule: &Rule, was: &State, seen: Seen<'_>) -> (State, Option<Transition>) {
    let mut state = was.clone();
    let transition = match seen {
        Seen::Ran(outcome) => {
            state.threshold = rule.threshold;
            // Messages are ordered by the agent's clock, so an expiry, which goes by the hub's, leaves this alone.
            state.last_check = Some(outcome.at);
            ran(rule, &mut state, outcome, rule.threshold)
        }
        Seen::Expired(outcome) => ran(rule, &mut state, outcome, 1),
        Seen::Paused(at) => {
            paused(&mut state, at);
            None
        }
        Seen::Blocked(by, at) => {
            blocked(&mut state, by, at);
            None
        }
        Seen::Reported(report, heard) => reported(rule, &mut state, report, heard),
        Seen::Silent(why) => {
            if state.cover.is_none() || matches!(state.cover, Some(Cover::Stale(_))) {
                state.cover = Some(Cover::Stale(why.into()));
            }
            None
        }
    };
    (state, transition)
}

fn ran(rule: &Rule, state: &mut State, outcome: &Outcome, threshold: u32) -> Option<Transition> {
    state.cover = None;
    state.text.clone_from(&outcome.text);
    state.log.clone_from(&outcome.log);
    state.level.clone_from(&outcome.level);
    state.soft_fail.clone_from(&outcome.soft_fail);
    state.phases.clone_from(&outcome.phases);
    state.warning = outcome.warning;
    if outcome.keep.is_some() {
        state.kept.clone_from(&outcome.keep);
    }
    match outcome.verdict {
        Verdict::Pass => {
            state.fail_count = 0;
            pass(rule, state, outcome.at)
        }
        Verdict::Fail => {
            state.fail_count = state.fail_count.saturating_add(1);
            if state.fail_count < threshold {
                return None;
            }
            let whole = if outcome.warning { Failure::Warning } else { Failure::Whole };
            let failure = outcome.members.clone().map_or(whole, Failure::Members);
            fail(rule, state, failure, outcome.at)
        }
    }
}

fn paused(state: &mut State, at: DateTime<Utc>) {
    state.cover = Some(Cover::Paused);
    state.last_check = Some(at);
    state.text = "paused by its owner".into();
    state.log = vec!["PAUSED".into()];
    state.soft_fail = None;
    state.phases.clear();
    // Failures counted before a pause say nothing about the time after it.
    if !state.condition.failing() {
        state.fail_count = 0;
    }
}

fn blocked(state: &mut State, by: &str, at: DateTime<Utc>) {
    state.cover = Some(Cover::Blocked(by.into()));
    state.last_check = Some(at);
    state.text = format!("not run: it depends on `{by}`, which fails");
    state.log = vec![format!("SOFTFAIL (depends={by})")];
    state.soft_fail = Some(by.into());
    state.phases.clear();
}

fn reported(
    rule: &Rule,
    state: &mut State,
    report: &Report,
    heard: DateTime<Utc>,
) -> Option<Transition> {
    state.threshold = report.threshold.unwrap_or(1);
    state.fail_count = report.fail_count.unwrap_or(match report.failure {
        Some(_) => state.threshold,
        None => 0,
    });
    state.text.clone_from(&report.text);
    state.log.clone_from(&report.log);
    state.level.clone_from(&report.level);
    state.soft_fail.clone_from(&report.soft_fail);
    state.phases.clone_from(&report.phases);
    state.warning = report.warning;
    state.last_check = Some(report.last_check.unwrap_or(heard));
    state.last_update = Some(heard);
    if rule.paused || report.paused {
        state.cover = Some(Cover::Paused);
        return None;
    }
    if let Some(by) = &report.blocked {
        state.cover = Some(Cover::Blocked(by.clone()));
        return None;
    }
    state.cover = None;
    match &report.failure {
        None => pass(rule, state, report.last_pass.or(report.last_check).unwrap_or(heard)),
        Some(failure) if report.reached() => {
            let at = report.last_fail.or(report.last_check).unwrap_or(heard);
            fail(rule, state, failure.clone(), at)
        }
        Some(_) => None,
    }
}

fn pass(rule: &Rule, state: &mut State, at: DateTime<Utc>) -> Option<Transition> {
    if state.condition == Condition::Pass {
        return None;
    }
    let from = std::mem::replace(&mut state.condition, Condition::Pass);
    state.last_pass = Some(at);
    let tell = std::mem::take(&mut state.told) && rule.pass_action;
    from.failing().then_some(Transition {
        kind: TransitionKind::Recovered,
        at,
        from,
        to: Condition::Pass,
        tell,
    })
}

fn fail(rule: &Rule, state: &mut State, failure: Failure, at: DateTime<Utc>) -> Option<Transition> {
    let to = Condition::Fail(failure);
    if state.condition == to {
        return None;
    }
    let from = std::mem::replace(&mut state.condition, to.clone());
    state.last_fail = Some(at);
    state.told |= rule.fail_action;
    let kind = if from.failing() { TransitionKind::Changed } else { TransitionKind::Failed };
    Some(Transition { kind, at, from, to, tell: rule.fail_action })
}
