//! The one timer of all checks: it says which check is due, at the second the wall clock says so.
//!
//! Deadlines are wall clock times, while timers run on a clock that a suspended machine stops and that nobody can set.
//! So the wall clock is compared with the timers every `LOOK` and before every answer; when the two disagree, all
//! deadlines are laid anew, and a check whose clock was put back does not fall silent ([`Beat::clock_put_back`]).

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use chrono_tz::Tz;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// A wall clock that keeps pace with the paused timers and can be set.
    #[derive(Clone)]
    struct Wall {
        begin: Instant,
        set_by: Arc<AtomicI64>,
    }

    impl Wall {
        fn new() -> Wall {
            Wall { begin: Instant::now(), set_by: Arc::default() }
        }

        fn now(&self) -> DateTime<Utc> {
            let elapsed = TimeDelta::from_std(self.begin.elapsed()).expect("short");
            at("2026-11-23T10:00:00Z")
                + elapsed
                + TimeDelta::seconds(self.set_by.load(Ordering::Relaxed))
        }

        fn set_by(&self, seconds: i64) {
            self.set_by.fetch_add(seconds, Ordering::Relaxed);
        }

        fn scheduler(&self) -> Scheduler<u32> {
            let wall = self.clone();
            // A fixed sequence that covers the range evenly: 0.0, 0.7, 0.4, 0.1, 0.8, ...
            let mut roll = 0;
            let dice = move || {
                roll = (roll + 7) % 10;
                f64::from(roll) / 10.0
            };
            let begin = Instant::now();
            Scheduler::with(Clock::new(move || wall.now(), move || begin.elapsed()), dice)
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn every(text: &str) -> Arc<Trigger> {
        Arc::new(text.parse().expect(text))
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_stay_ten_seconds_over_an_hour() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("10 sec"), Tz::UTC, None);
        let first = at("2026-11-23T10:00:01Z");
        let mut before = None;
        for run in 0..360 {
            let due = scheduler.next().await;
            let off = wall.now() - (first + TimeDelta::seconds(10 * run));
            assert!(off.abs() <= TimeDelta::milliseconds(1002), "run {run} is off by {off}");
            assert_eq!(due.mark, first + TimeDelta::seconds(10 * run));
            if let Some(before) = before.replace(wall.now()) {
                assert!(wall.now() - before >= TimeDelta::seconds(8), "run {run}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_checks_that_are_loaded_together_do_not_run_together() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        // Beside 1,000 new ones, 500 that were missed while nothing ran.
        for key in 0..1500 {
            let missed = key % 3 == 2;
            let trigger = every(if missed { "10 hr" } else { "10 sec" });
            scheduler.set(key, trigger, Tz::UTC, missed.then(|| at("2026-11-22T10:00:00Z")));
        }
        let mut firsts = [0; 8];
        for _ in 0..1500 {
            scheduler.next().await;
            let since = wall.now() - at("2026-11-23T10:00:01Z");
            firsts[usize::try_from(since.num_seconds()).expect("after the start")] += 1;
        }
        assert_eq!(firsts, [200, 200, 200, 200, 200, 200, 200, 100]);
        // However many there are, an interval waits for no more than itself.
        for key in 0..3000 {
            scheduler.set(key, every("10 sec"), Tz::UTC, None);
            let wait = scheduler.next_run(&key).expect("it runs") - wall.now();
            assert!(wait <= TimeDelta::milliseconds(11_001), "{wait}");
        }
        // A few are not made to wait, and those that are loaded later find nobody before them.
        tokio::time::sleep(Duration::from_secs(60)).await;
        for key in 3000..3010 {
            scheduler.set(key, every("10 sec"), Tz::UTC, None);
            let wait = scheduler.next_run(&key).expect("it runs") - wall.now();
            assert!(wait <= TimeDelta::milliseconds(1_050), "{wait}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_runs_each_check_once_and_goes_on() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("10 min"), Tz::UTC, None);
        scheduler.set(2, every("cron 3 hr 0 jitter"), Tz::UTC, Some(at("2026-11-23T03:00:00Z")));
        assert_eq!(scheduler.next().await.key, 1);
        assert_eq!(scheduler.next_run(&2), Some(at("2026-11-24T03:00:00Z")));
        wall.set_by(20 * 3600);
        let mut seen = vec![scheduler.next().await.key, scheduler.next().await.key];
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
        assert!(
            wall.now() - at("2026-11-24T06:00:01Z") < TimeDelta::seconds(3),
            "noticed within seconds"
        );
        assert_eq!(scheduler.next_run(&2), Some(at("2026-11-25T03:00:00Z")));
        assert_eq!(scheduler.next().await.key, 1);
        let off = wall.now() - at("2026-11-24T06:10:01Z");
        assert!(off.abs() <= TimeDelta::milliseconds(5002), "back on the grid, off by {off}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_put_forward_to_the_hour_runs_what_the_hour_asks_for() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("cron 3 hr 0 jitter"), Tz::UTC, None);
        wall.set_by(16 * 3600 + 3590);
        scheduler.next().await;
        assert_eq!(wall.now(), at("2026-11-24T03:00:00Z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_put_back_silences_nobody() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("10 sec"), Tz::UTC, None);
        scheduler.set(2, every("cron */5 min"), Tz::UTC, None);
        for _ in 0..100 {
            scheduler.next().await;
        }
        wall.set_by(-86_400);
        let begin = Instant::now();
        let (mut tens, mut fives) = (0, 0);
        while begin.elapsed() < Duration::from_secs(1800) {
            match scheduler.next().await.key {
                1 => tens += 1,
                _ => fives += 1,
            }
        }
        assert!((179..=181).contains(&tens), "{tens} runs of the 180");
        assert!((5..=7).contains(&fives), "{fives} runs of the 6");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_clock_is_told_once() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        assert!(!scheduler.clock_stepped());
        for seconds in [3600, -3600] {
            wall.set_by(seconds);
            assert!(scheduler.clock_stepped());
            assert!(!scheduler.clock_stepped());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_clock_is_followed() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("cron 11 hr 0 jitter"), Tz::UTC, None);
        let slowed = wall.clone();
        tokio::spawn(async move {
            for _ in 0..60 {
                tokio::time::sleep(Duration::from_secs(60)).await;
                slowed.set_by(-1);
            }
        });
        scheduler.next().await;
        assert!((wall.now() - at("2026-11-23T11:00:00Z")).abs() <= TimeDelta::milliseconds(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_removed_or_replaced_does_not_run() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("10 sec"), Tz::UTC, None);
        scheduler.set(2, every("10 sec"), Tz::UTC, None);
        scheduler.set(2, every("10 hr"), Tz::UTC, Some(wall.now()));
        assert!(scheduler.remove(&1));
        assert!(!scheduler.remove(&1));
        assert_eq!(scheduler.next_run(&1), None);
        let due = scheduler.next().await;
        assert_eq!(due.key, 2);
        assert!((wall.now() - at("2026-11-23T20:00:00Z")).abs() <= TimeDelta::milliseconds(5002));
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_or_distant_trigger_waits_without_harm() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("5 min 2026-01-01 end"), Tz::UTC, None);
        scheduler.set(2, every("cron 2222 year 0 jitter"), Tz::UTC, None);
        scheduler.set(3, every("cron 2026 year 25 day 0 jitter"), Tz::UTC, None);
        assert_eq!(scheduler.next_run(&1), None);
        assert_eq!(scheduler.next_run(&2), Some(at("2222-01-01T00:00:00Z")));
        let due = scheduler.next().await;
        assert_eq!((due.key, wall.now()), (3, at("2026-11-25T00:00:00Z")));
        let nothing = tokio::time::timeout(Duration::from_secs(60), scheduler.next()).await;
        assert!(nothing.is_err(), "nothing is due for long: {nothing:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_given_up_loses_nothing() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        scheduler.set(1, every("10 sec"), Tz::UTC, None);
        let mut runs = 0;
        while wall.now() < at("2026-11-23T10:10:00Z") {
            if tokio::time::timeout(Duration::from_millis(130), scheduler.next()).await.is_ok() {
                runs += 1;
            }
        }
        assert!((60..=61).contains(&runs), "{runs}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_thousand_checks_run_once_each_minute() {
        let wall = Wall::new();
        let mut scheduler = wall.scheduler();
        let trigger = every("1 min");
        for key in 0..100_000 {
            let earlier = TimeDelta::milliseconds(i64::from(key) * 60_000 / 100_000);
            scheduler.set(key, trigger.clone(), Tz::UTC, Some(wall.now() - earlier));
        }
        let mut runs = 0;
        while wall.now() < at("2026-11-23T10:01:30Z") {
            scheduler.next().await;
            runs += 1;
        }
        assert!((145_000..=155_000).contains(&runs), "{runs} runs in a minute and a half");
    }
}
