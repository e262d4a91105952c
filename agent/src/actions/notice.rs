//! What is told of one transition.

use chrono_tz::Tz;
use fletchck_shared::{CheckName, State, Transition};
use serde::{Deserialize, Serialize};

/// What is told of one transition. It is stored as it is here, so that it says after a crash what it would have said
/// before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Name of the site.
    pub site: String,
    /// Name of the check.
    pub check: CheckName,
    /// Type of the check; for a remote one the type at its agent.
    pub kind: String,
    /// What happened.
    pub transition: Transition,
    /// The sentence of the outcome.
    pub text: String,
    /// The measured value.
    pub level: Option<String>,
    /// Lines that explain the sentence.
    pub log: Vec<String>,
    /// Zone that times are shown in.
    pub zone: Tz,
}

impl Notice {
    /// Says what became of this check.
    pub fn new(
        site: &str,
        check: &CheckName,
        kind: &str,
        zone: Tz,
        state: &State,
        transition: &Transition,
    ) -> Self {
        Self {
            site: site.into(),
            check: check.clone(),
            kind: kind.into(),
            transition: transition.clone(),
            text: state.text.clone(),
            level: state.level.clone(),
            log: state.log.clone(),
            zone,
        }
    }
}
