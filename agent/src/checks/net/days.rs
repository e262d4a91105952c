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
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Days {
    least: i64,
    warn: Option<i64>,
}

impl Days {
    /// Reads `days` and `warn` of a check that looks at a certificate.
    pub(crate) fn read(options: &mut Options<'_>) -> Self {
        Self::read_or(options, 7.0)
    }

    /// Reads `days`, which are so many where none are given, and `warn`.
    pub(crate) fn read_or(options: &mut Options<'_>, least: f64) -> Self {
        let least = options.number("days", 0.0..=3650.0, "days").unwrap_or(least);
        let warn = options.number("warn", 0.0..=3650.0, "days");
        if warn.is_some_and(|warn| warn <= least) {
            options.warning("warn", "it fails before it warns", "more days than `days`");
        }
        Self { least: least as i64, warn: warn.map(|warn| warn as i64) }
    }

    /// Whether too few are left.
    pub(crate) fn too_few(self, certificate: &Certificate, now: DateTime<Utc>) -> bool {
        self.are_too_few(certificate.days_left(now))
    }

    /// Whether a certificate that is good is worth a look.
    pub(crate) fn warns(self, certificate: &Certificate, now: DateTime<Utc>) -> bool {
        self.warning(certificate.days_left(now)).is_some()
    }

    /// Whether so many days are too few.
    pub(crate) fn are_too_few(self, left: i64) -> bool {
        left < self.least
    }

    /// The days below which it is worth a look, where so many are below them.
    pub(crate) fn warning(self, left: i64) -> Option<i64> {
        self.warn.filter(|warn| left < *warn)
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

/// Whole days from one time until another, rounded down, as the original counts them; negative once that is past.
pub(crate) fn days_until(then: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    let left = then - now;
    let begun = i64::from(left.subsec_nanos() < 0);
    (left.num_seconds() - begun).div_euclid(86_400)
}

/// The level of a certificate, as the original writes it: `42 days`.
pub(crate) fn level(certificate: &Certificate, now: DateTime<Utc>) -> String {
    format!("{} days", certificate.days_left(now))
}
