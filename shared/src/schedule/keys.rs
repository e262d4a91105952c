//! The keys of triggers in the config, and their units in the text form.

/// One of the two kinds of trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Interval,
    Cron,
}

/// A key and the words for it in the text form.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    /// The word in the text form.
    pub unit: &'static str,
    /// Other words for it that are understood; the name is too.
    also: &'static [&'static str],
}

const fn key(name: &'static str, unit: &'static str, also: &'static [&'static str]) -> Key {
    Key { name, unit, also }
}

/// In the order in which the text form has them.
const INTERVAL: [Key; 9] = [
    key("weeks", "week", &[]),
    key("days", "day", &[]),
    key("hours", "hr", &["hour", "hrs"]),
    key("minutes", "min", &["minute", "mins"]),
    key("seconds", "sec", &["second", "secs"]),
    key("start_date", "start", &[]),
    key("end_date", "end", &[]),
    key("timezone", "z", &[]),
    key("jitter", "jitter", &[]),
];

const CRON: [Key; 12] = [
    key("year", "year", &["years"]),
    key("month", "month", &["months"]),
    key("day", "day", &["days"]),
    key("week", "week", &["weeks"]),
    key("day_of_week", "weekday", &["weekdays"]),
    key("hour", "hr", &["hours", "hrs"]),
    key("minute", "min", &["minutes", "mins"]),
    key("second", "sec", &["seconds", "secs"]),
    key("start_date", "start", &[]),
    key("end_date", "end", &[]),
    key("timezone", "z", &[]),
    key("jitter", "jitter", &[]),
];

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Interval => "interval",
            Kind::Cron => "cron",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Kind> {
        [Kind::Interval, Kind::Cron].into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    pub(super) fn keys(self) -> &'static [Key] {
        match self {
            Kind::Interval => &INTERVAL,
            Kind::Cron => &CRON,
        }
    }

    /// The key that a word of the text form stands for.
    pub(super) fn unit(self, word: &str) -> Option<&'static Key> {
        let is = |name: &str| name.eq_ignore_ascii_case(word);
        self.keys()
            .iter()
            .find(|key| is(key.unit) || is(key.name) || key.also.iter().any(|name| is(name)))
    }

    /// All names in a row, for messages.
    pub(super) fn names(self) -> String {
        self.keys().iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
    }

    /// All units in a row, for messages.
    pub(super) fn units(self) -> String {
        self.keys().iter().map(|key| key.unit).collect::<Vec<_>>().join(", ")
    }
}
