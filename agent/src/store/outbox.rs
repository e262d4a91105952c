//! Messages that no broker has acknowledged yet.

use rusqlite::params;

use super::{OutgoingRow, Store, StoreError};

/// Messages kept for a broker that is away. Beyond it the oldest go, and the log says so: current states are
/// published anew at every new session anyway.
const OUTBOX_MAX: i64 = 50_000;

impl Store {
    /// The next messages to publish, oldest first, with ids above `after`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn outgoing(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, OutgoingRow)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.call(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, topic, payload, qos, retain, keep FROM outbox
                 WHERE id > ?1 ORDER BY id LIMIT ?2",
            )?;
            let rows = select.query_map(params![after, limit], |row| {
                let outgoing = OutgoingRow {
                    topic: row.get(1)?,
                    payload: row.get(2)?,
                    qos: row.get(3)?,
                    retain: row.get(4)?,
                    keep: row.get(5)?,
                };
                Ok((row.get(0)?, outgoing))
            })?;
            rows.collect()
        })
        .await
    }

    /// Whether this message still waits for the broker to acknowledge it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn is_outgoing(&self, topic: &str, payload: &[u8]) -> Result<bool, StoreError> {
        let (topic, payload) = (topic.to_owned(), payload.to_owned());
        self.call(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM outbox WHERE topic = ?1 AND payload = ?2)",
            )?;
            select.query_row(params![topic, payload], |row| row.get(0))
        })
        .await
    }

    /// Forgets messages that the broker has acknowledged.
    ///
    /// # Errors
    /// The store cannot be written; they will be sent again.
    pub async fn acknowledged(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.call(move |connection| {
            let change = connection.transaction()?;
            {
                let mut delete = change.prepare_cached("DELETE FROM outbox WHERE id = ?1")?;
                for id in ids {
                    delete.execute([id])?;
                }
            }
            change.commit()
        })
        .await
    }

    /// Cuts the outbox to its bound and answers with the number of messages that were given up.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn trim_outbox(&self) -> Result<usize, StoreError> {
        self.call(|connection| {
            connection.execute(
                "DELETE FROM outbox WHERE id <= (SELECT max(id) FROM outbox) - ?1
                 AND id IN (SELECT id FROM outbox ORDER BY id DESC LIMIT -1 OFFSET ?1)",
                [OUTBOX_MAX],
            )
        })
        .await
    }
}
