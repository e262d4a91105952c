//! When a part of the site is looked after again.

use std::time::Duration;

use tokio::time::Instant;

/// Pause after the first time that something was wrong; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);

/// Longest pause while something is wrong.
const LONGEST: Duration = Duration::from_secs(60);

/// Pause while nothing is: certificates are renewed without a word.
const LOOK: Duration = Duration::from_secs(30);

/// When a part of the site is looked after again: soon after something went wrong, then more and more seldom.
#[derive(Debug)]
pub(super) struct Round {
    due: Instant,
    pause: Duration,
}

impl Round {
    /// At once.
    pub(super) fn now() -> Self {
        Self { due: Instant::now(), pause: FIRST }
    }

    /// When it is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// It was looked after, and everything is well with it or not.
    pub(super) fn done(&mut self, well: bool) {
        let pause = if well { LOOK } else { self.pause };
        self.pause = if well { FIRST } else { (2 * self.pause).min(LONGEST) };
        self.due = Instant::now() + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_minute_and_begin_anew_once_all_is_well() {
        let mut round = Round::now();
        assert_eq!(round.due(), Instant::now());
        let mut pause = |well| {
            round.done(well);
            (round.due() - Instant::now()).as_secs()
        };
        let growing: Vec<_> = (0..8).map(|_| pause(false)).collect();
        assert_eq!(growing, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!([pause(true), pause(true), pause(false), pause(false)], [30, 30, 1, 2]);
    }
}
