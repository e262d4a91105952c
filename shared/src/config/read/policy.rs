//! What a check, its group or the site decides about alerts.

use std::{num::NonZeroU32, time::Duration};

use super::edges::Names;
use crate::{
    ActionName, Severity,
    config::{Fault, table::Table},
    policy::{Policy, Remind, Step},
    state::Rule,
};

/// Largest threshold and number of retries that makes any sense.
const COUNT_MAX: i64 = 1_000_000;

/// Longest time that a policy may name: a year.
const SECONDS_MAX: i64 = 366 * 24 * 3600;

/// What one place decides. What it leaves open the next one decides: the check itself, its group, the site.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    threshold: Option<NonZeroU32>,
    window: Option<u32>,
    recover: Option<NonZeroU32>,
    retries: Option<NonZeroU32>,
    fail_action: Option<bool>,
    pass_action: Option<bool>,
    severity: Option<Severity>,
    /// `Some(None)`: none, whatever others decide.
    remind: Option<Option<Remind>>,
    escalate: Option<Vec<Step>>,
    flapping: Option<bool>,
    skip: Option<bool>,
    actions: Option<Vec<ActionName>>,
}

/// What is decided in the end.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) threshold: NonZeroU32,
    pub(super) window: Option<NonZeroU32>,
    pub(super) recover: NonZeroU32,
    pub(super) retries: NonZeroU32,
    pub(super) policy: Policy,
    pub(super) actions: Vec<ActionName>,
}

impl Partial {
    /// Reads the keys of a policy among those of a table.
    pub(super) fn read(
        table: &mut Table<'_>,
        actions: &Names<ActionName>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let partial = Self {
            threshold: count(table, "threshold"),
            window: table.whole("window", 1..=i64::from(Rule::WINDOW_MAX)).map(narrow),
            recover: count(table, "recover"),
            retries: count(table, "retries"),
            fail_action: flag(table, "failAction"),
            pass_action: flag(table, "passAction"),
            severity: severity(table, "severity"),
            remind: remind(table),
            escalate: escalate(table, actions, faults),
            flapping: flag(table, "flapping"),
            skip: flag(table, "skip"),
            actions: told(table, actions, faults),
        };
        if let (Some(threshold), Some(window)) = (partial.threshold, partial.window)
            && threshold.get() > window
        {
            table.error(
                "window",
                format!("{threshold} failures do not fit into {window} runs"),
                format!("from {threshold} to {}", Rule::WINDOW_MAX),
            );
        }
        partial
    }

    /// What this one decides, and where it leaves something open, the other.
    #[must_use]
    pub(super) fn or(self, other: &Self) -> Self {
        // A threshold means what it meant where it was written: together with the window beside it.
        let counts = if self.threshold.is_some() { &self } else { other };
        Self {
            window: self.window.or(counts.window),
            threshold: self.threshold.or(other.threshold),
            recover: self.recover.or(other.recover),
            retries: self.retries.or(other.retries),
            fail_action: self.fail_action.or(other.fail_action),
            pass_action: self.pass_action.or(other.pass_action),
            severity: self.severity.or(other.severity),
            remind: self.remind.or_else(|| other.remind.clone()),
            escalate: self.escalate.or_else(|| other.escalate.clone()),
            flapping: self.flapping.or(other.flapping),
            skip: self.skip.or(other.skip),
            actions: self.actions.or_else(|| other.actions.clone()),
        }
    }

    /// Fills in what nobody decided.
    pub(super) fn decided(self) -> Decided {
        let default = Policy::default();
        let threshold = self.threshold.unwrap_or(NonZeroU32::MIN);
        Decided {
            threshold,
            window: self
                .window
                .filter(|window| *window >= threshold.get())
                .and_then(NonZeroU32::new),
            recover: self.recover.unwrap_or(NonZeroU32::MIN),
            retries: self.retries.unwrap_or(NonZeroU32::MIN),
            policy: Policy {
                fail_action: self.fail_action.unwrap_or(default.fail_action),
                pass_action: self.pass_action.unwrap_or(default.pass_action),
                severity: self.severity,
                remind: self.remind.flatten(),
                escalate: self.escalate.unwrap_or_default(),
                flapping: self.flapping.unwrap_or(default.flapping),
                skip: self.skip.unwrap_or(default.skip),
            },
            actions: self.actions.unwrap_or_default(),
        }
    }
}

