//! What the embedded broker keeps for subscribers to come.

use rusqlite::params;

use super::{Store, StoreError};

/// A retained message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedRow {
    /// Topic; the key.
    pub topic: String,
    /// Payload, never empty.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: u8,
    /// When it expires, milliseconds since 1970.
    pub expires: Option<i64>,
    /// Properties of MQTT 5, as a property block.
    pub properties: Vec<u8>,
    /// Client id of its publisher.
    pub owner: String,
}

/// A change to what is retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetainedChange {
    /// Adds a message or replaces the one of its topic.
    Put(RetainedRow),
    /// Removes a topic's message.
    Remove(String),
}

impl Store {
    /// Everything retained. Blocks.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn retained(&self) -> Result<Vec<RetainedRow>, StoreError> {
        self.call_blocking(|connection| {
            let mut select = connection
                .prepare("SELECT topic, payload, qos, expires, properties, owner FROM retained")?;
            let rows = select.query_map((), |row| {
                Ok(RetainedRow {
                    topic: row.get(0)?,
                    payload: row.get(1)?,
                    qos: row.get(2)?,
                    expires: row.get(3)?,
                    properties: row.get(4)?,
                    owner: row.get(5)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Stores changes in one transaction. Blocks.
    ///
    /// # Errors
    /// The store cannot be written; nothing was.
    pub fn retain(&self, changes: Vec<RetainedChange>) -> Result<(), StoreError> {
        self.call_blocking(move |connection| {
            let transaction = connection.transaction()?;
            {
                let mut put = transaction.prepare_cached(
                    "INSERT OR REPLACE INTO retained
                     (topic, payload, qos, expires, properties, owner)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                let mut remove =
                    transaction.prepare_cached("DELETE FROM retained WHERE topic = ?1")?;
                for change in changes {
                    match change {
                        RetainedChange::Put(row) => put.execute(params![
                            row.topic,
                            row.payload,
                            row.qos,
                            row.expires,
                            row.properties,
                            row.owner
                        ])?,
                        RetainedChange::Remove(topic) => remove.execute([topic])?,
                    };
                }
            }
            transaction.commit()
        })
    }
}
