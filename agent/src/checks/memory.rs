//! `memory`: memory used on this machine.

use std::sync::Arc;

use fletchck_shared::Outcome;
use sysinfo::{MemoryRefreshKind, System};

use super::{
    Answers, Before, Kind, Opt, Options, Plan,
    here::{Here, Measure},
    limit::{Limit, PERCENT, WARN, WARN_ALERTS, amounts, padded},
};

/// The entry of `memory` in the table.
pub const KIND: Kind = Kind {
    name: "memory",
    summary: "memory used on this machine",
    options: &[
        Opt::number("level", "85", "limit of the memory used, percent"),
        Opt::number(
            "hysteresis",
            "5",
            "a failing check passes once it is this far below the level, percent",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "Less memory is in use than the level. What the system can take back from caches counts as available.",
        leaves_open: "Whether a single program leaks, and whether the machine swaps: see `swap`.",
        failure: "The sentence says the share in use. Inside a container the log also tells its own limit.",
        matters: "`level`, and a `threshold` of two or more where short peaks are usual.",
    },
    example: r#"{"type": "memory", "trigger": {"interval": {"minutes": 5}}, "threshold": 2, "options": {"level": 80}}"#,
    build,
};

struct Memory {
    limit: Limit,
}

/// Memory of this machine, in bytes. What can be taken back from caches counts as available.
#[derive(Clone, Copy)]
struct Amounts {
    total: u64,
    available: u64,
    /// What a container that this program runs in may use, and uses. It is told, and does not decide: the check
    /// watches the machine.
    container: Option<(u64, u64)>,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Here(Memory { limit: Limit::read(options, &PERCENT, 85.0, 5.0) }))))
}

impl Measure for Memory {
    type Seen = Amounts;

    fn measure() -> Result<Amounts, String> {
        let mut system =
            System::new().map_err(|error| format!("memory cannot be measured: {error}"))?;
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let total = system.total_memory();
        if total == 0 {
            return Err("memory cannot be measured: is /proc mounted?".into());
        }
        let container = system
            .cgroup_limits()
            .filter(|limits| limits.total_memory > 0 && limits.total_memory < total)
            .map(|limits| {
                (limits.total_memory, limits.total_memory.saturating_sub(limits.free_memory))
            });
        Ok(Amounts { total, available: system.available_memory(), container })
    }

    fn judge(&self, seen: Amounts, before: &Before) -> Outcome {
        let used = seen.total.saturating_sub(seen.available);
        let percent = 100.0 * used as f64 / seen.total as f64;
        let amounts = amounts(used, seen.total, seen.available, "Available");
        let mut log =
            vec![format!("Memory: {} {amounts}, {}", padded(percent), self.limit.target())];
        if let Some((limit, used)) = seen.container {
            let percent = 100.0 * used as f64 / limit as f64;
            let [limit, used] = [limit, used].map(|bytes| bytes >> 20);
            log.push(format!("Container: {} {used}/{limit}MiB", padded(percent)));
        }
        self.limit.judge("memory", percent, "used", before).log(log)
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{look, probe};

    const GIB: u64 = 1 << 30;

    #[tokio::test]
    async fn this_machine_has_memory() {
        let outcome = look(&*probe("memory", json!({"level": 100}))).await;
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert!(outcome.log[0].ends_with("GiB Available, Target: 100%"), "{:?}", outcome.log);
    }

    #[test]
    fn the_line_is_the_originals_and_a_container_is_told() {
        let memory = Memory { limit: Limit::read_defaults(85.0, 5.0) };
        let container = Some((512 << 20, 256 << 20));
        let seen = Amounts { total: 24 * GIB, available: 2 * GIB, container };
        let outcome = memory.judge(seen, &Before::default());
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.text, "memory is 91.7% used, over the limit of 85%");
        let log =
            ["Memory: 92% 22/24GiB, 2GiB Available, Target: 85%", "Container: 50% 256/512MiB"];
        assert_eq!(outcome.log, log);
    }
}
