//! `swap`: swap space used on this machine.

use std::sync::Arc;

use fletchck_shared::Outcome;
use sysinfo::{MemoryRefreshKind, System};

use super::{
    Answers, Before, Kind, Opt, Options, Plan,
    here::{Here, Measure},
    limit::{Limit, PERCENT, WARN, WARN_ALERTS, amounts, padded},
};

/// The entry of `swap` in the table.
pub const KIND: Kind = Kind {
    name: "swap",
    summary: "swap space used on this machine",
    options: &[
        Opt::number("level", "80", "limit of the swap space used, percent"),
        Opt::number(
            "hysteresis",
            "5",
            "a failing check passes once it is this far below the level, percent",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "Less swap space is in use than the level, or the machine has none, which the sentence says.",
        leaves_open: "Whether the machine is busy with swapping: pages that nobody needs may lie there for weeks. `load` and `memory` tell more.",
        failure: "The sentence says the share in use. Once swap and memory are full, the system begins to kill programs.",
        matters: "`level`, and `warn` for time to act.",
    },
    example: r#"{"type": "swap", "trigger": {"interval": {"minutes": 5}}, "options": {"level": 60, "warn": 30}}"#,
    build,
};

struct Swap {
    limit: Limit,
}

/// Swap space of this machine, in bytes.
#[derive(Clone, Copy)]
struct Space {
    total: u64,
    free: u64,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Here(Swap { limit: Limit::read(options, &PERCENT, 80.0, 5.0) }))))
}

impl Measure for Swap {
    type Seen = Space;

    fn measure() -> Result<Space, String> {
        let mut system =
            System::new().map_err(|error| format!("swap cannot be measured: {error}"))?;
        system.refresh_memory_specifics(MemoryRefreshKind::everything());
        // Every machine has memory; without any, nothing was read, and then no swap means nothing either.
        if system.total_memory() == 0 {
            return Err("swap cannot be measured: is /proc mounted?".into());
        }
        Ok(Space { total: system.total_swap(), free: system.free_swap() })
    }

    fn judge(&self, Space { total, free }: Space, before: &Before) -> Outcome {
        if total == 0 {
            let text = "this machine has no swap space".to_owned();
            return Outcome::pass(text.clone()).level(padded(0.0)).log([text]);
        }
        let used = total.saturating_sub(free);
        let percent = 100.0 * used as f64 / total as f64;
        let amounts = amounts(used, total, free, "Free");
        let line = format!("Swap: {} {amounts}, {}", padded(percent), self.limit.target());
        self.limit.judge("swap", percent, "used", before).log([line])
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{faults, look, probe};

    const GIB: u64 = 1 << 30;

    #[tokio::test]
    async fn this_machine_is_measured() {
        let outcome = look(&*probe("swap", json!({"level": 100}))).await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        assert!(outcome.level.is_some());
    }

    #[test]
    fn a_machine_without_swap_passes_and_says_so() {
        let swap = Swap { limit: Limit::read_defaults(80.0, 5.0) };
        let failing = Before { failing: true, ..Before::default() };
        let outcome = swap.judge(Space { total: 0, free: 0 }, &failing);
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert_eq!(outcome.text, "this machine has no swap space");
    }

    #[test]
    fn swap_that_fills_fails() {
        let swap = Swap { limit: Limit::read_defaults(80.0, 5.0) };
        let outcome = swap.judge(Space { total: 8 * GIB, free: GIB }, &Before::default());
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.text, "swap is 87.5% used, over the limit of 80%");
        assert_eq!(outcome.log, ["Swap: 88% 7/8GiB, 1GiB Free, Target: 80%"]);
        assert_eq!(faults("swap", json!({"level": 101})), ["level"]);
    }
}
