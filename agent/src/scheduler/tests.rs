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
