//! A level in percent with its limit: the options, the judgement and the words that disk, memory and cpu share.

use fletchck_shared::{Outcome, hysteresis};

use super::{Before, Opt, Options};

/// The option `warn` of a check with a level.
pub(super) const WARN: Opt =
    Opt::number("warn", "none", "level over which a pass is a warning, percent");

/// The option `warnAlerts`.
pub(super) const WARN_ALERTS: Opt =
    Opt::flag("warnAlerts", "false", "whether a warning is told as a failure is");

/// Limit of a level, and by how much it must be left before all is well again. Percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    level: f64,
    hysteresis: f64,
    warn: Option<f64>,
    warn_alerts: bool,
}

impl Limit {
    /// Reads `level` and `hysteresis`.
    pub(super) fn read(options: &mut Options<'_>, level: f64, hysteresis: f64) -> Self {
        let level = options.number("level", 1.0..=100.0, "a percentage").unwrap_or(level);
        let hysteresis =
            options.number("hysteresis", 0.0..=100.0, "a percentage").unwrap_or(hysteresis);
        if hysteresis >= level {
            options.warning(
                "hysteresis",
                format!("with a level of {level} and a hysteresis of {hysteresis} a failing check never passes again"),
                "a hysteresis below the level",
            );
        }
        let warn = options.number("warn", 0.0..=100.0, "a percentage");
        if warn.is_some_and(|warn| warn >= level) {
            options.warning("warn", "it fails before it warns", "a warning below the level");
        }
        let warn_alerts = options.flag("warnAlerts", false);
        Self { level, hysteresis, warn, warn_alerts }
    }

    /// A limit as it is without any option.
    #[cfg(test)]
    pub(super) fn read_defaults(level: f64, hysteresis: f64) -> Self {
        Self { level, hysteresis, warn: None, warn_alerts: false }
    }

    /// Judges a level and says it in one sentence that begins with `what`, as in `/ is 7.4% full`.
    pub(super) fn judge(self, what: &str, percent: f64, state: &str, before: &Before) -> Outcome {
        let Self { level, hysteresis, warn, warn_alerts } = self;
        let seen = format!("{what} is {percent:.1}% {state}");
        let over = |warn: &f64| {
            hysteresis::over(percent, *warn, hysteresis, before.warned || before.failing)
        };
        let outcome = if !hysteresis::over(percent, level, hysteresis, before.failing) {
            match warn.filter(over) {
                Some(warn) => {
                    let text = format!("{seen}, over the warning at {warn}% (limit {level}%)");
                    let outcome =
                        if warn_alerts { Outcome::fail(text) } else { Outcome::pass(text) };
                    outcome.warning(true)
                }
                None => Outcome::pass(format!("{seen}, limit {level}%")),
            }
        } else if percent > level {
            Outcome::fail(format!("{seen}, over the limit of {level}%"))
        } else {
            let well = level - hysteresis;
            Outcome::fail(format!("{seen}, well again below {well}% (limit {level}%)"))
        };
        outcome.level(padded(percent))
    }

    /// How a line of the log ends.
    pub(super) fn target(self) -> String {
        format!("Target: {}%", self.level)
    }
}

/// A percentage as levels carry it: whole, and at least two places wide, `" 7%"`.
pub(super) fn padded(percent: f64) -> String {
    format!("{percent:2.0}%")
}

/// Three amounts of bytes in one unit, as in `19/252GiB, 72GiB Free`. The unit is GiB up to 0.8 TiB in all, then TiB.
pub(super) fn amounts(used: u64, total: u64, free: u64, free_word: &str) -> String {
    const GIB: f64 = (1_u64 << 30) as f64;
    const TIB: f64 = (1_u64 << 40) as f64;
    let [used, total, free] = [used, total, free].map(|bytes| bytes as f64);
    if total > 0.8 * TIB {
        let [used, total, free] = [used, total, free].map(|bytes| bytes / TIB);
        format!("{used:.2}/{total:.2}TiB, {free:.2}TiB {free_word}")
    } else {
        let [used, total, free] = [used, total, free].map(|bytes| bytes / GIB);
        format!("{used:.0}/{total:.0}GiB, {free:.0}GiB {free_word}")
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{Severity, Verdict};

    use super::*;

    #[test]
    fn amounts_take_the_unit_that_fits() {
        const GIB: u64 = 1 << 30;
        assert_eq!(amounts(19 * GIB, 252 * GIB, 72 * GIB, "Free"), "19/252GiB, 72GiB Free");
        assert_eq!(amounts(GIB, 819 * GIB, GIB, "Free"), "1/819GiB, 1GiB Free");
        assert_eq!(amounts(0, 900 * GIB, 450 * GIB, "Free"), "0.00/0.88TiB, 0.44TiB Free");
    }

    #[test]
    fn a_level_is_padded_and_judged_before_it_is_rounded() {
        let limit = Limit::read_defaults(90.0, 2.0);
        let failing = Before { failing: true, ..Before::default() };
        let outcome = limit.judge("/", 90.4, "full", &Before::default());
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.text, "/ is 90.4% full, over the limit of 90%");
        assert_eq!(outcome.level.as_deref(), Some("90%"));
        let outcome = limit.judge("/", 88.5, "full", &failing);
        assert_eq!(outcome.text, "/ is 88.5% full, well again below 88% (limit 90%)");
        let outcome = limit.judge("/", 7.4, "full", &failing);
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert_eq!(outcome.level.as_deref(), Some(" 7%"));
    }

    #[test]
    fn a_warning_is_a_pass_unless_it_is_to_be_told() {
        let quiet = Limit { warn: Some(80.0), ..Limit::read_defaults(90.0, 2.0) };
        let outcome = quiet.judge("/", 85.0, "full", &Before::default());
        assert_eq!(outcome.text, "/ is 85.0% full, over the warning at 80% (limit 90%)");
        assert_eq!((outcome.verdict, outcome.severity()), (Verdict::Pass, Severity::Warning));
        let told = Limit { warn_alerts: true, ..quiet };
        let outcome = told.judge("/", 85.0, "full", &Before::default());
        assert_eq!((outcome.verdict, outcome.severity()), (Verdict::Fail, Severity::Warning));
        let warned = Before { warned: true, ..Before::default() };
        for (percent, severity) in
            [(79.0, Severity::Warning), (77.9, Severity::Ok), (91.0, Severity::Critical)]
        {
            assert_eq!(told.judge("/", percent, "full", &warned).severity(), severity, "{percent}");
        }
        let failing = Before { failing: true, ..Before::default() };
        assert_eq!(told.judge("/", 87.9, "full", &failing).severity(), Severity::Warning);
    }
}
