//! One step of a check's state machine.

use chrono::{DateTime, Utc};

use super::{Condition, Cover, Failure, Report, State, Transition, TransitionKind};
use crate::{Outcome, Verdict};

/// When the runs of a check make a failure, and when they end one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Failing runs that make a failure; 1 or more.
    pub threshold: u32,
    /// Among how many of the last runs the failing ones are counted, [`Rule::WINDOW_MAX`] at most; `None`: they come in a
    /// row.
    pub window: Option<u32>,
    /// Passing runs in a row that end a failure; 1 or more.
    pub recover: u32,
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

impl Rule {
    /// Most runs that are looked back at.
    pub const WINDOW_MAX: u32 = 64;

    /// Whether what was seen lately makes a failure. The last run was one.
    fn reached(&self, state: &State, threshold: u32) -> bool {
        match self.window {
            Some(window) => {
                let seen = u64::MAX >> (64 - window.clamp(1, Self::WINDOW_MAX));
                (state.recent & seen).count_ones() >= threshold
            }
            None => state.fail_count >= threshold,
        }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self { threshold: 1, window: None, recover: 1, paused: false }
    }
}

/// Moves one check on by what was seen of it. The times are in `seen`; the caller stores what comes back. Whom it is
/// told to is for [`crate::policy`] to say.
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
    state.held = None;
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
            state.recent <<= 1;
            state.fail_count = 0;
            state.last_good = Some(outcome.at);
            state.pass_count = if state.condition.failing() { state.pass_count + 1 } else { 0 };
            if state.condition.failing() && state.pass_count < rule.recover {
                return None;
            }
            pass(state, outcome.at)
        }
        Verdict::Fail => {
            state.recent = state.recent << 1 | 1;
            state.fail_count = state.fail_count.saturating_add(1);
            state.pass_count = 0;
            // What fails already goes on failing; only how may change.
            if !state.condition.failing() && !rule.reached(state, threshold) {
                return None;
            }
            let whole = if outcome.warning { Failure::Warning } else { Failure::Whole };
            let failure = outcome.members.clone().map_or(whole, Failure::Members);
            fail(state, failure, outcome.at)
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
    state.recent = 0;
    state.pass_count = 0;
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
    state.held.clone_from(&report.held);
    state.grade = report.grade;
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
        None => {
            state.last_good = state.last_check;
            pass(state, report.last_pass.or(report.last_check).unwrap_or(heard))
        }
        Some(failure) if report.reached() => {
            let at = report.last_fail.or(report.last_check).unwrap_or(heard);
            fail(state, failure.clone(), at)
        }
        Some(_) => None,
    }
}

fn pass(state: &mut State, at: DateTime<Utc>) -> Option<Transition> {
    if state.condition == Condition::Pass {
        return None;
    }
    let from = std::mem::replace(&mut state.condition, Condition::Pass);
    state.last_pass = Some(at);
    state.pass_count = 0;
    from.failing().then_some(Transition {
        kind: TransitionKind::Recovered,
        at,
        from,
        to: Condition::Pass,
    })
}

fn fail(state: &mut State, failure: Failure, at: DateTime<Utc>) -> Option<Transition> {
    let to = Condition::Fail(failure);
    if state.condition == to {
        return None;
    }
    let from = std::mem::replace(&mut state.condition, to.clone());
    state.last_fail = Some(at);
    if !from.failing() {
        state.failing_since = Some(at);
    }
    let kind = if from.failing() { TransitionKind::Changed } else { TransitionKind::Failed };
    Some(Transition { kind, at, from, to })
}
