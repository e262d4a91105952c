//! What is known of a domain: asked just now or some time ago, and judged.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{Outcome, time};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Domain;
use crate::checks::{Look, net::days_until};

/// How old an answer may be that is used in place of a new one while all is well. Registries slow down those who ask often.
const FRESH: TimeDelta = TimeDelta::hours(24);

/// The same while all is not well: who has just renewed a domain wants to see it.
const FRESH_ILL: TimeDelta = TimeDelta::hours(1);

/// From which age on an old answer is worth a look, where no new one is to be had.
const OLD: TimeDelta = TimeDelta::days(7);

/// States of a domain that is lost, or about to be, or switched off, and what that means.
const LOST: &[(&str, &str)] = &[
    ("redemptionperiod", "it was deleted and can still be restored by its registrar"),
    ("pendingdelete", "it is about to be deleted for good"),
    ("pendingrestore", "it was deleted and is being restored"),
    ("clienthold", "its registrar has taken it out of the DNS"),
    ("serverhold", "its registry has taken it out of the DNS"),
];

/// States that are worth a look.
const STRANGE: &[(&str, &str)] = &[("pendingtransfer", "it is being moved to another registrar")];

/// What a registry said about a domain, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// The domain.
    pub(super) domain: String,
    /// Who was asked.
    pub(super) server: String,
    /// When it was asked.
    pub(super) asked: DateTime<Utc>,
    /// When the registration ends.
    pub(super) expires: DateTime<Utc>,
    /// Its states.
    pub(super) status: Vec<String>,
}

impl Known {
    /// What was kept, if it is about this domain and from this server.
    pub(super) fn kept(domain: &Domain, look: &Look<'_>) -> Option<Self> {
        let kept: Self = Self::deserialize(look.before.kept.as_ref()?).ok()?;
        let same = kept.domain == domain.name && kept.server == domain.place.url();
        (same && kept.asked <= look.now).then_some(kept)
    }

    /// As it is kept.
    pub(super) fn keep(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Judges it. `when` says how old it is, where it is not new.
    pub(super) fn judge(&self, domain: &Domain, look: &Look<'_>, when: &str) -> Outcome {
        let name = &self.domain;
        let left = days_until(self.expires, look.now);
        let date = time::people(self.expires, look.zone);
        let state = |of: &'static [(&str, &str)]| {
            of.iter().find(|(state, _)| self.status.iter().any(|status| bare(status) == *state))
        };
        let failed = |text: String| Outcome::fail(text).soft_fail("domain");
        let outcome = if let Some((_, meaning)) = state(LOST) {
            failed(format!("{name}: {meaning} ({}){when}", self.status.join(", ")))
        } else if left < 0 {
            failed(format!("{name} expired on {date}{when}"))
        } else if domain.days.are_too_few(left) {
            failed(format!("{name} expires in {}, on {date}{when}", days(left)))
        } else if let Some((_, meaning)) = state(STRANGE) {
            domain.warned(format!("{name}: {meaning}, registered until {date}{when}"))
        } else if let Some(warn) = domain.days.warning(left) {
            let left = days(left);
            domain.warned(format!(
                "{name} expires in {left}, on {date}, under the warning at {warn} days{when}"
            ))
        } else {
            Outcome::pass(format!(
                "{name} is registered for {} more, until {date}{when}",
                days(left)
            ))
        };
        let asked = time::people(self.asked, look.zone);
        let mut log =
            vec![format!("Expires: {date}"), format!("Asked: {asked} at {}", self.server)];
        if !self.status.is_empty() {
            log.push(format!("Status: {}", self.status.join(", ")));
        }
        outcome.level(format!("{left} days")).log(log)
    }

    /// The outcome that it is, if it is new enough not to ask again.
    pub(super) fn instead(&self, domain: &Domain, look: &Look<'_>) -> Option<Outcome> {
        let age = look.now - self.asked;
        let when = format!(" (asked {} ago)", ago(age));
        let outcome = self.judge(domain, look, &when);
        let well = outcome.severity() == fletchck_shared::Severity::Ok;
        (age < if well { FRESH } else { FRESH_ILL }).then_some(outcome)
    }

    /// The outcome that it is where the server asks for patience.
    pub(super) fn for_now(&self, domain: &Domain, look: &Look<'_>) -> Outcome {
        let age = look.now - self.asked;
        let when = format!(" (asked {} ago; now the server asks for patience)", ago(age));
        let outcome = self.judge(domain, look, &when);
        let warning = outcome.warning || age > OLD;
        outcome.warning(warning)
    }
}

/// A state without spaces and capitals: RDAP has `pending delete`, some registries still `pendingDelete`.
fn bare(status: &str) -> String {
    status.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn days(left: i64) -> String {
    if left == 1 { "1 day".into() } else { format!("{left} days") }
}

fn ago(age: TimeDelta) -> String {
    let many = |number: i64, what: &str| {
        let s = if number == 1 { "" } else { "s" };
        format!("{number} {what}{s}")
    };
    match age.num_minutes() {
        ..120 => many(age.num_minutes(), "minute"),
        120..2880 => many(age.num_hours(), "hour"),
        _ => many(age.num_days(), "day"),
    }
}
