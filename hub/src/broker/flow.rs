//! How far subscribers are behind, so that publishers wait for those that follow.
//!
//! The router keeps a bounded log for each slot and drops the oldest part of it, whoever has not read it. So a publisher
//! waits while a subscriber has much to read, but never long: one that does not follow is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long publishers wait for one subscriber before it is left behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// A filter's place in the router.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its name: a topic and a filter in one.
    pub(super) name: Bytes,
    /// Bytes a subscriber may be behind before publishers wait.
    pub(super) most: u64,
    published: AtomicU64,
}

/// One session's reading of one slot.
#[derive(Debug)]
pub(super) struct Flow {
    slot: Arc<Slot>,
    /// Number of the session.
    pub(super) session: u32,
    client: Arc<str>,
    reached: AtomicU64,
    /// Left behind, until it has caught up by half.
    late: AtomicBool,
    over: AtomicBool,
    room: Notify,
    waited: AtomicBool,
    since: Mutex<Option<Instant>>,
}

/// A session's hold on its flow. Dropped, nobody waits for it any more.
pub(super) struct Following(Arc<Flow>);

impl Slot {
    pub(super) fn new(name: Bytes, most: u64) -> Self {
        Self { name, most, published: AtomicU64::new(0) }
    }

    /// Counts a message. Answers its position.
    pub(super) fn advance(&self, size: usize) -> u64 {
        let size = size as u64;
        self.published.fetch_add(size, Relaxed) + size
    }
}

impl Flow {
    /// A session that reads from now on.
    pub(super) fn new(slot: Arc<Slot>, session: u32, client: Arc<str>) -> Self {
        Self {
            reached: AtomicU64::new(slot.published.load(Relaxed)),
            slot,
            session,
            client,
            late: AtomicBool::new(false),
            over: AtomicBool::new(false),
            room: Notify::new(),
            waited: AtomicBool::new(false),
            since: Mutex::default(),
        }
    }

    /// Whether the session has left.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    /// Whether publishers should wait.
    pub(super) fn crowded(&self) -> bool {
        self.behind() > self.slot.most && !self.late.load(Relaxed) && !self.is_over()
    }

    /// Waits until it has read enough, or is left behind.
    pub(super) async fn wait(&self) {
        let since = *self.since.lock().get_or_insert_with(Instant::now);
        let room = async {
            loop {
                let room = self.room.notified();
                self.waited.store(true, Relaxed);
                if !self.crowded() {
                    return;
                }
                room.await;
            }
        };
        if timeout_at(since + PATIENCE, room).await.is_err() && !self.late.swap(true, Relaxed) {
            self.room.notify_waiters();
            tracing::warn!(client.id = %self.client, "subscriber too slow, it may miss messages");
        }
    }

    /// Notes that the session has read the message of this position.
    fn reach(&self, position: u64) {
        self.reached.fetch_max(position, Relaxed);
        let behind = self.behind();
        if behind <= self.slot.most / 2 {
            self.late.store(false, Relaxed);
        }
        if behind <= self.slot.most && self.waited.swap(false, Relaxed) {
            *self.since.lock() = None;
            self.room.notify_waiters();
        }
    }

    fn behind(&self) -> u64 {
        self.slot.published.load(Relaxed).saturating_sub(self.reached.load(Relaxed))
    }
}

impl Following {
    pub(super) fn new(flow: Arc<Flow>) -> Self {
        Self(flow)
    }

    /// Notes that the session has read the message of this position.
    pub(super) fn reach(&self, position: u64) {
        self.0.reach(position);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.over.store(true, Relaxed);
        self.0.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn publishers_wait_for_who_follows_and_leave_behind_who_does_not() {
        let slot = Arc::new(Slot::new(Bytes::from_static(b"w/1"), 100));
        let flow = Arc::new(Flow::new(slot.clone(), 1, "reader".into()));
        let reader = Following::new(flow.clone());
        slot.advance(100);
        assert!(!flow.crowded());
        slot.advance(10);
        assert!(flow.crowded());
        let waiting = tokio::spawn({
            let flow = flow.clone();
            async move { flow.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        reader.reach(50);
        waiting.await.expect("it follows");
        slot.advance(100);
        let started = Instant::now();
        flow.wait().await;
        assert_eq!(started.elapsed(), PATIENCE);
        assert!(!flow.crowded(), "left behind");
        reader.reach(200);
        slot.advance(200);
        assert!(flow.crowded(), "it had caught up");
        drop(reader);
        flow.wait().await;
        assert!(!flow.crowded(), "gone");
    }
}
