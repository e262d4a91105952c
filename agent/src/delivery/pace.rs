//! How often an action may tell, and how long it waits for more to tell at once.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::config;
use tokio::time::Instant;

/// How long an action whose messages people read waits for more to tell in the same one.
const GATHER: Duration = Duration::from_secs(5);

/// Most messages in an hour of such an action.
const RATE: u32 = 60;

/// Share of an hour's messages that may come at once.
const BURST: f64 = 0.2;

const HOUR: f64 = 3600.0;

/// What was told for so long is remembered, so that a failure that spreads is not told drop by drop.
const RECENT: Duration = Duration::from_secs(300);

/// Where more checks than this were told of lately, the action waits for so many times as long for more.
const SPREADING: [(usize, i32); 2] = [(20, 12), (5, 4)];

/// How often an action may tell, and how long it waits for more to tell at once.
#[derive(Debug)]
pub(super) struct Pace {
    gather: TimeDelta,
    /// Whether it waits for longer while a failure spreads; no longer than its owner said.
    grows: bool,
    /// When it told of how many checks lately.
    recent: VecDeque<(Instant, usize)>,
    /// Whether each check is told of in a message of its own.
    alone: bool,
    /// Messages in an hour; `None`: any number.
    rate: Option<f64>,
    /// Messages that may be sent now, as of `counted`.
    left: f64,
    counted: Instant,
    /// The first of what it waited with last, and since when.
    first: Option<(i64, Instant)>,
}

impl Pace {
    pub(super) fn new(gathers: bool, rules: &config::Delivery) -> Self {
        let gather = rules.gather.unwrap_or(if gathers { GATHER } else { Duration::ZERO });
        let rate = rules.rate.or(gathers.then_some(RATE)).filter(|rate| *rate > 0).map(f64::from);
        let mut pace = Self {
            gather: TimeDelta::from_std(gather).unwrap_or_default(),
            grows: rules.gather.is_none(),
            recent: VecDeque::new(),
            // Who has it wait for more wants that in the same message.
            alone: !gathers && gather.is_zero(),
            rate,
            left: 0.0,
            counted: Instant::now(),
            first: None,
        };
        pace.left = pace.burst();
        pace
    }

    /// Whether each check is told of in a message of its own.
    pub(super) fn alone(&self) -> bool {
        self.alone
    }

    /// How long to wait for more, where the first of what there is to tell has this id and was made at `made`. A clock that
    /// was set does not make it longer than it ever is.
    pub(super) fn gathering(
        &mut self,
        id: i64,
        made: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Duration {
        let same = self.first.filter(|(known, _)| *known == id);
        let (_, since) = *self.first.insert(same.unwrap_or_else(|| (id, Instant::now())));
        let waited = TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX);
        let window = self.window();
        (window - waited.max(now - made).min(window)).to_std().unwrap_or_default()
    }

    /// How long to wait for more in all. It grows with what was told lately: what fails with a common cause is not seen to
    /// fail at once, but as each check comes to its turn.
    fn window(&mut self) -> TimeDelta {
        if !self.grows {
            return self.gather;
        }
        while self.recent.pop_front_if(|(at, _)| at.elapsed() >= RECENT).is_some() {}
        let lately: usize = self.recent.iter().map(|(_, checks)| checks).sum();
        let spreading = SPREADING.iter().find(|(more, _)| lately > *more);
        self.gather * spreading.map_or(1, |(_, times)| *times)
    }

    /// How long to wait until one more message may be sent.
    pub(super) fn wait(&mut self) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let now = Instant::now();
        let passed = now.duration_since(self.counted).as_secs_f64();
        self.left = (self.left + passed * rate / HOUR).min(self.burst());
        self.counted = now;
        if self.left >= 1.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.left) * HOUR / rate)
    }

    /// One message was sent.
    pub(super) fn sent(&mut self) {
        self.left = (self.left - 1.0).max(0.0);
    }

    /// So many checks were told of.
    pub(super) fn told(&mut self, checks: usize) {
        if self.grows {
            self.recent.push_back((Instant::now(), checks));
        }
    }

    fn burst(&self) -> f64 {
        self.rate.map_or(1.0, |rate| (rate * BURST).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_messages_is_slowed_down_and_may_burst_again_after_a_rest() {
        let rules = config::Delivery { rate: Some(10), ..config::Delivery::default() };
        let mut pace = Pace::new(true, &rules);
        let mut sent = 0;
        while pace.wait().is_zero() {
            pace.sent();
            sent += 1;
        }
        assert_eq!((sent, pace.wait()), (2, Duration::from_secs(360)));
        // What was sent beyond it is no debt.
        (0..1000).for_each(|_| pace.sent());
        assert_eq!(pace.wait(), Duration::from_secs(360));
        tokio::time::advance(Duration::from_secs(360)).await;
        assert_eq!(pace.wait(), Duration::ZERO);
        let unbounded = config::Delivery { rate: Some(0), ..config::Delivery::default() };
        let mut pace = Pace::new(true, &unbounded);
        (0..1000).for_each(|_| pace.sent());
        assert_eq!(pace.wait(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_close_together_is_gathered_whatever_the_clock_does() {
        let mut pace = Pace::new(true, &config::Delivery::default());
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        assert_eq!(pace.gathering(1, now, now), GATHER);
        assert_eq!(pace.gathering(2, now - TimeDelta::seconds(3), now), Duration::from_secs(2));
        assert_eq!(pace.gathering(3, now - TimeDelta::days(1), now), Duration::ZERO);
        assert_eq!(pace.gathering(4, now + TimeDelta::days(1), now), GATHER);
        // It was set back, and stays so.
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(pace.gathering(4, now + TimeDelta::days(1), now), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pace.gathering(4, now + TimeDelta::days(1), now), Duration::ZERO);
        let mut alone = Pace::new(false, &config::Delivery::default());
        assert_eq!(alone.gathering(5, now, now), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn more_is_waited_for_while_a_failure_spreads_but_where_its_owner_said_how_long() {
        let now = DateTime::UNIX_EPOCH;
        let told = config::Delivery { gather: Some(GATHER), ..config::Delivery::default() };
        let (mut pace, mut fixed) =
            (Pace::new(true, &config::Delivery::default()), Pace::new(true, &told));
        // Checks that a letter tells of, seconds until the next, and how long is waited for more then.
        for (id, (checks, pass, wait)) in (0_i64..).zip([
            (5, 5, 5),
            (1, 20, 20),
            (14, 20, 20),
            (1, 60, 60),
            (500, 299, 60),
            (0, 1, 5),
            (21, 100, 60),
            (1, 200, 5),
        ]) {
            pace.told(checks);
            fixed.told(checks);
            tokio::time::advance(Duration::from_secs(pass)).await;
            assert_eq!(pace.gathering(id, now, now), Duration::from_secs(wait), "{id}");
            assert_eq!(fixed.gathering(id, now, now), GATHER, "{id}");
        }
        let mut alone = Pace::new(false, &config::Delivery::default());
        alone.told(1000);
        assert_eq!(alone.gathering(0, now, now), Duration::ZERO);
    }
}
