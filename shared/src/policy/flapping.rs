//! Checks that go back and forth.

use serde::{Deserialize, Serialize};

/// Runs that are looked back at.
const WINDOW: u32 = 20;

/// A check begins to flap once this share of its last runs changed its condition, in percent.
const HIGH: f64 = 30.0;

/// A check is steady again once this share or less of its last runs changed its condition, in percent.
const LOW: f64 = 25.0;

/// How a check went back and forth in its last 20 runs. Later changes weigh more than earlier ones, from 1.2 for
/// the last run to 0.8 for the first, as in the field's reference for it, Icinga.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flapping {
    /// Whether each of the last runs found another condition than the one before; one bit each, the last one lowest.
    changes: u32,
    /// Whether the last run found it failing; `None`: there was none yet.
    failing: Option<bool>,
    /// Whether it flaps.
    on: bool,
}

impl Flapping {
    /// Takes in one more run.
    pub fn ran(&mut self, failing: bool) {
        let changed = self.failing.is_some_and(|before| before != failing);
        self.failing = Some(failing);
        self.changes = (self.changes << 1 | u32::from(changed)) & ((1 << WINDOW) - 1);
        let share = self.share();
        self.on = if self.on { share > LOW } else { share > HIGH };
    }

    /// Whether it flaps.
    pub fn on(&self) -> bool {
        self.on
    }

    /// The weighted share of runs that changed the condition, in percent.
    pub fn share(&self) -> f64 {
        let weight = |age: u32| 1.2 - 0.4 * f64::from(age) / f64::from(WINDOW - 1);
        let changed = (0..WINDOW).filter(|age| self.changes >> age & 1 == 1);
        changed.map(weight).sum::<f64>() / f64::from(WINDOW) * 100.0
    }

    /// Whether there is nothing to keep.
    pub fn is_quiet(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(runs: &str) -> String {
        let mut flapping = Flapping::default();
        let mut told = String::new();
        for run in runs.chars() {
            flapping.ran(run == 'F');
            told.push(if flapping.on() { '~' } else { '.' });
        }
        told
    }

    #[test]
    fn a_check_flaps_after_six_changes_and_is_steady_when_they_are_few_again() {
        assert_eq!(tell("PFPFPFPF"), "......~~");
        let told = tell(&format!("PFPFPFP{}", "P".repeat(20)));
        assert!(told.starts_with("......~"), "{told}");
        assert!(told.ends_with("...."), "{told}");
        assert_eq!(tell(&"F".repeat(40)), ".".repeat(40));
    }

    #[test]
    fn one_change_in_four_runs_is_no_flapping_once_it_is_steady() {
        let mut flapping = Flapping::default();
        for run in 0..200 {
            flapping.ran(run % 8 < 4);
            assert!(!flapping.on() || run < 20, "{run}: {}", flapping.share());
        }
    }
}
