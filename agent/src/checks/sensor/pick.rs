//! Which sensors are meant.

use glob::{MatchOptions, Pattern};

use super::{super::Options, kernel::Sensor};

const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: false,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// Patterns for chip and label; all are meant where there is none.
pub(super) struct Pick {
    chip: Option<Pattern>,
    label: Option<Pattern>,
}

impl Pick {
    /// Reads `chip` and `label`.
    pub(super) fn read(options: &mut Options<'_>) -> Self {
        Self { chip: pattern(options, "chip"), label: pattern(options, "label") }
    }

    /// Whether some are meant and not all.
    pub(super) fn some(&self) -> bool {
        self.chip.is_some() || self.label.is_some()
    }

    pub(super) fn picks(&self, sensor: &Sensor) -> bool {
        let matches = |pattern: &Option<Pattern>, names: [&str; 2]| {
            let matches =
                |pattern: &Pattern| names.iter().any(|name| pattern.matches_with(name, MATCHING));
            pattern.as_ref().is_none_or(matches)
        };
        matches(&self.chip, [&sensor.chip, sensor.device.as_deref().unwrap_or(&sensor.chip)])
            && matches(&self.label, [&sensor.label, &sensor.channel])
    }

    /// What was asked for, behind `matches`.
    pub(super) fn words(&self) -> String {
        let word = |name, pattern: &Option<Pattern>| {
            pattern.as_ref().map(|pattern| format!("the {name} `{pattern}`"))
        };
        let words = [word("chip", &self.chip), word("label", &self.label)];
        words.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

/// The pattern of an option, if there is one that can be read.
fn pattern(options: &mut Options<'_>, name: &'static str) -> Option<Pattern> {
    let text = options.text(name).map(str::trim).filter(|text| !text.is_empty())?;
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let wrong = format!("the pattern is wrong: {error}");
            options.fault(name, wrong, "`[[]` for a `[` in a name, and no `**`");
            None
        }
    }
}
