//! What is to be told now.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Alert, Hidden, HiddenBy, News, Policy, Told};
use crate::{
    ActionName, Severity,
    state::{Condition, Failure},
};

/// How things stand with a check.
#[derive(Clone, Debug)]
pub struct Standing<'a> {
    /// What is known of its target.
    pub condition: &'a Condition,
    /// How grave its agent says that a failure of it is.
    pub grade: Option<Severity>,
    /// Whether its condition is covered: it is paused or blocked, or nothing is heard of it. Nothing is told then.
    pub covered: bool,
    /// Whether this is from a run, or a message, that has just come; `false`: only time has passed, or something else
    /// has changed.
    pub fresh: bool,
    /// What hides it now.
    pub hidden: Option<Hidden>,
    /// Actions of the check.
    pub actions: &'a [ActionName],
    /// The least severity that an action is told of; all of it, where it is not in here.
    pub least: &'a HashMap<ActionName, Severity>,
    /// Actions that cannot be told anything now, since they do not run. What they know stays as it is until they can.
    pub away: &'a HashSet<ActionName>,
}

/// What [`decide`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is to be told, and to whom, with how grave the failure is or was.
    pub tell: Vec<(ActionName, News, Severity)>,
    /// When to ask again, if nothing happens before.
    pub again: Option<DateTime<Utc>>,
}

impl Standing<'_> {
    /// Whether an action is to be told of what is as grave as this, once it can be.
    fn concerns(&self, action: &ActionName, severity: Severity) -> bool {
        self.least.get(action).is_none_or(|least| severity >= *least)
    }

    fn wants(&self, action: &ActionName, severity: Severity) -> bool {
        !self.away.contains(action) && self.concerns(action, severity)
    }
}

/// Holds what was told against how things stand at `now`, notes in `alert` what is told now, and says what that is.
pub fn decide(
    policy: &Policy,
    alert: &mut Alert,
    is: &Standing<'_>,
    now: DateTime<Utc>,
) -> Decision {
    if alert.ack.as_mut().is_some_and(|ack| ack.is_over(now)) {
        alert.ack = None;
    }
    let told = std::mem::take(&mut alert.told);
    let mut away;
    (away, alert.told) = told.into_iter().partition(|(action, _)| is.away.contains(action));
    let decision = tell_those_there(policy, alert, &mut away, is, now);
    alert.told.extend(away);
    decision
}

/// As [`decide`], with what those know who are away beside the rest of the alert.
fn tell_those_there(
    policy: &Policy,
    alert: &mut Alert,
    away: &mut BTreeMap<ActionName, Told>,
    is: &Standing<'_>,
    now: DateTime<Utc>,
) -> Decision {
    if is.covered {
        // Whatever hid it does not matter now, and what was told stays told.
        alert.hidden = None;
        return Decision::default();
    }
    match is.condition {
        Condition::Fail(failure) => fails(policy, alert, away, is, failure, now),
        Condition::Pass => passes(policy, alert, is),
        Condition::Unknown => Decision::default(),
    }
}

fn fails(
    policy: &Policy,
    alert: &mut Alert,
    away: &mut BTreeMap<ActionName, Told>,
    is: &Standing<'_>,
    failure: &Failure,
    now: DateTime<Utc>,
) -> Decision {
    let severity = policy.severity_of(failure, is.grade);
    // A clock that was put back makes nobody wait for what it showed before.
    alert.opened = alert.opened.map(|at| at.min(now));
    alert.told.values_mut().for_each(|told| told.at = told.at.min(now));
    if let Some(hidden) = &is.hidden {
        alert.hidden = Some(hidden.clone());
        return Decision { tell: Vec::new(), again: hidden.until };
    }
    // What it depends on may be well again for moments only: whether it still fails itself, its next run says, if that
    // comes soon enough.
    let waits = |hidden: &&Hidden| {
        // A clock that was put back makes nobody wait for longer than that.
        let waits = |until| until > now && until - now <= Hidden::OUTLASTS;
        let over = hidden.until.is_some_and(|until| !waits(until));
        hidden.by == HiddenBy::Dependency && !is.fresh && !over
    };
    if let Some(hidden) = alert.hidden.as_ref().filter(waits) {
        return Decision { tell: Vec::new(), again: hidden.until };
    }
    alert.hidden = None;
    if policy.flapping && alert.flapping.on() {
        return flaps(policy, alert, is, failure, now);
    }
    let mut decision = Decision::default();
    if alert.ack.as_ref().is_some_and(|ack| ack.outdated(failure, &alert.told)) {
        alert.ack = None;
        // Whoever knows of the present failure, from before the one that was taken on, is reminded of it a pause later.
        alert.told.values_mut().for_each(|told| told.at = now);
    }
    steady(alert, (failure, severity), now, &mut decision);
    if !policy.fail_action {
        return decision;
    }
    let acked = alert.ack.is_some();
    if acked {
        // Like those there, they are not told of what somebody has taken on, and it is no change once they are back.
        for told in away.values_mut() {
            told.failure = failure.clone();
            told.severity = told.severity.max(severity);
        }
    }
    // Whoever stands behind them waits no longer because nobody could be told.
    if is.actions.iter().any(|action| is.concerns(action, severity)) {
        alert.opened.get_or_insert(now);
    }
    for action in is.actions {
        // Who was told of worse is told of better.
        if !is.wants(action, severity) && !alert.told.contains_key(action) {
            continue;
        }
        tell_of(alert, action, News::Failed, (failure, severity), now, &mut decision);
    }
    escalate(policy, alert, is, (failure, severity), now, &mut decision);
    if !acked {
        remind(policy, alert, severity, now, &mut decision);
    }
    if let Some(until) = alert.ack.as_ref().and_then(|ack| ack.until) {
        sooner(&mut decision, until);
    }
    decision
}

