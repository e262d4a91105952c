//! Why what there is to tell is not told yet, for people who wonder.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::CheckName;
use serde::Serialize;
use tokio::time::Instant;

use super::{Roster, memory::Memory};
use crate::store::ShownDelivery;

/// What an alert waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// The end of the quiet hours of its action.
    Quiet,
    /// Its action has told as often as it may for now.
    Rate,
    /// The pause after a failure to tell.
    Retry,
    /// More that is told in the same message.
    More,
}

/// Why an alert is not told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// What it waits for.
    pub wait: Wait,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// What a worker waits for.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// With all there is to tell.
    all: Option<(Wait, Instant)>,
    /// With what is to be told of some checks.
    checks: HashMap<CheckName, Instant>,
}

impl Holds {
    /// It waits for this long with everything, if it does, and longer with some checks, for they failed.
    pub(super) fn new(wait: Option<(Wait, Duration)>, checks: HashMap<CheckName, Instant>) -> Self {
        let until = |pause| Instant::now().checked_add(pause);
        Self { all: wait.and_then(|(wait, pause)| Some((wait, until(pause)?))), checks }
    }

    fn of(&self, check: &CheckName, now: DateTime<Utc>) -> Option<Held> {
        let of_check = self.checks.get(check).map(|until| (Wait::Retry, *until));
        let longest = [self.all, of_check].into_iter().flatten().max_by_key(|(_, until)| *until);
        let (wait, until) = longest?;
        let left = until.saturating_duration_since(Instant::now());
        let until = now.checked_add_signed(TimeDelta::from_std(left).ok()?)?;
        (!left.is_zero()).then_some(Held { wait, until })
    }
}

impl Memory {
    /// What the worker waits for from now on.
    pub(super) fn hold(&self, holds: Holds) {
        *self.holds.lock() = holds;
    }
}

impl Roster {
    /// Why each of these is not told yet; `None`: it is given up, is being told, or nothing is known of it.
    pub fn held(&self, deliveries: &[ShownDelivery]) -> Vec<Option<Held>> {
        let Some(office) = self.office() else { return vec![None; deliveries.len()] };
        let (now, desks) = (office.clock.now(), self.desks.lock());
        let quiet = |delivery: &ShownDelivery| {
            let desk = desks.iter().find(|(name, _)| name.as_str() == delivery.action)?.1;
            let hours = desk.quiet.as_ref()?;
            Some((hours.except, hours.until(now, office.zone)?))
        };
        // Of a check of which something disturbs all is told.
        let disturbing: HashSet<_> = deliveries
            .iter()
            .filter(|one| {
                let except = quiet(one).and_then(|(except, _)| except);
                except.is_some_and(|except| one.notice.about >= except)
            })
            .map(|one| (&one.action, &one.group, &one.notice.check))
            .collect();
        let held = |one: &ShownDelivery| {
            if one.dead.is_some() {
                return None;
            }
            let check = &one.notice.check;
            if let Some((_, until)) = quiet(one)
                && !disturbing.contains(&(&one.action, &one.group, check))
            {
                return Some(Held { wait: Wait::Quiet, until });
            }
            let desk = desks.iter().find(|(name, _)| name.as_str() == one.action)?.1;
            desk.groups.get(&one.group)?.holds.lock().of(check, now)
        };
        deliveries.iter().map(held).collect()
    }
}
