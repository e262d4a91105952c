//! Retained messages: in memory for subscribers, kept by [`Keep`] for the next start.
//!
//! They never enter the router, which would deliver at most a hundred of them to a subscription and delete them on
//! any empty message.

mod accounts;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use fletchck_agent::stay::stay;
use fletchck_shared::topic::{Topic, TopicFilter};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use self::accounts::Accounts;
pub use self::accounts::Limits;
pub(super) use self::accounts::{Full, Usage};
use super::codec;
use super::keep::{Change, Keep, Kept};
use super::message::{Message, left};

/// How far the durable state may be behind.
const BEHIND: Duration = Duration::from_millis(200);
/// How often expired messages are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// Publishers share the map, so it is cut into pieces with a lock each.
const SHARDS: usize = 16;

/// All retained messages.
pub(super) struct Retained {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    accounts: Accounts,
    keep: Arc<dyn Keep>,
}

#[derive(Default)]
struct Shard {
    messages: HashMap<Arc<str>, Held>,
    /// Topics changed since the last flush, and whether a message is there now.
    changed: HashMap<Arc<str>, ()>,
}

struct Held {
    message: Message,
    owner: Arc<Usage>,
}

impl Retained {
    /// Loads what was kept.
    pub(super) fn load(keep: Arc<dyn Keep>, limits: Limits) -> anyhow::Result<Self> {
        let kept = keep.load().context("reading retained messages")?;
        let retained = Self {
            shards: Default::default(),
            hasher: RandomState::new(),
            accounts: Accounts::new(limits),
            keep,
        };
        for kept in kept {
            retained.restore(kept);
        }
        for shard in &retained.shards {
            shard.lock().changed.clear();
        }
        Ok(retained)
    }

    /// The account of one client.
    pub(super) fn usage(&self, owner: &Arc<str>) -> Arc<Usage> {
        self.accounts.of(owner)
    }

    /// Retains a message, or with an empty payload removes its topic's.
    pub(super) fn put(&self, message: Message, owner: &Arc<Usage>) -> Result<(), Full> {
        let size = size(&message);
        let mut shard = self.shard(&message.topic).lock();
        let shard = &mut *shard;
        if message.payload.is_empty() {
            if let Some((topic, old)) = shard.messages.remove_entry(&message.topic) {
                self.accounts.subtract(&old.owner, self::size(&old.message));
                shard.changed.insert(topic, ());
            }
            return Ok(());
        }
        match shard.messages.entry(message.topic.clone()) {
            Entry::Occupied(mut entry) => {
                let old = entry.get();
                // The message that is replaced makes room for its successor.
                let same = Arc::ptr_eq(&old.owner, owner);
                let freed = self::size(&old.message);
                let (mine, count) = if same { (freed, 0) } else { (0, 1) };
                if size > freed || !same {
                    let (mine, all) = (size.saturating_sub(mine), size.saturating_sub(freed));
                    self.accounts.room(owner, (count, mine), (0, all))?;
                }
                self.accounts.subtract(&old.owner, freed);
                self.accounts.add(owner, size);
                entry.insert(Held { message, owner: owner.clone() });
                let topic = entry.key();
                if !shard.changed.contains_key(topic) {
                    shard.changed.insert(topic.clone(), ());
                }
            }
            Entry::Vacant(entry) => {
                self.accounts.room(owner, (1, size), (1, size))?;
                self.accounts.add(owner, size);
                shard.changed.insert(entry.key().clone(), ());
                entry.insert(Held { message, owner: owner.clone() });
            }
        }
        Ok(())
    }

    /// All messages that match a filter and have not expired, as they are delivered to a new subscription.
    pub(super) fn matching(&self, filter: &TopicFilter) -> Vec<Message> {
        let now = SystemTime::now();
        let alive = |message: &Message| message.expires.is_none_or(|at| left(at, now).is_some());
        if Topic::try_from(filter.as_str()).is_ok() {
            let shard = self.shard(filter.as_str()).lock();
            let held = shard.messages.get(filter.as_str()).map(|held| &held.message);
            return held.filter(|message| alive(message)).cloned().into_iter().collect();
        }
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let messages = shard.messages.values().map(|held| &held.message);
            found.extend(
                messages.filter(|held| filter.matches(&held.topic) && alive(held)).cloned(),
            );
        }
        // The order of the map would differ from start to start.
        found.sort_unstable_by(|a, b| a.topic.cmp(&b.topic));
        found
    }

    /// Makes changes durable until told to stop, and once more then.
    pub(super) async fn keep_up(self: Arc<Self>, stop: CancellationToken) {
        // Told to stop, it has something to do as well.
        let never = std::future::pending();
        stay("keeping retained messages", never, (self, stop), |(retained, stop)| {
            retained.clone().keep(stop).boxed()
        })
        .await;
    }

    async fn keep(self: Arc<Self>, stop: &CancellationToken) {
        let mut tick = tokio::time::interval(BEHIND);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut swept = tokio::time::Instant::now();
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                _ = tick.tick() => false,
            };
            if swept.elapsed() > SWEEP {
                swept = tokio::time::Instant::now();
                self.sweep(SystemTime::now());
            }
            let this = self.clone();
            match tokio::task::spawn_blocking(move || this.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "retained messages not kept, trying again");
                    // A disk that is full is no better 200 ms later.
                    if !stopping {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = tokio::time::sleep(10 * BEHIND) => {}
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "keeping retained messages was broken off"),
            }
            if stopping {
                return;
            }
        }
    }

    /// Hands all changes since the last flush to [`Keep`].
    fn flush(&self) -> anyhow::Result<()> {
        let mut changes = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let changed = std::mem::take(&mut shard.changed);
            changes.extend(changed.into_keys().map(|topic| match shard.messages.get(&topic) {
                Some(held) => Change::Put(kept(held)),
                None => Change::Remove(topic.to_string()),
            }));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let topics: Vec<Arc<str>> = changes.iter().map(|change| topic_of(change).into()).collect();
        let done = self.keep.apply(changes);
        if done.is_err() {
            for topic in topics {
                self.shard(&topic).lock().changed.insert(topic, ());
            }
        }
        done
    }

    fn sweep(&self, now: SystemTime) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let shard = &mut *shard;
            shard.messages.retain(|topic, held| {
                let alive = held.message.expires.is_none_or(|at| left(at, now).is_some());
                if !alive {
                    self.accounts.subtract(&held.owner, size(&held.message));
                    shard.changed.insert(topic.clone(), ());
                }
                alive
            });
        }
    }

    fn restore(&self, kept: Kept) {
        let owner = self.usage(&kept.owner.as_str().into());
        let properties = match kept.properties.is_empty() {
            true => None,
            false => codec::read_properties(&kept.properties).ok().map(Arc::new),
        };
        let expires = kept.expires.and_then(|at| {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(at).ok()?))
        });
        let message = Message {
            topic: kept.topic.as_str().into(),
            payload: kept.payload,
            qos: kept.qos.min(2),
            retain: true,
            properties,
            expires,
        };
        if Topic::try_from(kept.topic.as_str()).is_err() {
            tracing::warn!("a kept retained message has no valid topic, left out");
        } else if self.put(message, &owner).is_err() {
            tracing::warn!(topic = kept.topic, "no room for a kept retained message, left out");
        }
    }

    fn shard(&self, topic: &str) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one(topic) as usize % SHARDS]
    }
}

