//! For how long this site could hear others, over its lives: so that one that is started anew all the time misses them, too.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::core::Core;
use crate::{link::BACK_WITHIN, store::Life};

/// How long everyone has to be heard after this site was away, or the whole of their time, if that is less.
const LISTEN: TimeDelta = TimeDelta::minutes(10);

/// How much more must have been listened for before that is stored again.
const NOTED: TimeDelta = TimeDelta::seconds(15);

/// For how long this site could hear others, in this life and before.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    /// Earlier lives, the last one last.
    earlier: Vec<Life>,
    /// This one.
    life: Life,
    /// Up to where this one is counted, by the clock that nobody sets.
    counted: Duration,
    /// How much of this one is stored.
    noted: TimeDelta,
}

impl Listening {
    /// A life that begins at this time, after these.
    pub(super) fn begin(mut earlier: Vec<Life>, now: DateTime<Utc>, passed: Duration) -> Self {
        // A life from a time that is to come began by another clock.
        earlier.retain(|life| life.began <= now);
        let life = Life { began: now, listened: 0 };
        Self { earlier, life, counted: passed, noted: TimeDelta::zero() }
    }

    /// How long whoever was heard last at a time has to be heard after the start of this life, of so much patience: what
    /// they were listened for in lives since then counts, but everyone has time to come back to the broker.
    pub(super) fn grace(&self, heard: DateTime<Utc>, patience: TimeDelta) -> TimeDelta {
        let since = self.earlier.iter().filter(|life| life.began > heard);
        let listened = since.map(Life::listened).fold(TimeDelta::zero(), |all, one| all + one);
        let back = TimeDelta::from_std(BACK_WITHIN).unwrap_or(LISTEN);
        (LISTEN - listened).max(back).min(patience)
    }

    /// Time has passed, and others could be `heard` in it or not. The lives to store, where that is worth it.
    fn pass(&mut self, passed: Duration, heard: bool) -> Option<Vec<Life>> {
        let more = passed.saturating_sub(std::mem::replace(&mut self.counted, passed));
        if heard {
            let more = i64::try_from(more.as_millis()).unwrap_or(i64::MAX);
            self.life.listened = self.life.listened.saturating_add(more);
        }
        let listened = self.life.listened();
        // More than that makes no difference any more.
        if self.noted >= LISTEN || listened - self.noted < NOTED {
            return None;
        }
        self.noted = listened;
        let mut all = TimeDelta::zero();
        let lives = self.earlier.iter().chain([&self.life]).rev();
        let mut lives: Vec<_> = lives
            .take_while(|life| {
                let wanted = all < LISTEN;
                all += life.listened();
                wanted
            })
            .copied()
            .collect();
        lives.reverse();
        Some(lives)
    }

    /// The clock was set: what was listened for by it says nothing of when.
    fn forget(&mut self, now: DateTime<Utc>) {
        self.earlier.clear();
        self.life = Life { began: now, listened: 0 };
        self.noted = TimeDelta::zero();
    }
}

impl Core {
    /// Counts the time since this was last done, and notes it for later lives.
    pub(super) fn listen(&mut self) {
        let needs_broker = self.identity.publish.is_some();
        let heard = !needs_broker || (self.broker_seen && self.broker_away.is_none());
        let lives = self.listening.pass(self.identity.clock.passed(), heard);
        if lives.is_some() && self.entries.values().any(|entry| entry.patience().is_some()) {
            self.batch.lives = lives;
        }
    }

    pub(super) fn listen_anew(&mut self) {
        let now = self.now();
        self.listening.forget(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_lives_add_up_and_no_more_of_them_is_kept_than_counts() {
        let begin = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let (hour, minutes) = (TimeDelta::hours(1), |minutes| TimeDelta::minutes(minutes));
        let mut lives = Vec::new();
        let mut graces = Vec::new();
        for number in 1..=12 {
            let now = begin + minutes(3 * number);
            let mut listening = Listening::begin(lives.clone(), now, Duration::ZERO);
            graces.push(listening.grace(begin, hour).num_seconds());
            // Nothing of a life is heard before the broker is there.
            assert_eq!(listening.pass(Duration::from_secs(30), false), None);
            assert_eq!(listening.pass(Duration::from_secs(40), true), None);
            lives = listening.pass(Duration::from_secs(150), true).expect("noted");
        }
        assert_eq!(graces, [600, 480, 360, 240, 120, 120, 120, 120, 120, 120, 120, 120]);
        assert_eq!(lives.len(), 5);
        let later = Listening::begin(lives.clone(), begin + hour, Duration::ZERO);
        assert_eq!(later.grace(begin + minutes(33), hour), minutes(8), "heard since");
        assert_eq!(later.grace(begin, minutes(1)), minutes(1), "the whole of their time");
        // What began by another clock counts for nobody.
        let earlier = Listening::begin(lives, begin, Duration::ZERO);
        assert_eq!(earlier.grace(begin - hour, hour), LISTEN);
    }
}
