//! What is to be published and not yet acknowledged.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;

use crate::store::{Store, StoreError};

/// A message that waits to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its place in the order, above 0. An id is never used again.
    pub id: i64,
    /// Topic.
    pub topic: String,
    /// Payload; an empty retained one clears the topic.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
    /// Whether it must arrive even where a later retained message of its topic waits as well.
    pub keep: bool,
}

/// A message that is published at every new session and needs no place in an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Bytes,
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
    /// The connection's time, for a birth: with MQTT 5 it goes with the message, and a hub ignores an older death.
    pub connected: Option<DateTime<Utc>>,
}

/// Messages that survive until the broker has acknowledged them.
pub trait Outbox: Send + Sync + 'static {
    /// Why it cannot be read or written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The next messages with ids above `after`, ascending.
    fn next(
        &self,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Outgoing>, Self::Error>> + Send;

    /// Forgets messages that the broker has.
    fn sent(&self, ids: Vec<i64>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Woken whenever messages were added.
    fn changed(&self) -> Arc<Notify>;
}

impl Outbox for Store {
    type Error = StoreError;

    async fn next(&self, after: i64, limit: usize) -> Result<Vec<Outgoing>, StoreError> {
        let rows = self.outgoing(after, limit).await?;
        let outgoing = |(id, row): (i64, crate::store::OutgoingRow)| Outgoing {
            id,
            topic: row.topic,
            payload: row.payload.into(),
            qos: row.qos,
            retain: row.retain,
            keep: row.keep,
        };
        Ok(rows.into_iter().map(outgoing).collect())
    }

    async fn sent(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.acknowledged(ids).await
    }

    fn changed(&self) -> Arc<Notify> {
        self.outgoing_stored()
    }
}

/// An outbox in memory, for tests and for what need not survive the process.
#[derive(Debug, Default)]
pub struct MemoryOutbox {
    /// The last id given, which is never given again, and the messages.
    rows: Mutex<(i64, BTreeMap<i64, Outgoing>)>,
    changed: Arc<Notify>,
}

impl MemoryOutbox {
    /// Adds a message; its id is given here.
    pub fn add(&self, mut message: Outgoing) -> i64 {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let id = rows.0 + 1;
        rows.0 = id;
        message.id = id;
        rows.1.insert(id, message);
        drop(rows);
        self.changed.notify_one();
        id
    }

    /// Messages that the broker has not acknowledged.
    pub fn len(&self) -> usize {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }

    /// Whether the broker has acknowledged everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Outbox for MemoryOutbox {
    type Error = Infallible;

    async fn next(&self, after: i64, limit: usize) -> Result<Vec<Outgoing>, Infallible> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.1.range(after + 1..).take(limit).map(|(_, row)| row.clone()).collect())
    }

    async fn sent(&self, ids: Vec<i64>) -> Result<(), Infallible> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().for_each(|id| _ = rows.1.remove(id));
        Ok(())
    }

    fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }
}
