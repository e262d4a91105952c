//! One run of one check: its tries, each within its limit, and one outcome that explains itself.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Outcome, Phase, Tz, Verdict};
use futures_util::FutureExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tracing::{Span, debug, error, field::Empty, instrument};

use crate::checks::{Before, Look, Probe};

/// Bounds on the probes that look at once.
///
/// Whoever waits is served in the order of arrival. A check whose last run hung to its limit may take at most three in
/// four of the places, so that targets which hang in a body leave some to those which answer; where there is but one, they
/// share it. What asks this machine alone
/// has places of its own.
#[derive(Clone, Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    local: Arc<Semaphore>,
    suspects: Arc<Semaphore>,
}

/// Places of looks at this machine.
const LOCAL: usize = 64;

/// A run that is due.
#[derive(Clone)]
pub struct Turn {
    /// The check's name.
    pub name: CheckName,
    /// What looks.
    pub probe: Arc<dyn Probe>,
    /// Tries in this run; 1 or more.
    pub retries: u32,
    /// Zone of times in its log.
    pub zone: Tz,
    /// How the check stood before.
    pub before: Before,
    /// Whether its last run hung to its limit.
    pub suspect: bool,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it saw.
    pub outcome: Outcome,
    /// Whether the last try hung to its limit, or for the better part of it.
    pub hung: bool,
}

impl Places {
    /// As many places as this; at least one.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        Self {
            all: Arc::new(Semaphore::new(places)),
            local: Arc::new(Semaphore::new(LOCAL)),
            suspects: Arc::new(Semaphore::new((places * 3 / 4).max(1))),
        }
    }

    async fn take(
        &self,
        suspect: bool,
        local: bool,
    ) -> (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>) {
        if local {
            return (None, self.local.clone().acquire_owned().await.ok());
        }
        // The semaphores are never closed, so a place is always got in the end.
        let first = if suspect { self.suspects.clone().acquire_owned().await.ok() } else { None };
        (first, self.all.clone().acquire_owned().await.ok())
    }
}

impl Turn {
    /// Runs. The place comes before the socket: a burst of triggers would otherwise use up file descriptors while it
    /// waits.
    #[instrument(name = "turn", skip_all, fields(check.name = %self.name, verdict = Empty, took_ms = Empty))]
    pub async fn run(
        &self,
        places: &Places,
        clock: &(dyn Fn() -> DateTime<Utc> + Send + Sync),
    ) -> Ended {
        let _place = places.take(self.suspect, self.probe.local()).await;
        let at = clock();
        let began = Instant::now();
        let mut log = Vec::new();
        let mut tried = 1;
        let mut ended = self.look(at).await;
        while ended.outcome.verdict == Verdict::Fail
            && ended.outcome.soft_fail.is_none()
            && tried < self.retries
        {
            tried += 1;
            log.push(format!("Retry {tried}/{}", self.retries));
            ended = self.look(at).await;
        }
        let mut outcome = ended.outcome;
        if tried > 1 {
            log.append(&mut outcome.log);
            if outcome.verdict == Verdict::Fail {
                log.push(format!("Failed after {tried} tries"));
            }
            outcome.log = log;
        }
        outcome.at = at;
        outcome.took = began.elapsed();
        Span::current().record("verdict", format!("{:?}", outcome.verdict));
        Span::current()
            .record("took_ms", u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX));
        debug!("{}", outcome.text);
        Ended { outcome: outcome.bounded(), hung: ended.hung }
    }

    async fn look(&self, at: DateTime<Utc>) -> Ended {
        let look = Look { name: &self.name, now: at, zone: self.zone, before: &self.before };
        let limit = self.probe.limit();
        let began = Instant::now();
        let looked = AssertUnwindSafe(self.probe.look(&look)).catch_unwind();
        match timeout(limit, looked).await {
            // A probe with a timeout of its own ends a little before its limit.
            Ok(Ok(outcome)) => {
                let took = began.elapsed();
                Ended { outcome: in_parts(outcome, took), hung: took * 2 >= limit }
            }
            Ok(Err(_panic)) => {
                // A fault of this program must neither end it nor look like a fault of the target.
                error!("the probe of `{}` broke down; please report this", self.name);
                let text = "this check's own code broke down, its target was not judged";
                Ended { outcome: Outcome::fail(text).log([text.into()]), hung: false }
            }
            Err(_elapsed) => Ended { outcome: no_answer(limit, began.elapsed()), hung: true },
        }
    }
}

fn no_answer(limit: Duration, took: Duration) -> Outcome {
    let text = format!("no answer within {} s", limit.as_secs_f64());
    in_parts(Outcome::fail(&text).log([text.clone()]), took)
}

