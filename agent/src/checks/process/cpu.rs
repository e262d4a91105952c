//! Processor time that processes take between two looks.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::proc::{Stat, seconds, up};

/// The processor times of processes at one moment.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) at: Instant,
    /// How long the machine had run.
    up: Duration,
    /// Of each its clock ticks. A number may be another's later, who then was started later.
    ticks: HashMap<(u32, u64), u64>,
}

impl Default for Times {
    fn default() -> Self {
        Self { at: Instant::now(), up: up(), ticks: HashMap::new() }
    }
}

impl Times {
    pub(super) fn add(&mut self, pid: u32, stat: &Stat) {
        self.ticks.insert((pid, stat.start), stat.ticks);
    }

    /// The time that these processes took since then, in percent of one core. Of one that has ended meanwhile nothing is
    /// known; one that was started meanwhile took all its time in between.
    pub(super) fn since(&self, before: &Self) -> f64 {
        let took = |(key, ticks): (&(u32, u64), &u64)| match before.ticks.get(key) {
            Some(then) => ticks.saturating_sub(*then),
            None if seconds(key.1) >= before.up.as_secs_f64() => *ticks,
            None => 0,
        };
        let took: u64 = self.ticks.iter().map(took).sum();
        let span = self.at.saturating_duration_since(before.at).as_secs_f64();
        100.0 * seconds(took) / span.max(0.001)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_between_the_looks_counts() {
        let at = Instant::now();
        let second = seconds(1).recip() as u64;
        let times = |after: u64, ticks: &[(u32, u64, u64)]| Times {
            at: at + Duration::from_secs(after),
            up: Duration::from_secs(100 + after),
            ticks: ticks
                .iter()
                .map(|(pid, start, ticks)| ((*pid, start * second), *ticks))
                .collect(),
        };
        let before = times(0, &[(1, 10, 1000), (2, 20, 500)]);
        assert_eq!(times(2, &[(1, 10, 1000), (2, 20, 500)]).since(&before), 0.0);
        assert_eq!(times(2, &[(1, 10, 1000 + second)]).since(&before), 50.0);
        // The number 2 has become that of another, and 3 was there before without being meant.
        let after = times(2, &[(1, 10, 1000 + second), (2, 101, 2 * second), (3, 99, 7000)]);
        assert_eq!(after.since(&before), 150.0);
    }
}
