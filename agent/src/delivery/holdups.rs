//! Which checks an action waits with, where each is told of in a message of its own: one that the other side cannot take
//! must not hold up the others.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use fletchck_shared::CheckName;
use tokio::time::Instant;

/// So many messages in a row, of different checks, that fail are the fault of the other side.
const AWAY: usize = 3;

/// Which checks an action waits with, and how many failed in a row.
#[derive(Debug, Default)]
pub(super) struct Holdups {
    until: HashMap<CheckName, Instant>,
    row: HashSet<CheckName>,
    /// Failures since so many different ones failed in a row.
    away: u32,
}

impl Holdups {
    /// Whose turn it is among checks in the order of what there is to tell: the first one that may be told of, and one
    /// that has not just failed before one that has. Or else how long to wait for the first of them.
    pub(super) fn turn<'a>(
        &self,
        checks: impl Iterator<Item = &'a CheckName> + Clone,
        now: Instant,
    ) -> Result<&'a CheckName, Duration> {
        let until = |check: &CheckName| self.until.get(check).copied().unwrap_or(now);
        let mut ready = checks.clone().filter(|check| until(check) <= now);
        let first = ready.clone().next();
        match ready.find(|check| !self.row.contains(*check)).or(first) {
            Some(check) => Ok(check),
            None => Err(checks.map(|check| until(check) - now).min().unwrap_or_default()),
        }
    }

    /// A check's message failed, and is tried again after this pause. How many failed before it since the other side was
    /// found to be away; `None`: it need not be, and the others are tried.
    pub(super) fn failed(&mut self, check: &CheckName, pause: Duration) -> Option<u32> {
        self.until.insert(check.clone(), Instant::now() + pause);
        self.row.insert(check.clone());
        if self.row.len() < AWAY {
            return None;
        }
        self.away = self.away.saturating_add(1);
        Some(self.away - 1)
    }

    /// A check's message was taken, or is given up. Where the other side was away, all are tried again.
    pub(super) fn done(&mut self, check: &CheckName) {
        self.until.remove(check);
        if self.row.len() >= AWAY {
            self.until.clear();
        }
        self.row.clear();
        self.away = 0;
    }

    /// The checks that it waits with, and until when.
    pub(super) fn waiting(&self) -> HashMap<CheckName, Instant> {
        let now = Instant::now();
        let waiting = self.until.iter().filter(|(_, until)| **until > now);
        waiting.map(|(check, until)| (check.clone(), *until)).collect()
    }

    /// Somebody wants all of it tried at once.
    pub(super) fn clear(&mut self) {
        self.until.clear();
    }
}
