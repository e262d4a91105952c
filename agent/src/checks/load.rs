//! `load`: how many tasks run or wait, on average over the last minutes.

use std::sync::Arc;

use fletchck_shared::Outcome;
use sysinfo::{CpuRefreshKind, LoadAvg, System};

use super::{
    Answers, Before, Kind, Opt, Options, Plan, Shape,
    here::{Here, Measure},
    limit::{Limit, Scale, WARN, WARN_ALERTS},
};

/// The entry of `load` in the table.
pub const KIND: Kind = Kind {
    name: "load",
    summary: "load average of this machine: how many tasks run, or wait for a processor or a disk",
    options: &[
        Opt::new("minutes", Shape::Number, "5", "which average is judged: over 1, 5 or 15 minutes"),
        Opt::flag("perCore", "true", "whether the load is divided by the number of cores"),
        Opt::number("level", "2 per core", "limit of the load, per core unless `perCore` is false"),
        Opt::number(
            "hysteresis",
            "0.2 per core",
            "a failing check passes once it is this far below the level",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "Fewer tasks ran or waited than the level, on average over the minutes. Those that wait for a disk or a file server count, which `cpu` does not see.",
        leaves_open: "Which tasks they are, and whether a single one is slow.",
        failure: "The sentence says the load per core, the log all three averages. High with an idle `cpu`: look for tasks that wait for a disk or for a dead file server (state D in `ps`).",
        matters: "`level`: 1 per core is a machine that is just busy. `minutes`: 1 for what must answer at once, 15 for what may work through the night.",
    },
    example: r#"{"type": "load", "trigger": {"interval": {"minutes": 5}}, "options": {"minutes": 15, "level": 1.5, "warn": 1}}"#,
    build,
};

/// Limit and margin per core, where none is given.
const LEVEL: f64 = 2.0;
const HYSTERESIS: f64 = 0.2;

/// A load counts tasks.
static TASKS: Scale = Scale {
    option: "level",
    counts: "a load",
    range: (0.01, 100_000.0),
    seen: |load| format!("{load:.2}"),
    chosen: |load| format!("{load}"),
    level: |load| format!("{load:.2}"),
};

struct Load {
    minutes: Minutes,
    per_core: bool,
    limit: Limit,
}

/// Which of the three averages.
#[derive(Clone, Copy)]
enum Minutes {
    One,
    Five,
    Fifteen,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let given = options.number("minutes", 1.0..=15.0, "minutes");
    let minutes = match given.unwrap_or(5.0) {
        1.0 => Minutes::One,
        5.0 => Minutes::Five,
        15.0 => Minutes::Fifteen,
        other => {
            options.fault(
                "minutes",
                format!("the system has no average over {other}"),
                "1, 5 or 15",
            );
            return None;
        }
    };
    let per_core = options.flag("perCore", true);
    // The default is the same limit either way.
    let times = if per_core { 1.0 } else { cores().unwrap_or(1) as f64 };
    let limit = Limit::read(options, &TASKS, LEVEL * times, HYSTERESIS * times);
    Some(Plan::Probe(Arc::new(Here(Load { minutes, per_core, limit }))))
}

impl Measure for Load {
    /// The three averages, and the number of cores they spread over.
    type Seen = (LoadAvg, usize);

    fn measure() -> Result<Self::Seen, String> {
        let averages = System::load_average()
            .map_err(|error| format!("the load cannot be measured: {error}"))?;
        let cores = cores().ok_or("the load cannot be measured: is /proc mounted?")?;
        Ok((averages, cores))
    }

    fn judge(&self, (averages, cores): Self::Seen, before: &Before) -> Outcome {
        self.of(&averages, cores, before)
    }
}

impl Load {
    fn of(&self, averages: &LoadAvg, cores: usize, before: &Before) -> Outcome {
        let LoadAvg { one, five, fifteen } = *averages;
        let (load, minutes) = match self.minutes {
            Minutes::One => (one, "1 minute"),
            Minutes::Five => (five, "5 minutes"),
            Minutes::Fifteen => (fifteen, "15 minutes"),
        };
        let plural = if cores == 1 { "" } else { "s" };
        let log = format!(
            "Load: {one:.2}, {five:.2}, {fifteen:.2} on {cores} core{plural}, {}",
            self.limit.target()
        );
        let what = format!("the load over {minutes}");
        let (load, state) =
            if self.per_core { (load / cores as f64, "per core") } else { (load, "") };
        self.limit.judge(&what, load, state, before).log([log])
    }
}

/// Cores of the machine. A container may use fewer of them, but the load is that of the whole machine.
fn cores() -> Option<usize> {
    let mut system = System::new().ok()?;
    system.refresh_cpu_list(CpuRefreshKind::nothing());
    Some(system.cpus().len()).filter(|cores| *cores > 0)
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{Severity, Verdict};
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{faults, look, probe};

    fn load(minutes: Minutes, per_core: bool, level: f64) -> Load {
        let given = json!({"level": level, "warn": level / 2.0});
        let given = given.as_object().expect("an object");
        let make =
            |options: &mut Options<'_>| Some(Limit::read(options, &TASKS, LEVEL, HYSTERESIS));
        let limit = Options::read(given, KIND.options, make).0.expect("a limit");
        Load { minutes, per_core, limit }
    }

    #[tokio::test]
    async fn this_machine_has_a_load() {
        for options in [json!({"level": 100000}), json!({"perCore": false, "level": 100000})] {
            let outcome = look(&*probe("load", options)).await;
            assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
            assert!(outcome.text.starts_with("the load over 5 minutes is "), "{outcome:?}");
        }
    }

    #[test]
    fn the_average_that_was_asked_for_is_judged() {
        let averages = LoadAvg { one: 9.0, five: 4.1, fifteen: 0.5 };
        let before = Before::default();
        let outcome = load(Minutes::One, true, 2.0).of(&averages, 4, &before);
        assert_eq!(outcome.text, "the load over 1 minute is 2.25 per core, over the limit of 2");
        assert_eq!((outcome.verdict, outcome.level.as_deref()), (Verdict::Fail, Some("2.25")));
        assert_eq!(outcome.log, ["Load: 9.00, 4.10, 0.50 on 4 cores, Target: 2"]);
        let outcome = load(Minutes::Five, true, 2.0).of(&averages, 4, &before);
        assert_eq!(outcome.severity(), Severity::Warning);
        let outcome = load(Minutes::Fifteen, false, 2.0).of(&averages, 1, &before);
        assert_eq!(outcome.text, "the load over 15 minutes is 0.50, limit 2");
        assert_eq!(outcome.severity(), Severity::Ok);
        let failing = Before { failing: true, ..before };
        let outcome = load(Minutes::Five, false, 4.2).of(&averages, 1, &failing);
        assert_eq!(outcome.text, "the load over 5 minutes is 4.10, well again below 4 (limit 4.2)");
    }

    #[test]
    fn options_are_judged() {
        for minutes in [json!(2), json!("5"), json!(0), json!(16)] {
            assert_eq!(faults("load", json!({"minutes": minutes})), ["minutes"], "{minutes}");
        }
        assert_eq!(faults("load", json!({"level": 0, "perCore": 1})), ["perCore", "level"]);
    }
}
