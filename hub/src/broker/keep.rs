//! Where retained messages outlive the broker.

use std::collections::BTreeMap;

use bytes::Bytes;
use parking_lot::Mutex;

/// One retained message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Topic; the key.
    pub topic: String,
    /// Payload, never empty.
    pub payload: Bytes,
    /// Quality of service it was published with, 0 to 2.
    pub qos: u8,
    /// When it expires, milliseconds since 1970; `None`: never.
    pub expires: Option<i64>,
    /// MQTT 5 properties as a property block, its length in front; empty for none.
    pub properties: Bytes,
    /// Client id of its publisher, against whose share it counts.
    pub owner: String,
}

/// One change to what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a message or replaces the one of the same topic.
    Put(Kept),
    /// Removes a topic's message.
    Remove(String),
}

/// Keeps retained messages over a restart. Called from a thread that may block.
pub trait Keep: Send + Sync {
    /// All messages that were kept.
    ///
    /// # Errors
    /// They cannot be read; the broker does not start then.
    fn load(&self) -> anyhow::Result<Vec<Kept>>;

    /// Makes changes durable, in one transaction. Each topic is in a batch at most once.
    ///
    /// # Errors
    /// Nothing was kept; the same changes, or newer ones of the same topics, come again.
    fn apply(&self, changes: Vec<Change>) -> anyhow::Result<()>;
}

/// Keeps retained messages in memory, over a restart of the broker but not of the process.
#[derive(Debug, Default)]
pub struct Memory {
    kept: Mutex<BTreeMap<String, Kept>>,
}

impl Keep for Memory {
    fn load(&self) -> anyhow::Result<Vec<Kept>> {
        Ok(self.kept.lock().values().cloned().collect())
    }

    fn apply(&self, changes: Vec<Change>) -> anyhow::Result<()> {
        let mut kept = self.kept.lock();
        for change in changes {
            match change {
                Change::Put(message) => {
                    kept.insert(message.topic.clone(), message);
                }
                Change::Remove(topic) => {
                    kept.remove(&topic);
                }
            }
        }
        Ok(())
    }
}
