//! How much of what is retained is whose.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

/// Most that may be retained.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Messages of one client.
    pub client_count: usize,
    /// Bytes of topics and payloads of one client.
    pub client_bytes: usize,
    /// Messages in all.
    pub count: usize,
    /// Bytes of topics and payloads in all.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { client_count: 20_000, client_bytes: 32 << 20, count: 200_000, bytes: 256 << 20 }
    }
}

/// A limit is reached; nothing was retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) struct Full;

/// What one client, or all together, have retained.
#[derive(Debug, Default)]
pub(in crate::broker) struct Usage {
    owner: Arc<str>,
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Usage {
    /// Whose it is.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }
}

/// The accounts of all clients.
pub(super) struct Accounts {
    owners: Mutex<HashMap<Arc<str>, Arc<Usage>>>,
    all: Usage,
    limits: Limits,
}

impl Accounts {
    pub(super) fn new(limits: Limits) -> Self {
        Self { owners: Mutex::default(), all: Usage::default(), limits }
    }

    /// The account of one client.
    pub(super) fn of(&self, owner: &Arc<str>) -> Arc<Usage> {
        let mut owners = self.owners.lock();
        if owners.len() > 1000 && owners.len() > 2 * self.count() {
            owners.retain(|_, usage| Arc::strong_count(usage) > 1);
        }
        let new = || Arc::new(Usage { owner: owner.clone(), ..Usage::default() });
        owners.entry(owner.clone()).or_insert_with(new).clone()
    }

    /// Messages of all together.
    pub(super) fn count(&self) -> usize {
        self.all.count.load(Relaxed)
    }

    /// Whether so many messages and bytes more fit in the share of one client, and in what there is for all.
    pub(super) fn room(
        &self,
        owner: &Usage,
        mine: (usize, usize),
        all: (usize, usize),
    ) -> Result<(), Full> {
        let fits = |usage: &Usage, more: (usize, usize), most: (usize, usize)| {
            usage.count.load(Relaxed) + more.0 <= most.0
                && usage.bytes.load(Relaxed) + more.1 <= most.1
        };
        let limits = self.limits;
        let mine = fits(owner, mine, (limits.client_count, limits.client_bytes));
        let all = fits(&self.all, all, (limits.count, limits.bytes));
        if mine && all { Ok(()) } else { Err(Full) }
    }

    /// A message of so many bytes is there.
    pub(super) fn add(&self, owner: &Usage, size: usize) {
        for usage in [owner, &self.all] {
            usage.count.fetch_add(1, Relaxed);
            usage.bytes.fetch_add(size, Relaxed);
        }
    }

    /// A message of so many bytes is gone.
    pub(super) fn subtract(&self, owner: &Usage, size: usize) {
        for usage in [owner, &self.all] {
            usage.count.fetch_sub(1, Relaxed);
            usage.bytes.fetch_sub(size, Relaxed);
        }
    }
}
