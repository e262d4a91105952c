//! What was told of a failure, and to whom.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Flapping, Hidden};
use crate::{ActionName, Severity, state::Failure};

/// What was told of the present failure, and to whom. It is kept with the state of its check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Alert {
    /// When the first of them was told, or would have been but that none could be: from when escalations count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<DateTime<Utc>>,
    /// Who was told, and what they know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<ActionName, Told>,
    /// Somebody has taken it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
    /// Why nobody is told of what would be told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Hidden>,
    /// How it went back and forth lately.
    #[serde(skip_serializing_if = "Flapping::is_quiet")]
    pub flapping: Flapping,
}

/// What an action knows of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// How it fails, as was told last.
    pub failure: Failure,
    /// The gravest that was told.
    pub severity: Severity,
    /// When it was told last.
    pub at: DateTime<Utc>,
    /// Reminders since it was told first.
    #[serde(default)]
    pub reminders: u32,
    /// Whether it was told that the check goes back and forth.
    #[serde(default)]
    pub flapping: bool,
    /// Which groups of its recipients were told, where they have names, which the engine notes; none: an older version did
    /// not.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
}

impl Told {
    /// First told now, to groups that are still to be noted.
    pub fn now(failure: &Failure, severity: Severity, at: DateTime<Utc>) -> Self {
        let (failure, groups) = (failure.clone(), BTreeSet::new());
        Self { failure, severity, at, reminders: 0, flapping: false, groups }
    }

    /// Of the groups that there are, those that are to hear of the end: whoever came since it began is not. Where one of
    /// those who were told is gone, whoever is there may have taken its place, and what still waited for it.
    pub fn who_hears_of_the_end(&self, there: Vec<String>) -> Vec<String> {
        let gone = self.groups.iter().any(|group| !there.contains(group));
        let knows = |group: &String| gone || self.groups.is_empty() || self.groups.contains(group);
        there.into_iter().filter(knows).collect()
    }
}

/// Somebody has taken a failure on. Nobody is reminded of it, and no further ones are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Who.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
    /// What they say of it.
    #[serde(default)]
    pub comment: String,
    /// Whether it holds until the check is well again, however it fails meanwhile.
    #[serde(default)]
    pub sticky: bool,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// How the check failed when it was taken on, which the engine notes; `None`: an older version did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Whether those who keep an account of it were told, which the engine notes.
    #[serde(default)]
    pub told: bool,
}

impl Ack {
    /// Whether it has ended by itself. A clock that was put back makes it last no longer than it was meant to.
    pub(super) fn is_over(&mut self, now: DateTime<Utc>) -> bool {
        let ahead = (self.at - now).max(TimeDelta::zero());
        self.at = self.at.min(now);
        self.until = self.until.map(|until| until.checked_sub_signed(ahead).unwrap_or(now));
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether this is for another failure than the present one, of which these know.
    pub(super) fn outdated(&self, present: &Failure, told: &BTreeMap<ActionName, Told>) -> bool {
        let other = match &self.failure {
            Some(failure) => failure != present,
            None => told.values().any(|told| told.failure != *present),
        };
        other && !self.sticky
    }
}

impl Alert {
    /// Whether there is nothing to keep.
    pub fn is_quiet(&self) -> bool {
        self.opened.is_none()
            && self.told.is_empty()
            && self.ack.is_none()
            && self.hidden.is_none()
            && self.flapping.is_quiet()
    }
}
