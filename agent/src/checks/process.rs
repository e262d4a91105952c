//! `process`: whether a program runs: how many processes of it, for how long, and what they take.

mod cpu;
mod judge;
mod pick;
mod proc;
mod tally;
mod user;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::{sync::Mutex, time::sleep_until};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    aside::{Aside, AsideError},
    limit::{Limit, Scale, WARN, WARN_ALERTS, padded},
    quantity::duration,
};
use cpu::Times;
use pick::Pick;
use proc::Proc;
pub(super) use proc::Stat;
use tally::Tally;

/// The entry of `process` in the table.
pub const KIND: Kind = Kind {
    name: "process",
    summary: "whether a program runs: the number of its processes, their age, and the memory or processor time they take",
    options: &[
        Opt::text("name", "any", "name of the program without its folder, as `ps -e` shows it"),
        Opt::text(
            "pattern",
            "any",
            "regular expression, searched for in the command line with its arguments",
        ),
        Opt::text("user", "any", "name or number of the user that it runs as"),
        Opt::text("pidFile", "none", "absolute path of a file with the number of the process"),
        Opt::number("minCount", "1, or 0 with `maxCount` 0", "fewest processes that must run"),
        Opt::number("maxCount", "none", "most processes that may run; with 0 none may"),
        Opt::text(
            "minAge",
            "none",
            "shortest time that the oldest of them must have been running, as in `5 min`; a number is seconds",
        ),
        Opt::text("maxAge", "none", "longest time that the oldest of them may have been running"),
        Opt::choice("measure", MEASURES, "none", "what `level` and `warn` limit"),
        Opt::number(
            "level",
            "none",
            "limit of all of them together: MiB of memory (resident, RSS), or percent of one core",
        ),
        Opt::number(
            "hysteresis",
            "0",
            "a failing check passes once it is this far below the level, in its unit",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "As many processes as asked run now, by what the system lists. Threads are none, and a zombie, which has ended and \
                 waits to be fetched by its parent, runs no longer.",
        leaves_open: "Whether the program does its work: a process may hang. Ask the service itself, with `tcp`, `https` or \
                      whatever it speaks.",
        failure: "The sentence says how many run, with the names and numbers of some; command lines are never shown, for there \
                  may be passwords in them. A process that this user may not see counts as missing, which the sentence says where \
                  it knows.",
        matters: "`name` for most programs, `pattern` for those that run in an interpreter (`python3 .*/backup\\.py`); whatever is \
                  given must all be true. This program itself and who runs `fletchck check` are passed over by `pattern`. \
                  Memory that processes share counts for each of them. A service of systemd is watched better by `systemd`.",
    },
    example: r#"{"type": "process", "trigger": {"interval": {"minutes": 1}}, "threshold": 2, "options": {"name": "nginx", "user": "www-data", "minCount": 2}}"#,
    build,
};

const MEASURES: &[&str] = &["none", "memory", "cpu"];

/// How long the list of processes is read, and how much longer its reader is waited for.
const TIME: Duration = Duration::from_secs(10);
const MARGIN: Duration = Duration::from_millis(50);

/// Shortest span over which processor time is measured: the first look waits for it, and so does one soon after another.
const SPAN: Duration = Duration::from_secs(1);

/// Memory of processes.
static MEMORY: Scale = Scale {
    option: "level",
    counts: "MiB of memory",
    range: (0.1, 1e9),
    seen: |mib| format!("{mib:.1} MiB"),
    chosen: |mib| format!("{mib} MiB"),
    level: |mib| format!("{mib:.1} MiB"),
};

/// Processor time; 100 is one core that does nothing else.
static CPU: Scale = Scale {
    option: "level",
    counts: "percent of one core",
    range: (0.1, 1e6),
    seen: |percent| format!("{percent:.1}%"),
    chosen: |percent| format!("{percent}%"),
    level: padded,
};

struct ProcessCheck {
    pick: Arc<Pick>,
    /// Fewest and most that may run.
    count: (u64, Option<u64>),
    /// Shortest and longest time of the oldest.
    age: (Option<Duration>, Option<Duration>),
    measure: Option<(Measure, Limit)>,
    proc: Proc,
    aside: Aside,
    /// Processor times as the last look left them.
    last: Mutex<Option<Times>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Memory,
    Cpu,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(ProcessCheck::read(options))))
}

