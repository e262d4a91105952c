//! A level with its limit: the options, the judgement and the words that all checks with a level share.

use fletchck_shared::{Outcome, hysteresis};

use super::{Before, Opt, Options};

/// The option `warn` of a check with a level.
pub(super) const WARN: Opt = Opt::number(
    "warn",
    "none",
    "level over which a pass is a warning, in the unit of the level that fails",
);

/// The option `warnAlerts`.
pub(super) const WARN_ALERTS: Opt =
    Opt::flag("warnAlerts", "false", "whether a warning is told as a failure is");

/// What a level is counted in, and how it is written.
#[derive(Debug)]
pub(super) struct Scale {
    /// The option with the level that fails, `level` in most types.
    pub(super) option: &'static str,
    /// What the options are counted in, for the fault of one that is out of range.
    pub(super) counts: &'static str,
    /// Lowest and highest level that can be chosen. What is measured is never below the lowest, or below 0 where that
    /// is less.
    pub(super) range: (f64, f64),
    /// A measured value with its unit, as the sentence has it.
    pub(super) seen: fn(f64) -> String,
    /// A chosen value with its unit.
    pub(super) chosen: fn(f64) -> String,
    /// A measured value with its unit, as the outcome's level carries it.
    pub(super) level: fn(f64) -> String,
}

/// A share of a whole.
pub(super) const PERCENT: Scale = Scale {
    option: "level",
    counts: "a percentage",
    range: (1.0, 100.0),
    seen: |percent| format!("{percent:.1}%"),
    chosen: |percent| format!("{percent}%"),
    level: padded,
};

/// Limit of a level, and by how much it must be left before all is well again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    scale: &'static Scale,
    level: Option<f64>,
    hysteresis: f64,
    warn: Option<f64>,
    warn_alerts: bool,
}

impl Limit {
    /// Reads the level, `hysteresis`, `warn` and `warnAlerts`. Where the level has no default, nothing is too much
    /// until one is given.
    pub(super) fn read(
        options: &mut Options<'_>,
        scale: &'static Scale,
        level: impl Into<Option<f64>>,
        hysteresis: f64,
    ) -> Self {
        let (first, last) = scale.range;
        let lowest = first.min(0.0);
        let level = options.number(scale.option, first..=last, scale.counts).or(level.into());
        let hysteresis =
            options.number("hysteresis", 0.0..=last - lowest, scale.counts).unwrap_or(hysteresis);
        if let Some(level) = level.filter(|level| level - hysteresis <= lowest) {
            options.warning(
                "hysteresis",
                format!("with a level of {level} and a hysteresis of {hysteresis} a failing check never passes again"),
                "a hysteresis below the level",
            );
        }
        let warn = options.number("warn", lowest..=last, scale.counts);
        if warn.zip(level).is_some_and(|(warn, level)| warn >= level) {
            options.warning("warn", "it fails before it warns", "a warning below the level");
        }
        let warn_alerts = options.flag("warnAlerts", false);
        Self { scale, level, hysteresis, warn, warn_alerts }
    }

    /// The same, where none is given, with the limits that what is measured has of its own.
    pub(super) fn or(self, level: f64, warn: Option<f64>) -> Self {
        let own = self.level.is_none();
        let warn = self.warn.or(warn.filter(|warn| own && *warn < level));
        Self { level: self.level.or(Some(level)), warn, ..self }
    }

    /// The level that fails, if there is one.
    pub(super) fn level(self) -> Option<f64> {
        self.level
    }

    /// A limit in percent as it is without any option.
    #[cfg(test)]
    pub(super) fn read_defaults(level: f64, hysteresis: f64) -> Self {
        let level = Some(level);
        Self { scale: &PERCENT, level, hysteresis, warn: None, warn_alerts: false }
    }

    /// Judges a level and says it in one sentence that begins with `what`, as in `/ is 7.4% full`. The `state` may be
    /// empty, as in `the load is 0.42`.
    pub(super) fn judge(self, what: &str, value: f64, state: &str, before: &Before) -> Outcome {
        let Self { scale, level, hysteresis, warn, warn_alerts } = self;
        let space = if state.is_empty() { "" } else { " " };
        let seen = format!("{what} is {}{space}{state}", (scale.seen)(value));
        let over = |limit: f64, since: bool| hysteresis::over(value, limit, hysteresis, since);
        let limit = self.words();
        let outcome = if let Some(level) = level.filter(|level| over(*level, before.failing)) {
            if value > level {
                Outcome::fail(format!("{seen}, over the limit of {}", (scale.chosen)(level)))
            } else {
                let well = (scale.chosen)(level - hysteresis);
                Outcome::fail(format!("{seen}, well again below {well}{limit}"))
            }
        } else if let Some(warn) = warn.filter(|warn| over(*warn, before.warned || before.failing))
        {
            let warn = (scale.chosen)(warn);
            let text = format!("{seen}, over the warning at {warn}{limit}");
            let outcome = if warn_alerts { Outcome::fail(text) } else { Outcome::pass(text) };
            outcome.warning(true)
        } else {
            match level {
                Some(level) => Outcome::pass(format!("{seen}, limit {}", (scale.chosen)(level))),
                None => Outcome::pass(seen),
            }
        };
        outcome.level((scale.level)(value))
    }

