//! One check as the engine holds it.

use std::{collections::VecDeque, num::NonZeroU32, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{CheckName, State, Tz, config::Check, state::Rule};

use super::CheckView;
use crate::{
    checks::{Plan, push::Reports},
    store::{Mark, RemoteRow},
};

/// One check as the engine holds it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: CheckName,
    pub(super) check: Check,
    pub(super) plan: Plan,
    pub(super) zone: Tz,
    pub(super) state: State,
    /// Grows with each configuration of this check.
    pub(super) generation: u64,
    pub(super) running: Option<Running>,
    /// Sequences that wait for the end of this run.
    pub(super) waiting: Vec<CheckName>,
    /// Whether its last run hung to its limit, or none has ended yet.
    pub(super) suspect: bool,
    /// The point that its present run was due at; stored with the end of that run, so that one which is cut off is made
    /// up for at the next start.
    pub(super) mark: Option<Mark>,
    /// Where a remote check is heard.
    pub(super) remote: Option<RemoteRow>,
    /// Since when silence of a check counts that is heard of, by the clock as it is now: its last update, its start, the return of the
    /// broker, or the last step of the clock, whichever came last.
    pub(super) silent_since: DateTime<Utc>,
    /// Whether it is stale for the broker's sake alone.
    pub(super) unheard: bool,
    pub(super) notice: Option<String>,
    /// What it depends on and waits for, before anybody is told that it fails.
    pub(super) awaits: Option<CheckName>,
    /// The failure for which it waited so; once is enough.
    pub(super) waited_for: Option<DateTime<Utc>>,
}

/// What a check is doing.
#[derive(Debug)]
pub(super) enum Running {
    /// Its probe looks, or waits for its place.
    Probe {
        /// Since when, by the clock that nobody sets.
        since: Duration,
    },
    /// Its members run, one after another.
    Members {
        /// Members that have not run yet.
        left: VecDeque<CheckName>,
        /// The member that runs.
        current: Option<CheckName>,
        /// Number of this try.
        tried: u32,
        /// When it began.
        at: DateTime<Utc>,
    },
}

impl Entry {
    pub(super) fn rule(&self) -> Rule {
        Rule {
            threshold: self.check.threshold.get(),
            window: self.check.window.map(NonZeroU32::get),
            recover: self.check.recover.get(),
            paused: self.check.paused,
        }
    }

    /// Its type, or the type at its agent.
    pub(super) fn shown_kind(&self) -> &str {
        let heard = self.remote.as_ref().and_then(|row| row.kind.as_deref());
        heard.or(self.check.sub_kind.as_deref()).unwrap_or(&self.check.kind)
    }

    /// The agent that runs it, where that is another machine.
    pub(super) fn agent(&self) -> Option<&str> {
        self.remote.as_ref().and_then(|row| row.agent.as_ref()).map(|agent| agent.as_str())
    }

    pub(super) fn added(&self) -> bool {
        self.remote.as_ref().is_some_and(|row| row.added)
    }

    /// Whether a sequence at its agent tells of its failures, so that it does not itself.
    pub(super) fn quiet(&self) -> bool {
        self.remote.as_ref().is_some_and(|row| row.quiet)
    }

    /// Longest silence of a remote check.
    pub(super) fn timeout(&self) -> Option<Duration> {
        match self.plan {
            Plan::Remote { timeout } => timeout,
            Plan::Probe(_) | Plan::Sequence(_) | Plan::Push(_) => None,
        }
    }

    /// Longest silence of a check that is heard of, and when it was heard last.
    pub(super) fn patience(&self) -> Option<(TimeDelta, Option<DateTime<Utc>>)> {
        match &self.plan {
            Plan::Push(push) => {
                Some((push.patience(), Reports::of(self.state.kept.as_ref()).ended))
            }
            _ => Some((TimeDelta::from_std(self.timeout()?).ok()?, self.state.last_update)),
        }
    }

    /// When the silence of a check that is heard of becomes a failure.
    pub(super) fn deadline(&self) -> Option<DateTime<Utc>> {
        if let Plan::Push(push) = &self.plan {
            let reports = Reports::of(self.state.kept.as_ref());
            return Some(push.deadline(&reports, self.silent_since).0);
        }
        let timeout = TimeDelta::from_std(self.timeout()?).ok()?;
        self.silent_since.checked_add_signed(timeout)
    }

    pub(super) fn view(&self, next: Option<DateTime<Utc>>) -> CheckView {
        CheckView {
            name: self.name.clone(),
            kind: self.check.kind.clone(),
            sub_kind: match self.plan {
                Plan::Remote { .. } => Some(self.shown_kind().to_owned()),
                Plan::Probe(_) | Plan::Sequence(_) | Plan::Push(_) => self.check.sub_kind.clone(),
            },
            state: self.state.clone(),
            grade: self.check.policy.grade(self.state.grade),
            trigger: self.check.trigger.clone(),
            next,
            running: self.running.is_some(),
            zone: self.zone,
            members: match &self.plan {
                Plan::Sequence(members) => members.clone(),
                Plan::Probe(_) | Plan::Remote { .. } | Plan::Push(_) => Vec::new(),
            },
            depends: self.check.depends.clone(),
            actions: self.check.actions.clone(),
            publish: self.check.publish.clone(),
            agent: self.remote.as_ref().and_then(|row| row.agent.clone()),
            added: self.added(),
            notice: self.notice.clone(),
        }
    }
}
