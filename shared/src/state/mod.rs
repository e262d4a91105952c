//! The state of one check and the only function that changes it, [`step`].

#[cfg(test)]
mod replay;
mod report;
mod step;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use report::Report;
pub use step::{Rule, Seen, step};

use crate::{CheckName, Phase, Severity, policy::Alert};

/// What is known of a target, once a failure has lasted for its threshold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// No run has decided yet.
    #[default]
    Unknown,
    /// The last run passed, or too few failed since.
    Pass,
    /// The target fails.
    Fail(Failure),
}

/// How a check fails. Two failures that differ are told apart, and each is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// The check itself fails; `true` on the wire.
    Whole,
    /// The check is over the level of its warning, and its owner wants to be told of that; `true` on the wire, with the
    /// severity `warning` beside it.
    Warning,
    /// These members of a sequence fail, comma-joined; a string on the wire.
    Members(String),
}

/// What hides the condition of a check from alerting, without changing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cover {
    /// Its owner paused it.
    Paused,
    /// A check it depends on fails; the original calls this a soft failure.
    Blocked(String),
    /// Nothing was heard of it: why, in one sentence.
    Stale(String),
}

/// Everything that is kept of one check between two runs and over restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// What is known of the target.
    pub condition: Condition,
    /// What hides the condition.
    pub cover: Option<Cover>,
    /// Whether the present failure counts as told, though it is not known to whom: a site of the original's, or an older
    /// version, told it. Whoever runs the check takes it for told to all its actions, and forgets this.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
    /// Why its agent tells nobody of its failure: it depends on something that fails there, or is silenced there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// How grave a failure of it is, where whoever runs it has decided that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<Severity>,
    /// Since when anything was waited for from it, where nothing has come yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaited: Option<DateTime<Utc>>,
    /// What was told of the present failure, and to whom.
    #[serde(skip_serializing_if = "Alert::is_quiet")]
    pub alert: Alert,
    /// Failing runs in a row.
    pub fail_count: u32,
    /// Passing runs in a row, counted while it fails.
    #[serde(skip_serializing_if = "is_zero")]
    pub pass_count: u32,
    /// The last runs, for rules that count failures among several: one bit each, 1 for a failure, the last one lowest.
    #[serde(skip_serializing_if = "is_zero_64")]
    pub recent: u64,
    /// Failing runs in a row that make a failure, as of the last run.
    pub threshold: u32,
    /// The sentence of the last outcome.
    pub text: String,
    /// The log of the last outcome.
    pub log: Vec<String>,
    /// The level of the last outcome.
    pub level: Option<String>,
    /// Why further tries were of no use, `certificate` for example, or the check that blocks this one.
    pub soft_fail: Option<String>,
    /// The phases of the last run.
    pub phases: Vec<Phase>,
    /// Whether the last outcome was worth a look.
    pub warning: bool,
    /// What the check wants to find again at its next run; neither shown nor published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Value>,
    /// When the last run began; for a remote check the agent's own time of it.
    pub last_check: Option<DateTime<Utc>>,
    /// When a remote check was last heard of, by the hub's clock.
    pub last_update: Option<DateTime<Utc>>,
    /// When the condition last became, or changed its, failure.
    pub last_fail: Option<DateTime<Utc>>,
    /// When the condition last became a pass.
    pub last_pass: Option<DateTime<Utc>>,
    /// When a run last found the target well.
    pub last_good: Option<DateTime<Utc>>,
    /// When the failure began that lasts, or lasted until the last pass, however it changed meanwhile.
    pub failing_since: Option<DateTime<Utc>>,
}

/// A change of condition, as it is stored, told and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// What happened.
    pub kind: TransitionKind,
    /// When, by the clock of whoever ran the check.
    pub at: DateTime<Utc>,
    /// The condition before.
    pub from: Condition,
    /// The condition since.
    pub to: Condition,
}

/// Kinds of [`Transition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransitionKind {
    /// A target that was well, or unknown, fails.
    Failed,
    /// A failing sequence fails by other members than before.
    Changed,
    /// A failing target is well again.
    Recovered,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn is_zero_64(bits: &u64) -> bool {
    *bits == 0
}

impl Condition {
    /// Whether this is a failure.
    pub fn failing(&self) -> bool {
        matches!(self, Self::Fail(_))
    }
}

impl State {
    /// How grave what is known of the target is, whatever hides it from alerting.
    pub fn severity(&self) -> Severity {
        match &self.condition {
            Condition::Fail(Failure::Warning) => Severity::Warning,
            Condition::Fail(_) => Severity::Critical,
            Condition::Pass | Condition::Unknown if self.warning => Severity::Warning,
            Condition::Pass | Condition::Unknown => Severity::Ok,
        }
    }

    /// Whether others must take this check for failing: it fails, or it is blocked by one that does, and is not paused.
    /// A stale check counts as what it last was.
    pub fn failing(&self) -> bool {
        match &self.cover {
            Some(Cover::Paused) => false,
            Some(Cover::Blocked(_)) => true,
            // A warning is about a target that still does its work.
            Some(Cover::Stale(_)) | None => {
                self.condition.failing() && self.condition != Condition::Fail(Failure::Warning)
            }
        }
    }

    /// The failing check that blocks this one, if any.
    pub fn blocked_by(&self) -> Option<CheckName> {
        match &self.cover {
            Some(Cover::Blocked(by)) => CheckName::try_from(by.as_str()).ok(),
            _ => None,
        }
    }

    /// What a page shows as the state, in one word of the domain:
    /// `paused`, `blocked`, `stale`, `unknown`, `pass`, `warning` or `fail`.
    pub fn word(&self) -> &'static str {
        match (&self.cover, &self.condition) {
            (Some(Cover::Paused), _) => "paused",
            (Some(Cover::Blocked(_)), _) => "blocked",
            (Some(Cover::Stale(_)), _) => "stale",
            (None, _) if self.severity() == Severity::Warning => "warning",
            (None, Condition::Unknown) => "unknown",
            (None, Condition::Pass) => "pass",
            (None, Condition::Fail(_)) => "fail",
        }
    }
}
