//! Why nobody is told of something.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Why nobody is told of what would be told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hidden {
    /// What hides it.
    pub by: HiddenBy,
    /// One sentence for people.
    pub why: String,
    /// When that ends, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Hidden {
    /// Longest time for which a check that was hidden waits for its next run, once what it depends on is well again, where
    /// that run cannot be begun here.
    pub const OUTLASTS: TimeDelta = TimeDelta::minutes(5);
}

/// What may hide an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HiddenBy {
    /// A check that it depends on fails. Only what begins is hidden; an end is told.
    Dependency,
    /// A silence or a maintenance window; nothing at all is told.
    Silence,
    /// It goes back and forth, and that was told.
    Flapping,
}