    /// How a line of the log ends.
    pub(super) fn target(self) -> String {
        format!("Target: {}", self.level.map_or("none".into(), self.scale.chosen))
    }

    /// The limit, behind another.
    fn words(self) -> String {
        self.level.map_or(String::new(), |level| format!(" (limit {})", (self.scale.chosen)(level)))
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
    use serde_json::json;

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

    const CELSIUS: Scale = Scale {
        option: "temperature",
        counts: "degrees Celsius",
        range: (-50.0, 200.0),
        seen: |value| format!("{value:.1} °C"),
        chosen: |value| format!("{value} °C"),
        level: |value| format!("{value:.1}°C"),
    };
    const KNOWN: &[Opt] = &[
        Opt::number("temperature", "none", "degrees Celsius"),
        Opt::number("hysteresis", "2", "degrees Celsius"),
        WARN,
        WARN_ALERTS,
    ];

    /// The limit that these options make without a level of their own, and the options that something is wrong with.
    fn read(given: serde_json::Value) -> (Option<Limit>, Vec<String>) {
        let given = given.as_object().expect("an object");
        let make = |options: &mut Options<'_>| Some(Limit::read(options, &CELSIUS, None, 2.0));
        let (limit, faults) = Options::read(given, KNOWN, make);
        (limit, faults.into_iter().map(|fault| fault.option).collect())
    }

    #[test]
    fn a_level_has_the_unit_of_its_check_and_may_have_no_limit() {
        let before = Before::default();
        let limit = read(json!({})).0.expect("a limit");
        let outcome = limit.judge("the rack", -3.25, "", &before);
        assert_eq!(outcome.text, "the rack is -3.2 °C");
        assert_eq!((outcome.verdict, outcome.level.as_deref()), (Verdict::Pass, Some("-3.2°C")));
        assert_eq!(limit.target(), "Target: none");
        let limit = read(json!({"warn": 30})).0.expect("a limit");
        let outcome = limit.judge("the rack", 31.0, "warm", &before);
        assert_eq!(outcome.text, "the rack is 31.0 °C warm, over the warning at 30 °C");
        assert_eq!(outcome.severity(), Severity::Warning);
        let limit = read(json!({"warn": 30, "temperature": 40})).0.expect("a limit");
        let outcome = limit.judge("the rack", 41.0, "warm", &before);
        assert_eq!(outcome.text, "the rack is 41.0 °C warm, over the limit of 40 °C");
        assert_eq!(limit.target(), "Target: 40 °C");
    }

    #[test]
    fn limits_of_what_is_measured_count_where_none_is_given() {
        let own = |given| read(given).0.expect("a limit").or(90.0, Some(80.0));
        let before = Before::default();
        for (given, value, severity) in [
            (json!({}), 79.0, Severity::Ok),
            (json!({}), 81.0, Severity::Warning),
            (json!({}), 91.0, Severity::Critical),
            (json!({"warn": 50}), 51.0, Severity::Warning),
            (json!({"temperature": 100}), 95.0, Severity::Ok),
            (json!({"temperature": 60}), 61.0, Severity::Critical),
        ] {
            let outcome = own(given.clone()).judge("it", value, "", &before);
            assert_eq!(outcome.severity(), severity, "{given} {value}");
        }
        let odd = read(json!({})).0.expect("a limit").or(70.0, Some(80.0));
        assert_eq!(odd.judge("it", 69.0, "", &before).severity(), Severity::Ok);
        assert_eq!(odd.level(), Some(70.0));
    }

    #[test]
    fn a_level_below_zero_can_be_left_and_all_faults_are_told() {
        assert_eq!(read(json!({"temperature": -18, "hysteresis": 2})).1, Vec::<String>::new());
        assert_eq!(read(json!({"temperature": -40, "hysteresis": 20})).1, ["hysteresis"]);
        let wrong = json!({"temperature": 201, "hysteresis": -1, "warn": -51, "warnAlerts": 1});
        assert_eq!(read(wrong).1, ["temperature", "hysteresis", "warn", "warnAlerts"]);
        assert_eq!(read(json!({"temperature": 30, "warn": 30})).1, ["warn"]);
    }
}
