//! The state of a remote check, as its agent reports it.

use chrono::{DateTime, Utc};

use super::Failure;
use crate::{Phase, Severity};

/// What a message says of a check that runs elsewhere: an outcome already judged by the agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How it fails; `None` for a pass. A first failure below the threshold is reported as failing too.
    pub failure: Option<Failure>,
    /// Failing runs in a row. `None` where the sender does not say; then a failure counts as reached.
    pub fail_count: Option<u32>,
    /// Failing runs that make a failure, at the agent. `None` where the sender does not say.
    pub threshold: Option<u32>,
    /// The agent's check is paused.
    pub paused: bool,
    /// The agent's check is blocked by this one.
    pub blocked: Option<String>,
    /// Why the agent tells nobody of the failure: it depends on something that fails there, or is silenced there.
    pub held: Option<String>,
    /// How grave a failure is, where its owner has decided that at the agent.
    pub grade: Option<Severity>,
    /// One sentence on what was seen; empty where the sender has none.
    pub text: String,
    /// Whether the last outcome was worth a look.
    pub warning: bool,
    /// The log of the last run.
    pub log: Vec<String>,
    /// The level of the last run.
    pub level: Option<String>,
    /// Why further tries were of no use.
    pub soft_fail: Option<String>,
    /// The phases of the last run.
    pub phases: Vec<Phase>,
    /// When the check last ran, by the agent's clock.
    pub last_check: Option<DateTime<Utc>>,
    /// When it last failed, by the agent's clock.
    pub last_fail: Option<DateTime<Utc>>,
    /// When it last recovered, by the agent's clock.
    pub last_pass: Option<DateTime<Utc>>,
}

impl Report {
    /// Whether the failure has lasted for its threshold at the agent.
    pub fn reached(&self) -> bool {
        let threshold = self.threshold.unwrap_or(1);
        self.failure.is_some() && self.fail_count.unwrap_or(threshold) >= threshold
    }
}