#[async_trait]
impl Probe for ProcessCheck {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let seen = match self.measure {
            Some((Measure::Cpu, _)) => self.timed().await,
            _ => self.walk().await.map(|tally| (tally, None)),
        };
        match seen {
            Ok((tally, percent)) => self.judge(&tally, percent, look.before),
            Err(text) => Outcome::fail(text.clone()).log([text]),
        }
    }

    fn limit(&self) -> Duration {
        2 * TIME + SPAN + Duration::from_secs(1)
    }

    fn local(&self) -> bool {
        true
    }
}

impl ProcessCheck {
    fn read(options: &mut Options<'_>) -> Self {
        let pick = Pick::read(options);
        let most = whole(options, "maxCount");
        let least = whole(options, "minCount").unwrap_or(u64::from(most != Some(0)));
        if most.is_some_and(|most| least > most) {
            let right = "no less than `minCount`";
            options.fault("maxCount", "nothing can be both: it is less than the fewest", right);
        }
        if options.given("pidFile") && least > 1 {
            options.fault("minCount", "a file names one process", "1, or 0");
        }
        let age = (duration(options, "minAge"), duration(options, "maxAge"));
        if age.0.zip(age.1).is_some_and(|(least, most)| least > most) {
            options.fault(
                "minAge",
                "nothing can be both: it is more than the most",
                "less than `maxAge`",
            );
        }
        let measure = match options.choice("measure", MEASURES) {
            Some("memory") => Some((Measure::Memory, Limit::read(options, &MEMORY, None, 0.0))),
            Some("cpu") => Some((Measure::Cpu, Limit::read(options, &CPU, None, 0.0))),
            _ => {
                for name in ["level", "hysteresis", "warn", "warnAlerts"] {
                    if options.given(name) {
                        let right = "`measure` = `memory` or `cpu`";
                        options.warning(name, "nothing is measured, so it does nothing", right);
                    }
                }
                None
            }
        };
        if (least, most, age) == (0, None, (None, None)) && measure.is_none() {
            options.warning(
                "minCount",
                "it passes whatever runs",
                "`maxCount` = 0 if nothing may run",
            );
        }
        Self {
            pick: Arc::new(pick),
            count: (least, most),
            age,
            measure,
            proc: Proc::new(PathBuf::from("/proc")),
            aside: Aside::default(),
            last: Mutex::default(),
        }
    }

    /// What runs now.
    async fn walk(&self) -> Result<Tally, String> {
        let (proc, pick) = (self.proc.clone(), self.pick.clone());
        let times = matches!(self.measure, Some((Measure::Cpu, _)));
        let end = Instant::now() + TIME;
        // To read a command line is to look into the process, which waits for one that hangs in a disk.
        match self.aside.ask(TIME + MARGIN, move || Tally::take(&proc, &pick, times, end)).await {
            Ok(tally) => tally.map_err(|error| error.to_string()),
            Err(AsideError::Owing | AsideError::Late(_)) => {
                let text = "the processes could not be listed in time: one of them does not let its command line be read";
                Err(format!("{text} (does `ps aux` hang too?)"))
            }
            Err(error) => Err(format!("the list of processes {error}")),
        }
    }

    /// What runs now, and the processor time it took since the last look, in percent of one core.
    async fn timed(&self) -> Result<(Tally, Option<f64>), String> {
        let mut last = self.last.lock().await;
        if last.is_none() {
            *last = Some(self.walk().await?.times);
        }
        let before = last.as_ref().expect("times were just put there");
        sleep_until((before.at + SPAN).into()).await;
        let mut tally = self.walk().await?;
        let percent = tally.times.since(before);
        *last = Some(std::mem::take(&mut tally.times));
        Ok((tally, Some(percent)))
    }
}

fn whole(options: &mut Options<'_>, name: &'static str) -> Option<u64> {
    let number = options.number(name, 0.0..=1e9, "a whole number")?;
    if number.fract() != 0.0 {
        options.fault(name, format!("{number} is no number of processes"), "a whole number");
    }
    Some(number as u64)
}

#[cfg(test)]
mod tests;