fn size(message: &Message) -> usize {
    message.topic.len() + message.payload.len()
}

fn kept(held: &Held) -> Kept {
    let message = &held.message;
    let since_1970 = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).ok();
    Kept {
        topic: message.topic.to_string(),
        payload: message.payload.clone(),
        qos: message.qos,
        expires: message
            .expires
            .and_then(since_1970)
            .and_then(|since| i64::try_from(since.as_millis()).ok()),
        properties: message.properties.as_deref().map_or_else(Bytes::new, codec::write_properties),
        owner: held.owner.owner().to_string(),
    }
}

fn topic_of(change: &Change) -> &str {
    match change {
        Change::Put(kept) => &kept.topic,
        Change::Remove(topic) => topic,
    }
}

#[cfg(test)]
mod tests {
    use super::super::keep::Memory;
    use super::*;

    fn message(topic: &str, payload: &str) -> Message {
        Message {
            topic: topic.into(),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            qos: 1,
            retain: true,
            properties: None,
            expires: None,
        }
    }

    fn store(limits: Limits) -> (Retained, Arc<Memory>, Arc<Usage>) {
        let keep = Arc::new(Memory::default());
        let retained = Retained::load(keep.clone(), limits).expect("loads");
        let usage = retained.usage(&"me".into());
        (retained, keep, usage)
    }

    fn all() -> TopicFilter {
        TopicFilter::try_from("#").expect("valid")
    }

    #[test]
    fn what_is_flushed_is_loaded_again() {
        let (retained, keep, me) = store(Limits::default());
        for topic in ["a", "b", "c"] {
            retained.put(message(topic, "1"), &me).expect("room");
        }
        retained.flush().expect("kept");
        retained.put(message("b", "2"), &me).expect("room");
        retained.put(message("c", ""), &me).expect("room");
        retained.flush().expect("kept");
        let again = Retained::load(keep, Limits::default()).expect("loads");
        let found: Vec<_> = again
            .matching(&all())
            .into_iter()
            .map(|message| (message.topic.to_string(), message.payload))
            .collect();
        assert_eq!(found, [("a".into(), "1".into()), ("b".into(), "2".into())]);
        assert_eq!(again.accounts.count(), 2);
    }

    #[test]
    fn the_share_of_a_client_is_bounded_and_replacing_needs_no_room() {
        let limits = Limits { client_count: 2, client_bytes: 10, ..Limits::default() };
        let (retained, _, me) = store(limits);
        assert_eq!(retained.put(message("a", "1234"), &me), Ok(()));
        assert_eq!(retained.put(message("b", "123456789"), &me), Err(Full), "bytes");
        assert_eq!(retained.put(message("b", "1"), &me), Ok(()));
        assert_eq!(retained.put(message("c", "1"), &me), Err(Full), "count");
        assert_eq!(retained.put(message("a", "4321"), &me), Ok(()), "same size");
        assert_eq!(retained.put(message("a", ""), &me), Ok(()));
        assert_eq!(retained.put(message("c", "1"), &me), Ok(()));
        assert_eq!(retained.matching(&all()).len(), 2);
    }

    #[test]
    fn expired_messages_are_neither_delivered_nor_kept() {
        let (retained, keep, me) = store(Limits::default());
        let now = SystemTime::now();
        let mut old = message("a", "1");
        old.expires = now.checked_sub(Duration::from_secs(1));
        retained.put(old, &me).expect("room");
        assert!(retained.matching(&all()).is_empty());
        retained.sweep(now);
        retained.flush().expect("kept");
        assert!(keep.load().expect("loads").is_empty());
    }
}
