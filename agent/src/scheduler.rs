//! The one timer of all checks: it says which check is due, at the second the wall clock says so.
//!
//! Deadlines are wall clock times, while timers run on a clock that a suspended machine stops and that nobody can set.
//! So the wall clock is compared with the timers every `LOOK` and before every answer; when the two disagree, all
//! deadlines are laid anew, and a check whose clock was put back does not fall silent ([`Beat::clock_put_back`]).

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use fletchck_shared::Tz;
use fletchck_shared::schedule::{Beat, FIRST_RUN_DELAY, Schedule, Trigger};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::time::{DelayQueue, delay_queue};

use crate::engine::Clock;

/// How often the wall clock is looked at while nothing is due.
const LOOK: Duration = Duration::from_secs(2);

/// From here on a difference between wall clock and timers is laid out anew: below it no run is noticeably off.
const SLIP: TimeDelta = TimeDelta::milliseconds(50);

/// From here on the wall clock was set; less is the daily business of keeping it right.
const PUT_BACK: TimeDelta = TimeDelta::seconds(1);

/// From one first run to the next, where many checks are loaded together. All at once they would keep each other waiting,
/// and so they would at every later run, for their grids would be the same.
const TURN: Duration = Duration::from_millis(5);

/// Longest that a first run waits for those before it.
const LONGEST_QUEUE: Duration = Duration::from_secs(60);

/// Longest timer, as a queue cannot hold one of years. A check that is due later is looked at in between.
const LONGEST_TIMER: Duration = Duration::from_secs(86_400);

/// Beats of any number of checks, each under its key, on one timer.
///
/// A key is cloned for every run: an `Arc` or a number suits best. 100,000 checks are no burden.
pub struct Scheduler<K> {
    entries: HashMap<K, Entry>,
    timers: DelayQueue<K>,
    look: Interval,
    clock: Clock,
    dice: Box<dyn FnMut() -> f64 + Send>,
    /// When there is room for one more first run, but for their delay, on the clock that nobody sets.
    queue: Duration,
    /// The two clocks when they last agreed.
    agreed: (Duration, DateTime<Utc>),
    /// Whether the clock was set, or the machine slept, and nobody was told yet.
    stepped: bool,
}

struct Entry {
    beat: Beat,
    timer: Option<delay_queue::Key>,
}

/// A check is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<K> {
    /// The check's key.
    pub key: K,
    /// When its run was due, with its jitter. Now is later by what the machine was busy or asleep.
    pub due: DateTime<Utc>,
    /// What to store with the run, and to hand to [`Scheduler::set`] after a restart.
    pub mark: DateTime<Utc>,
}

impl<K: Clone + Eq + Hash> Scheduler<K> {
    /// A scheduler on the system's clock. To be made within a runtime.
    pub fn new() -> Scheduler<K> {
        Scheduler::with(Clock::system(), rand::random)
    }

    /// A scheduler on any clock, with any source of random numbers from 0 to 1.
    pub fn with(clock: Clock, dice: impl FnMut() -> f64 + Send + 'static) -> Scheduler<K> {
        let now = Instant::now();
        let mut look = interval_at(now + LOOK, LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let agreed = (clock.passed(), clock.now());
        Scheduler {
            entries: HashMap::new(),
            timers: DelayQueue::new(),
            look,
            clock,
            dice: Box::new(dice),
            queue: agreed.0,
            agreed,
            stepped: false,
        }
    }

    /// Adds a check, or replaces its beat. See [`Beat::start`]: `resumed` is the mark stored last, `None` for a check that
    /// never ran or whose trigger was changed. First runs, and those that make up for missed ones, come one after another.
    pub fn set(&mut self, key: K, trigger: Arc<Trigger>, zone: Tz, resumed: Option<DateTime<Utc>>) {
        self.remove(&key);
        self.look_at_clock();
        let now = self.clock.now();
        let first = (now + FIRST_RUN_DELAY + self.queued(&trigger)).trunc_subsecs(3);
        let beat = Beat::start(trigger, zone, now, resumed, first, (self.dice)());
        if beat.due() == Some(first) {
            self.queue = self.queue.max(self.clock.passed()) + TURN;
        }
        let timer = lay(&mut self.timers, &key, &beat, now);
        self.entries.insert(key, Entry { beat, timer });
    }

    /// How long a first run waits for those before it. That of an interval waits for less than the interval, by which time
    /// the others come round again.
    fn queued(&self, trigger: &Trigger) -> TimeDelta {
        let longest = match trigger.schedule() {
            Schedule::Interval(interval) => interval.period().to_std().unwrap_or(LONGEST_QUEUE),
            Schedule::Cron(_) => LONGEST_QUEUE,
        };
        let queue = self.queue.saturating_sub(self.clock.passed()).as_millis();
        let wait = queue % longest.min(LONGEST_QUEUE).as_millis().max(1);
        TimeDelta::milliseconds(i64::try_from(wait).unwrap_or_default())
    }

    /// Takes a check out. Whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some(entry) = self.entries.remove(key) else { return false };
        if let Some(timer) = entry.timer {
            self.timers.remove(&timer);
        }
        true
    }

