//! What the workers of a group know beside the store. It outlives a worker whose action is configured otherwise.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::held::Holds;
use crate::{actions::Notice, store::PendingDelivery};

/// Most notices of one group that wait without being stored.
pub(super) const UNSTORED: usize = 1000;

/// What the workers of a group know beside the store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: Mutex<Known>,
    /// What the worker waits for.
    pub(super) holds: Mutex<Holds>,
    /// Woken whenever there is more to tell that could not be stored.
    pub(super) added: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// What is told although it could not be stored, in order. Its numbers are below zero.
    unstored: VecDeque<Unstored>,
    /// The number that was given last.
    last: i64,
    /// Stored deliveries that were made, which is not noted yet.
    told: BTreeSet<i64>,
    /// Deliveries that failed.
    failed: HashMap<i64, Failing>,
}

/// What is told although it could not be stored.
#[derive(Clone, Debug)]
pub(super) struct Unstored {
    /// The last id that a stored delivery had been given when it came: those came before it, all others after it. Times
    /// do not tell, for the clock may be set.
    pub(super) after: i64,
    pub(super) delivery: PendingDelivery,
}

/// Since when a delivery fails.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Instant,
    /// Whether the program had tried it before it was started this time.
    earlier: bool,
}

impl Memory {
    /// Takes in what could not be stored, after a stored delivery with this id. Whether another one is lost for it.
    #[must_use]
    pub(super) fn add(&self, notice: Notice, made: DateTime<Utc>, after: i64) -> bool {
        let mut known = self.known.lock();
        let lost = known.unstored.len() >= UNSTORED;
        if lost {
            known.unstored.pop_front();
        }
        known.last -= 1;
        let id = known.last;
        let delivery = PendingDelivery { id, tries: 0, made, notice };
        // What another group knew may be older.
        let place = known.unstored.partition_point(|other| other.after <= after);
        known.unstored.insert(place, Unstored { after, delivery });
        drop(known);
        self.added.notify_one();
        lost
    }

    /// What could not be stored, oldest first.
    pub(super) fn unstored(&self) -> Vec<Unstored> {
        self.known.lock().unstored.iter().cloned().collect()
    }

    pub(super) fn count_unstored(&self) -> usize {
        self.known.lock().unstored.len()
    }

    /// These were told: what is stored of them is still to be noted.
    pub(super) fn told(&self, ids: impl IntoIterator<Item = i64>) {
        let mut known = self.known.lock();
        for id in ids {
            known.forget(id);
            if id > 0 {
                known.told.insert(id);
            }
        }
    }

    /// Whether this was told, which is not noted yet.
    pub(super) fn knows_told(&self, id: i64) -> bool {
        self.known.lock().told.contains(&id)
    }

    /// What was told, which is not noted yet.
    pub(super) fn to_note(&self) -> Vec<i64> {
        self.known.lock().told.iter().copied().collect()
    }

    /// That these were told is noted.
    pub(super) fn noted(&self, ids: &[i64]) {
        let mut known = self.known.lock();
        for id in ids {
            known.told.remove(id);
        }
    }

    /// This failed once more. For how long it has, by a clock that nobody sets, and whether it had before this start of
    /// the program.
    pub(super) fn failed(&self, delivery: &PendingDelivery) -> (Duration, bool) {
        let mut known = self.known.lock();
        let mut unstored = known.unstored.iter_mut().map(|unstored| &mut unstored.delivery);
        if let Some(unstored) = unstored.find(|other| other.id == delivery.id) {
            unstored.tries = unstored.tries.saturating_add(1);
        }
        let first = Failing { since: Instant::now(), earlier: delivery.tries > 0 };
        let failing = known.failed.entry(delivery.id).or_insert(first);
        (failing.since.elapsed(), failing.earlier)
    }

    /// These are no longer to be told.
    pub(super) fn forget(&self, ids: impl IntoIterator<Item = i64>) {
        let mut known = self.known.lock();
        ids.into_iter().for_each(|id| known.forget(id));
    }

    /// Takes over what the workers of a group knew that is no more. How many alerts are lost for it.
    #[must_use]
    pub(super) fn take_over(&self, other: &Self) -> usize {
        let Known { unstored, mut told, failed, .. } = std::mem::take(&mut *other.known.lock());
        let mut known = self.known.lock();
        known.told.append(&mut told);
        known.failed.extend(failed.into_iter().filter(|(id, _)| *id > 0));
        drop(known);
        let lost = unstored.into_iter().filter(|Unstored { after, delivery }| {
            self.add(delivery.notice.clone(), delivery.made, *after)
        });
        lost.count()
    }
}

impl Known {
    fn forget(&mut self, id: i64) {
        self.failed.remove(&id);
        if id < 0 {
            self.unstored.retain(|unstored| unstored.delivery.id != id);
        }
    }
}
