//! What is told of one check at one moment.

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Severity, Tz, policy::News, wire::PRESENCE};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What is told of one check at one moment. It is stored as it is here, so that it says after a crash what it would
/// have said before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Name of the site.
    pub site: String,
    /// Name of the check.
    pub check: CheckName,
    /// The agent that runs it, where that is another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Type of the check; for a remote one the type at its agent.
    pub kind: String,
    /// What there is to tell.
    pub news: News,
    /// How grave it is now; [`Severity::Ok`] for a recovery.
    pub severity: Severity,
    /// How grave the failure is that this is about; of a recovery, how grave it was.
    pub about: Severity,
    /// When it came to this, by the clock of whoever ran the check.
    pub at: DateTime<Utc>,
    /// Since when the check fails; of a recovery, since when it had failed.
    #[serde(default)]
    pub since: Option<DateTime<Utc>>,
    /// When it was last seen well, before this failure.
    #[serde(default)]
    pub last_good: Option<DateTime<Utc>>,
    /// The sentence of the outcome.
    pub text: String,
    /// The measured value.
    pub level: Option<String>,
    /// Lines that explain the sentence.
    pub log: Vec<String>,
    /// The failing members of a sequence.
    #[serde(default)]
    pub members: Vec<FailingMember>,
    /// Zone that times are shown in.
    pub zone: Tz,
}

/// A failing member of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingMember {
    /// Its name.
    pub name: String,
    /// Why further tries were of no use, or what it depends on.
    pub soft: Option<String>,
    /// Its measured value.
    pub level: Option<String>,
}

impl Notice {
    /// Names the check among those of all sites, for services that end by it what was begun by it: 32 hex digits. A
    /// name of the incident would not do: what goes back and forth is told of once, and fails anew meanwhile.
    pub fn subject(&self) -> String {
        let mut id = Sha256::new();
        id.update(&self.site);
        id.update([0]);
        id.update(self.check.as_str());
        // A test must not end what is really the matter with a check of that name.
        id.update([0, u8::from(self.news == News::Test)]);
        super::letter::short(id)
    }

    /// How the check stands, in one word: `FAIL`, `WARN`, `PASS`, `FLAPPING` or `TEST`, and of an agent `OFFLINE` or
    /// `ONLINE`. `FAIL` and `PASS` are the original's.
    pub fn word(&self) -> &'static str {
        match (self.news, self.severity) {
            (News::Test, _) => "TEST",
            (News::Flapping, _) => "FLAPPING",
            (_, Severity::Ok) if self.kind == PRESENCE => "ONLINE",
            (_, Severity::Warning | Severity::Critical) if self.kind == PRESENCE => "OFFLINE",
            (_, Severity::Ok) => "PASS",
            (_, Severity::Warning) => "WARN",
            (_, Severity::Critical) => "FAIL",
        }
    }
}
