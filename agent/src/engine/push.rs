//! Jobs that report by themselves: what a report changes, and what a missing one does.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{CheckName, Outcome, outcome::LOG_LINES, state::Seen, time};

use super::{Refused, core::Core};
use crate::checks::{
    Plan,
    push::{Missed, Push, PushKey, Reports, Signal},
};

/// How soon to look again whether a dependency still fails, which keeps a missing report from being told.
const AGAIN: TimeDelta = TimeDelta::seconds(60);

/// A report of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Ping {
    /// Which job.
    pub key: PushKey,
    /// What it reports.
    pub signal: Signal,
    /// What it says.
    pub said: String,
    /// When it was heard.
    pub at: DateTime<Utc>,
}

impl Core {
    /// Takes a report.
    ///
    /// # Errors
    /// [`Refused::NoSuchPush`].
    pub(super) fn ping(&mut self, ping: &Ping) -> Result<(), Refused> {
        let meant = self.entries.values().find_map(|entry| match &entry.plan {
            Plan::Push(push) if push.key == ping.key => Some((entry.name.clone(), *push)),
            _ => None,
        });
        let Some((name, push)) = meant else { return Err(Refused::NoSuchPush) };
        let Some(entry) = self.entries.get_mut(&name) else { return Err(Refused::NoSuchPush) };
        let before = Reports::of(entry.state.kept.as_ref());
        let lines = ping.said.lines().map(str::trim_end).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.map(str::to_owned).collect();
        let reports = match ping.signal {
            Signal::Start => Reports { began: Some(ping.at), ..before },
            Signal::Success | Signal::Fail(_) => Reports { ended: Some(ping.at), began: None },
            Signal::Log => before,
        };
        entry.state.kept = Some(reports.kept());
        let paused = entry.check.paused;
        let zone = entry.zone;
        self.touched.insert(name.clone());
        match ping.signal {
            Signal::Start | Signal::Log => {
                let log = &mut entry.state.log;
                log.extend(Outcome::pass("").log(lines).bounded().log);
                let surplus = log.len().saturating_sub(LOG_LINES);
                log.drain(..surplus);
            }
            Signal::Success | Signal::Fail(_) if paused => self.see(&name, Seen::Paused(ping.at)),
            signal => {
                let took = before.began.map(|began| ping.at - began);
                let next = time::people(ping.at + push.patience(), zone);
                let mut outcome = told(signal, took, &next).log(lines).keep(reports.kept());
                outcome.at = ping.at;
                self.see(&name, Seen::Ran(&outcome.bounded()));
                self.finished.push_back(name.clone());
            }
        }
        self.alarms.remove(&name);
        self.watch(&name);
        Ok(())
    }

    /// Fails the check of a job that has missed to report.
    pub(super) fn overdue(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get(name) else { return };
        let Plan::Push(push) = entry.plan else { return };
        if entry.check.paused {
            return;
        }
        let reports = Reports::of(entry.state.kept.as_ref());
        let (deadline, missed) = push.deadline(&reports, entry.silent_since);
        if deadline > now {
            self.alarms.set(name.clone(), deadline, now);
            return;
        }
        if let Some(by) = self.blocking(name) {
            self.see(name, Seen::Blocked(by.as_str(), now));
            self.alarms.set(name.clone(), now + AGAIN, now);
            return;
        }
        let last = reports.ended.map(|at| time::people(at, entry.zone));
        let last = last.unwrap_or_else(|| "never".into());
        let text = match missed {
            Missed::Report => format!(
                "expected a report every {}, the last one came: {last}",
                span(push.patience())
            ),
            Missed::End(began) => format!(
                "it began on {} and has not ended within {}",
                time::people(began, entry.zone),
                span(push.max_runtime().unwrap_or_default())
            ),
        };
        let mut outcome = Outcome::fail(text.clone()).log([text]);
        outcome.at = now;
        self.see(name, Seen::Expired(&outcome));
    }

    /// The clock was set: what was heard is not in the future, and whoever could not be heard has time to be.
    pub(super) fn hear_anew(&mut self) {
        let now = self.now();
        let mut names = Vec::new();
        for entry in self.entries.values_mut() {
            let Plan::Push(Push { .. }) = entry.plan else { continue };
            let reports = Reports::of(entry.state.kept.as_ref()).until(now);
            entry.state.kept = Some(reports.kept());
            entry.silent_since = now;
            names.push(entry.name.clone());
        }
        for name in names {
            self.touched.insert(name.clone());
            self.alarms.remove(&name);
            self.watch(&name);
        }
    }
}

fn told(signal: Signal, took: Option<TimeDelta>, next: &str) -> Outcome {
    let after = took.map(|took| format!(" after {}", span(took))).unwrap_or_default();
    let outcome = match signal {
        Signal::Fail(Some(status)) => {
            Outcome::fail(format!("it reported the exit status {status}{after}"))
        }
        Signal::Fail(None) => Outcome::fail(format!("it reported a failure{after}")),
        _ => Outcome::pass(format!("it reported success{after}, the next report is due by {next}")),
    };
    match took {
        Some(took) => outcome.level(span(took)),
        None => outcome,
    }
}

/// A span of time as people say it.
fn span(time: TimeDelta) -> String {
    match time.num_seconds() {
        seconds @ ..600 => format!("{seconds} s"),
        seconds @ ..36_000 => format!("{} min", seconds / 60),
        seconds => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}
