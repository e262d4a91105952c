//! For how many days a certificate must still be good: the options, the judgement and the words of all who look at one.

use chrono::{DateTime, Utc};
use fletchck_shared::Outcome;

use super::Certificate;
use crate::checks::{Opt, Options};

/// The option `days`.
pub(crate) const DAYS: Opt =
    Opt::number("days", "7", "fewest days that the certificate must still be good for");

/// The option `warn` of a check that looks at a certificate.
pub(crate) const WARN_DAYS: Opt =
    Opt::number("warn", "none", "days left of the certificate below which a pass is a warning");

/// For how many days a certificate must still be good, and below how many it is worth a look. Whole days.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days {
    least: i64,
    warn: Option<i64>,
}

impl Days {
    /// Reads `days` and `warn`.
    pub(crate) fn read(options: &mut Options<'_>) -> Self {
        let least = options.number("days", 0.0..=3650.0, "days").unwrap_or(7.0);
        let warn = options.number("warn", 0.0..=3650.0, "days");
        if warn.is_some_and(|warn| warn <= least) {
            options.warning("warn", "it fails before it warns", "more days than `days`");
        }
        Self { least: least as i64, warn: warn.map(|warn| warn as i64) }
    }

    /// Whether too few are left.
    pub(crate) fn too_few(self, certificate: &Certificate, now: DateTime<Utc>) -> bool {
        certificate.days_left(now) < self.least
    }

    /// Whether a certificate that is good is worth a look.
    pub(crate) fn warns(self, certificate: &Certificate, now: DateTime<Utc>) -> bool {
        self.warn.is_some_and(|warn| certificate.days_left(now) < warn)
    }

    /// What a check of nothing but a certificate says of one that is good: `text`, and where it warns, that it does. With
    /// `alerts` that is told as a failure is.
    pub(crate) fn good(
        self,
        mut text: String,
        certificate: &Certificate,
        now: DateTime<Utc>,
        alerts: bool,
    ) -> Outcome {
        let warns = self.warns(certificate, now);
        if let Some(warn) = self.warn.filter(|_| warns) {
            text.push_str(&format!(", under the warning at {warn} days"));
        }
        let outcome = if warns && alerts { Outcome::fail(text) } else { Outcome::pass(text) };
        outcome.warning(warns).level(level(certificate, now))
    }
}

/// The level of a certificate, as the original writes it: `42 days`.
pub(crate) fn level(certificate: &Certificate, now: DateTime<Utc>) -> String {
    format!("{} days", certificate.days_left(now))
}
