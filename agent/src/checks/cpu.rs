//! `cpu`: how busy the processors are, over all cores and since the last look.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use sysinfo::System;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    limit::{Limit, PERCENT, WARN, WARN_ALERTS, padded},
};

/// The entry of `cpu` in the table.
pub const KIND: Kind = Kind {
    name: "cpu",
    summary: "how busy the processors are, on average since the last run",
    options: &[
        Opt::number("level", "80", "limit of the time not idle, percent"),
        Opt::number(
            "hysteresis",
            "5",
            "a failing check passes once it is this far below the level, percent",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The processors had time to spare, on average over all cores since the last run.",
        leaves_open: "Whether one core is busy all the time, and whether programs wait for disks: see `load`.",
        failure: "The sentence says how busy they were.",
        matters: "`threshold`, for a busy machine is no fault until it stays busy.",
    },
    example: r#"{"type": "cpu", "trigger": {"interval": {"minutes": 5}}, "threshold": 2, "options": {"level": 75}}"#,
    build,
};

/// Shortest span that is measured: the first look waits for it, and so does one soon after another. Shorter spans are
/// chance, and below 200 ms sysinfo repeats its last number.
const SPAN: Duration = Duration::from_secs(1);

struct Cpu {
    limit: Limit,
    /// The counters as the last look left them.
    last: Mutex<Option<Reading>>,
}

struct Reading {
    system: System,
    at: Instant,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let limit = Limit::read(options, &PERCENT, 80.0, 5.0);
    Some(Plan::Probe(Arc::new(Cpu { limit, last: Mutex::default() })))
}

#[async_trait]
impl Probe for Cpu {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        match self.measure().await {
            Ok(percent) => {
                let line = format!("CPU: {}, {}", padded(percent), self.limit.target());
                self.limit.judge("cpu", percent, "busy", look.before).log([line])
            }
            Err(text) => Outcome::fail(text.clone()).log([text]),
        }
    }

    fn limit(&self) -> Duration {
        SPAN + Duration::from_secs(5)
    }

    fn local(&self) -> bool {
        true
    }
}

impl Cpu {
    async fn measure(&self) -> Result<f64, String> {
        let mut last = self.last.lock().await;
        if last.is_none() {
            let mut system =
                System::new().map_err(|error| format!("cpu time cannot be measured: {error}"))?;
            system.refresh_cpu_usage();
            *last = Some(Reading { system, at: Instant::now() });
        }
        let reading = last.as_mut().expect("a reading was just put there");
        sleep_until(reading.at + SPAN).await;
        reading.system.refresh_cpu_usage();
        reading.at = Instant::now();
        if reading.system.cpus().is_empty() {
            return Err("cpu time cannot be measured: is /proc mounted?".into());
        }
        Ok(f64::from(reading.system.global_cpu_usage()))
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{look, probe};

    #[tokio::test]
    async fn the_first_look_takes_its_second_and_the_next_measures_since_then() {
        let cpu = probe("cpu", json!({"level": 100}));
        let began = Instant::now();
        let first = look(&*cpu).await;
        assert!(began.elapsed() >= SPAN);
        assert_eq!(first.verdict, Verdict::Pass);
        assert!(first.log[0].starts_with("CPU: ") && first.log[0].ends_with("%, Target: 100%"));
        assert_eq!(look(&*cpu).await.verdict, Verdict::Pass);
        assert!(began.elapsed() >= 2 * SPAN, "a look soon after another waits too");
    }
}