fn passes(policy: &Policy, alert: &mut Alert, is: &Standing<'_>) -> Decision {
    let mut decision = Decision::default();
    let silenced = is.hidden.as_ref().filter(|hidden| hidden.by == HiddenBy::Silence);
    if let Some(hidden) = silenced.filter(|_| !alert.told.is_empty()) {
        // They still believe that it fails, so they are told once the silence is over.
        alert.hidden = Some(hidden.clone());
        decision.again = hidden.until;
        return decision;
    }
    alert.hidden = None;
    if policy.flapping && alert.flapping.on() {
        if !alert.told.is_empty() {
            alert.hidden = Some(flapping());
        }
        return decision;
    }
    for (action, told) in std::mem::take(&mut alert.told) {
        let news = if told.flapping { News::Steady } else { News::Recovered };
        if policy.pass_action {
            decision.tell.push((action, news, told.severity));
        }
    }
    alert.opened = None;
    alert.ack = None;
    decision
}

/// A check that goes back and forth is told once as that.
fn flaps(
    policy: &Policy,
    alert: &mut Alert,
    is: &Standing<'_>,
    failure: &Failure,
    now: DateTime<Utc>,
) -> Decision {
    let mut decision = Decision::default();
    let severity = policy.severity_of(failure, is.grade);
    alert.hidden = Some(flapping());
    if !policy.fail_action {
        return decision;
    }
    let wanted = is.actions.iter().filter(|action| is.wants(action, severity)).cloned();
    let all: Vec<_> = alert.told.keys().cloned().chain(wanted).collect();
    for action in all {
        let known = alert.told.get(&action);
        if known.is_some_and(|told| told.flapping) {
            continue;
        }
        decision.tell.push((action.clone(), News::Flapping, severity));
        let first = Told::now(failure, severity, now);
        let (reminders, groups) =
            known.map_or_else(Default::default, |told| (told.reminders, told.groups.clone()));
        alert.told.insert(action, Told { reminders, groups, flapping: true, ..first });
        alert.opened.get_or_insert(now);
    }
    decision
}

/// Those who know that it goes back and forth are told that it no longer does, and that it fails.
fn steady(
    alert: &mut Alert,
    (failure, severity): (&Failure, Severity),
    now: DateTime<Utc>,
    decision: &mut Decision,
) {
    for (action, told) in alert.told.iter_mut().filter(|(_, told)| told.flapping) {
        told.flapping = false;
        told.failure = failure.clone();
        told.severity = told.severity.max(severity);
        told.at = now;
        decision.tell.push((action.clone(), News::Steady, told.severity));
    }
}

/// Tells an action of a failure it does not know, or knows otherwise.
fn tell_of(
    alert: &mut Alert,
    action: &ActionName,
    first: News,
    (failure, severity): (&Failure, Severity),
    now: DateTime<Utc>,
    decision: &mut Decision,
) {
    match alert.told.get_mut(action) {
        Some(told) if told.failure == *failure => return,
        Some(told) => {
            told.failure = failure.clone();
            told.severity = told.severity.max(severity);
            if alert.ack.is_some() {
                return;
            }
            told.at = now;
            decision.tell.push((action.clone(), News::Changed, severity));
        }
        None => {
            alert.told.insert(action.clone(), Told::now(failure, severity, now));
            decision.tell.push((action.clone(), first, severity));
        }
    }
    alert.opened.get_or_insert(now);
}

/// Tells those whose step has come, while nobody has acknowledged the failure.
fn escalate(
    policy: &Policy,
    alert: &mut Alert,
    is: &Standing<'_>,
    what: (&Failure, Severity),
    now: DateTime<Utc>,
    decision: &mut Decision,
) {
    let Some(opened) = alert.opened else { return };
    for step in &policy.escalate {
        let Some(due) = add(opened, step.after) else { continue };
        for action in &step.actions {
            let known = alert.told.contains_key(action);
            if known || (due <= now && alert.ack.is_none() && is.wants(action, what.1)) {
                tell_of(alert, action, News::Escalated, what, now, decision);
            } else if due > now && alert.ack.is_none() {
                sooner(decision, due);
            }
        }
    }
}

/// Tells those again whose reminder is due.
fn remind(
    policy: &Policy,
    alert: &mut Alert,
    severity: Severity,
    now: DateTime<Utc>,
    decision: &mut Decision,
) {
    let Some(remind) = &policy.remind else { return };
    for (action, told) in &mut alert.told {
        let due = |told: &Told| remind.pause(told.reminders).and_then(|pause| add(told.at, pause));
        let Some(at) = due(told) else { continue };
        if at <= now {
            told.at = now;
            told.reminders = told.reminders.saturating_add(1);
            decision.tell.push((action.clone(), News::Reminder, severity));
        }
        if let Some(next) = due(told) {
            sooner(decision, next);
        }
    }
}

fn flapping() -> Hidden {
    let why = "it goes back and forth: told once it is steady".into();
    Hidden { by: HiddenBy::Flapping, why, until: None }
}

fn sooner(decision: &mut Decision, at: DateTime<Utc>) {
    decision.again = Some(decision.again.map_or(at, |again| again.min(at)));
}

fn add(at: DateTime<Utc>, length: std::time::Duration) -> Option<DateTime<Utc>> {
    at.checked_add_signed(TimeDelta::from_std(length).ok()?)
}