/// An outcome whose look is in parts; one that tells none is one part.
fn in_parts(outcome: Outcome, took: Duration) -> Outcome {
    if outcome.phases.is_empty() {
        return outcome.phases(vec![Phase { name: "look".into(), took }]);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    struct Scripted {
        limit: Duration,
        looks: AtomicUsize,
        script: fn(usize) -> Option<Outcome>,
    }

    #[async_trait]
    impl Probe for Scripted {
        async fn look(&self, _: &Look<'_>) -> Outcome {
            match (self.script)(self.looks.fetch_add(1, Ordering::Relaxed)) {
                Some(outcome) => outcome,
                None => std::future::pending().await,
            }
        }

        fn limit(&self) -> Duration {
            self.limit
        }
    }

    fn turn(retries: u32, script: fn(usize) -> Option<Outcome>) -> Turn {
        let probe = Scripted { limit: Duration::from_secs(5), looks: AtomicUsize::new(0), script };
        Turn {
            name: CheckName::try_from("a").expect("a name"),
            probe: Arc::new(probe),
            retries,
            zone: Tz::UTC,
            before: Before::default(),
            suspect: false,
        }
    }

    async fn run(turn: &Turn) -> Ended {
        turn.run(&Places::new(4), &|| DateTime::UNIX_EPOCH).await
    }

    #[tokio::test(start_paused = true)]
    async fn tries_stop_at_the_first_pass() {
        let turn = turn(5, |n| {
            Some(if n < 2 { Outcome::fail("no").log(["no".into()]) } else { Outcome::pass("yes") })
        });
        let ended = run(&turn).await;
        assert_eq!(ended.outcome.verdict, Verdict::Pass);
        assert_eq!(ended.outcome.log, ["Retry 2/5", "Retry 3/5"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_tells_no_parts_is_one() {
        let ended = run(&turn(1, |_| Some(Outcome::pass("yes")))).await;
        let names: Vec<_> = ended.outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["look"]);
    }

    #[tokio::test(start_paused = true)]
    async fn tries_stop_where_trying_cannot_help() {
        let ended =
            run(&turn(5, |_| Some(Outcome::fail("expired").soft_fail("certificate")))).await;
        assert!(ended.outcome.log.is_empty());
        let ended = run(&turn(2, |_| Some(Outcome::fail("no").log(["no".into()])))).await;
        assert_eq!(ended.outcome.log, ["Retry 2/2", "no", "Failed after 2 tries"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_hangs_is_an_outcome_after_its_limit() {
        let began = Instant::now();
        let ended = run(&turn(1, |_| None)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        assert!(ended.hung);
        assert_eq!(ended.outcome.text, "no answer within 5 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_gives_up_by_itself_after_a_long_wait_hung() {
        struct Patient;

        #[async_trait]
        impl Probe for Patient {
            async fn look(&self, _: &Look<'_>) -> Outcome {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Outcome::fail("no answer within 5 s")
            }

            fn limit(&self) -> Duration {
                Duration::from_millis(5500)
            }
        }

        let turn = Turn { probe: Arc::new(Patient), ..turn(1, |_| None) };
        assert!(run(&turn).await.hung);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_panics_is_an_outcome() {
        let ended = run(&turn(1, |_| panic!("a fault of ours"))).await;
        assert_eq!(ended.outcome.verdict, Verdict::Fail);
    }

    #[tokio::test(start_paused = true)]
    async fn this_machine_is_looked_at_whatever_hangs_elsewhere() {
        struct Here;

        #[async_trait]
        impl Probe for Here {
            async fn look(&self, _: &Look<'_>) -> Outcome {
                Outcome::pass("yes")
            }

            fn limit(&self) -> Duration {
                Duration::from_secs(5)
            }

            fn local(&self) -> bool {
                true
            }
        }

        let places = Places::new(4);
        for _ in 0..20 {
            let (turn, places) = (turn(1, |_| None), places.clone());
            tokio::spawn(async move { turn.run(&places, &|| DateTime::UNIX_EPOCH).await });
        }
        tokio::task::yield_now().await;
        let began = Instant::now();
        let here = Turn { probe: Arc::new(Here), suspect: true, ..turn(1, |_| None) };
        here.run(&places, &|| DateTime::UNIX_EPOCH).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_look_at_once_than_may_however_few_that_are() {
        for (places, together) in [(1, 1), (2, 2), (3, 3)] {
            let places = Places::new(places);
            let began = Instant::now();
            let runs = (0..6).map(|_| {
                let (turn, places) = (turn(1, |_| None), places.clone());
                tokio::spawn(async move { turn.run(&places, &|| DateTime::UNIX_EPOCH).await })
            });
            for run in runs.collect::<Vec<_>>() {
                run.await.expect("no panic");
            }
            assert_eq!(began.elapsed(), Duration::from_secs(5) * 6 / together);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_place_is_enough_for_a_target_that_hung() {
        let mut hung = turn(1, |_| Some(Outcome::pass("yes")));
        hung.suspect = true;
        let ended = hung.run(&Places::new(1), &|| DateTime::UNIX_EPOCH).await;
        assert_eq!(ended.outcome.verdict, Verdict::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_targets_leave_places_to_those_that_answer() {
        let places = Places::new(4);
        let mut hanging = turn(1, |_| None);
        hanging.suspect = true;
        for _ in 0..20 {
            let (turn, places) = (hanging.clone(), places.clone());
            tokio::spawn(async move { turn.run(&places, &|| DateTime::UNIX_EPOCH).await });
        }
        tokio::task::yield_now().await;
        let began = Instant::now();
        let quick = turn(1, |_| Some(Outcome::pass("yes")));
        quick.run(&places, &|| DateTime::UNIX_EPOCH).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
