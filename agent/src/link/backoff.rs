//! How long to wait before the next try.

use std::time::Duration;

use rand::Rng;

/// Longest wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);

/// Longest wait of all, where the settings do not say otherwise.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// Longest wait while no packet leaves this machine: no network, no name resolved. Trying costs nobody anything, and
/// the network's return is noticed soon.
const LONGEST_NEAR: Duration = Duration::from_secs(5);

/// Endless exponential back-off with full jitter: each wait is random between nothing and a bound that doubles, so that
/// a fleet that lost its broker does not return in step.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    failures: u32,
    longest: Duration,
}

impl Backoff {
    /// Waits of at most `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self { failures: 0, longest }
    }

    /// The wait after one more failure. `near`: no packet left this machine.
    pub(super) fn next(&mut self, near: bool, random: &mut impl Rng) -> Duration {
        let bound = self.bound(near);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random.random_range(0.0..=1.0))
    }

    /// Begins anew, after a connection that held.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self, near: bool) -> Duration {
        let longest = if near { LONGEST_NEAR.min(self.longest) } else { self.longest };
        FIRST.saturating_mul(1 << self.failures.min(16)).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(near: bool) -> Vec<u64> {
        let mut backoff = Backoff::new(LONGEST);
        let bound = |_| {
            let bound = backoff.bound(near);
            assert!(backoff.next(near, &mut rand::rng()) <= bound);
            bound.as_secs()
        };
        (0..9).map(bound).collect()
    }

    #[test]
    fn waits_double_to_a_minute_and_then_stay() {
        assert_eq!(bounds(false), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(bounds(true), [1, 2, 4, 5, 5, 5, 5, 5, 5]);
    }

    #[test]
    fn it_never_ends() {
        let mut backoff = Backoff { failures: u32::MAX, longest: LONGEST };
        assert!(backoff.next(false, &mut rand::rng()) <= LONGEST);
        backoff.reset();
        assert_eq!(backoff.bound(false), FIRST);
    }
}