/// A severity that a failure may have.
pub(super) fn severity(table: &mut Table<'_>, key: &'static str) -> Option<Severity> {
    table.parse(key, "`critical` or `warning`", |text| match text {
        "critical" => Ok(Severity::Critical),
        "warning" => Ok(Severity::Warning),
        _ => Err("there is no such severity"),
    })
}

/// The actions to tell. One that is not there is a fault of that name alone, for the others are still told. It is named all
/// the same: it is told once it is there, and until then those behind it know that somebody was to be told.
pub(super) fn told(
    table: &mut Table<'_>,
    actions: &Names<ActionName>,
    faults: &mut Vec<Fault>,
) -> Option<Vec<ActionName>> {
    table.get("actions")?;
    let path = table.path("actions");
    let mut told = Vec::new();
    for (place, name) in table.texts("actions") {
        let found = actions.find(name, &path.index(place), "action", "nobody is told that way");
        faults.extend(found.err());
        if let Ok(name) = ActionName::try_from(name)
            && !told.contains(&name)
        {
            told.push(name);
        }
    }
    Some(told)
}

fn count(table: &mut Table<'_>, key: &'static str) -> Option<NonZeroU32> {
    table.whole(key, 1..=COUNT_MAX).map(narrow).and_then(NonZeroU32::new)
}

fn narrow(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn flag(table: &mut Table<'_>, key: &'static str) -> Option<bool> {
    table.get(key)?;
    Some(table.flag(key, true))
}

fn seconds(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    table.whole(key, 1..=SECONDS_MAX).map(|seconds| Duration::from_secs(seconds.unsigned_abs()))
}

/// `"remind": 3600`, or `"remind": {"every": 3600, "backoff": 2, "most": 5}`; `false` or 0 for none.
fn remind(table: &mut Table<'_>) -> Option<Option<Remind>> {
    const RIGHT: &str =
        "seconds, `{\"every\": 3600, \"backoff\": 2, \"most\": 5}`, or false for none";
    let value = table.get("remind")?;
    if *value == false || *value == 0 {
        return Some(None);
    }
    if let Some(map) = value.as_object() {
        let mut inner = Table::new(map, table.path("remind"));
        let every = seconds(&mut inner, "every");
        let backoff = match inner.get("backoff").map(|value| (value, value.as_f64())) {
            None => 1.0,
            Some((_, Some(factor))) if (1.0..=10.0).contains(&factor) => factor,
            Some((value, _)) => {
                inner.error("backoff", format!("{value} is no factor"), "a number from 1 to 10");
                1.0
            }
        };
        let most = inner.whole("most", 1..=COUNT_MAX).map(narrow);
        if every.is_none() && inner.get("every").is_none() {
            inner.error("every", "missing", "the seconds from one reminder to the next");
        }
        for fault in inner.close() {
            table.push(fault);
        }
        return Some(every.map(|every| Remind { every, backoff, most }));
    }
    match value.as_i64().filter(|seconds| (1..=SECONDS_MAX).contains(seconds)) {
        Some(every) => {
            let every = Duration::from_secs(every.unsigned_abs());
            Some(Some(Remind { every, backoff: 1.0, most: None }))
        }
        None => {
            table.error("remind", format!("{value} is no time"), RIGHT);
            None
        }
    }
}

/// `"escalate": [{"after": 900, "actions": ["boss"]}]`.
fn escalate(
    table: &mut Table<'_>,
    actions: &Names<ActionName>,
    faults: &mut Vec<Fault>,
) -> Option<Vec<Step>> {
    table.get("escalate")?;
    let path = table.path("escalate");
    let mut steps = Vec::new();
    for (place, value) in table.list("escalate").iter().enumerate() {
        let mut inner = match Table::of(value, path.index(place)) {
            Ok(inner) => inner,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        let after = seconds(&mut inner, "after");
        if after.is_none() && inner.get("after").is_none() {
            inner.error("after", "missing", "the seconds from the failure to this step");
        }
        let told = told(&mut inner, actions, faults).unwrap_or_default();
        if told.is_empty() && inner.sound() {
            inner.error("actions", "nobody is told at this step", "names of actions");
        }
        faults.append(&mut inner.close());
        if let Some(after) = after.filter(|_| !told.is_empty()) {
            steps.push(Step { after, actions: told });
        }
    }
    steps.sort_by_key(|step| step.after);
    Some(steps)
}