    /// When a check is due next. `None` for one that is not here, or whose trigger has ended.
    pub fn next_run(&self, key: &K) -> Option<DateTime<Utc>> {
        self.entries.get(key)?.beat.due()
    }

    /// The trigger a check runs under.
    pub fn trigger(&self, key: &K) -> Option<&Arc<Trigger>> {
        Some(self.entries.get(key)?.beat.trigger())
    }

    /// Waits for the next check that is due, which is then scheduled anew: a check that is still going is its caller's to
    /// skip. Waits for ever while there is none. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Due<K> {
        loop {
            tokio::select! {
                biased;
                Some(expired) = poll_fn(|cx| self.timers.poll_expired(cx)) => {
                    if let Some(due) = self.expired(expired.into_inner()) {
                        return due;
                    }
                }
                _ = self.look.tick() => self.look_at_clock(),
            }
        }
    }

    /// Whether the clock was set, or the machine slept, since this was last asked.
    pub fn clock_stepped(&mut self) -> bool {
        self.look_at_clock();
        std::mem::take(&mut self.stepped)
    }

    fn expired(&mut self, key: K) -> Option<Due<K>> {
        self.entries.get_mut(&key)?.timer = None;
        self.look_at_clock();
        let now = self.clock.now();
        let entry = self.entries.get_mut(&key)?;
        let fired = entry.beat.due().filter(|due| *due <= now);
        if fired.is_some() {
            entry.beat.fired(now, (self.dice)());
        }
        if entry.timer.is_none() {
            entry.timer = lay(&mut self.timers, &key, &entry.beat, now);
        }
        fired.map(|due| Due { key, due, mark: entry.beat.mark() })
    }

    /// Compares the wall clock with the timers and lays all timers anew if they disagree.
    fn look_at_clock(&mut self) {
        let (passed, now) = (self.clock.passed(), self.clock.now());
        let elapsed = passed.saturating_sub(self.agreed.0);
        let elapsed = TimeDelta::from_std(elapsed).unwrap_or(TimeDelta::MAX);
        let ahead = (now - self.agreed.1) - elapsed;
        if ahead.abs() < SLIP {
            return;
        }
        self.agreed = (passed, now);
        if ahead.abs() >= PUT_BACK {
            self.stepped = true;
            tracing::info!(
                seconds = ahead.num_seconds(),
                "the clock was changed, or the machine slept"
            );
        }
        for (key, entry) in &mut self.entries {
            if ahead <= -PUT_BACK {
                entry.beat.clock_put_back(now, -ahead, (self.dice)());
            }
            if let Some(timer) = entry.timer.take() {
                self.timers.remove(&timer);
            }
            entry.timer = lay(&mut self.timers, key, &entry.beat, now);
        }
    }
}

impl<K: Clone + Eq + Hash> Default for Scheduler<K> {
    fn default() -> Scheduler<K> {
        Scheduler::new()
    }
}

fn lay<K: Clone>(
    timers: &mut DelayQueue<K>,
    key: &K,
    beat: &Beat,
    now: DateTime<Utc>,
) -> Option<delay_queue::Key> {
    let wait = (beat.due()? - now).to_std().unwrap_or_default();
    Some(timers.insert(key.clone(), wait.min(LONGEST_TIMER)))
}
