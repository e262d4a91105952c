//! What is still to be told.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::ActionName;
use rusqlite::params;
use tracing::error;

use super::{Store, StoreError};
use crate::actions::Notice;

/// Transitions kept per check for the page; deliveries still to be made keep theirs beyond it.
const TRANSITIONS_KEPT: i64 = 100;

/// Days for which deliveries that were given up are kept, and those of actions that are no more.
const DEAD_KEPT: i64 = 30;

/// A delivery that is still to be made.
#[derive(Debug)]
pub struct PendingDelivery {
    /// Its id; lower ones are older.
    pub id: i64,
    /// How often it was tried.
    pub tries: u32,
    /// What is told.
    pub notice: Notice,
}

impl Store {
    /// The oldest delivery still to be made by an action.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn next_delivery(
        &self,
        action: &ActionName,
    ) -> Result<Option<PendingDelivery>, StoreError> {
        let action = action.clone();
        self.call(move |connection| {
            loop {
                let mut select = connection.prepare_cached(
                    "SELECT id, tries, notice FROM deliveries
                     WHERE action = ?1 AND dead IS NULL ORDER BY id LIMIT 1",
                )?;
                let mut rows = select.query([action.as_str()])?;
                let Some(row) = rows.next()? else { return Ok(None) };
                let (id, tries): (i64, u32) = (row.get(0)?, row.get(1)?);
                match serde_json::from_str(&row.get::<_, String>(2)?) {
                    Ok(notice) => return Ok(Some(PendingDelivery { id, tries, notice })),
                    // It must not stand before all the others for ever.
                    Err(reason) => {
                        error!("a delivery of `{action}` cannot be read and is given up: {reason}");
                        let dead = format!("it cannot be read: {reason}");
                        connection.execute(
                            "UPDATE deliveries SET dead = ?2 WHERE id = ?1",
                            params![id, dead],
                        )?;
                    }
                }
            }
        })
        .await
    }

    /// Notes that a delivery was made.
    ///
    /// # Errors
    /// The store cannot be written; it will be made again.
    pub async fn delivered(&self, id: i64) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection.execute("DELETE FROM deliveries WHERE id = ?1", [id]).map(drop)
        })
        .await
    }

    /// Notes that a delivery failed once more; with a reason, that it is given up.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn not_delivered(&self, id: i64, dead: Option<String>) -> Result<(), StoreError> {
        self.call(move |connection| {
            connection
                .execute(
                    "UPDATE deliveries SET tries = tries + 1, dead = ?2 WHERE id = ?1",
                    params![id, dead],
                )
                .map(drop)
        })
        .await
    }

    /// Forgets deliveries that were given up, or whose action is none of these, and that are old by now. How many of the
    /// latter are left.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn trim_deliveries(
        &self,
        actions: Vec<ActionName>,
        now: DateTime<Utc>,
    ) -> Result<i64, StoreError> {
        let old = (now - TimeDelta::days(DEAD_KEPT)).timestamp_micros();
        let actions =
            serde_json::Value::from_iter(actions.iter().map(ActionName::as_str)).to_string();
        self.call(move |connection| {
            connection.execute(
                "DELETE FROM deliveries WHERE (dead IS NOT NULL OR action NOT IN (SELECT value FROM json_each(?1)))
                 AND transition IN (SELECT id FROM transitions WHERE at < ?2)",
                params![actions, old],
            )?;
            connection.query_row(
                "SELECT count(*) FROM deliveries
                 WHERE dead IS NULL AND action NOT IN (SELECT value FROM json_each(?1))",
                [&actions],
                |row| row.get(0),
            )
        })
        .await
    }

    /// Forgets old transitions, but none that is still to be told.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn trim_transitions(&self) -> Result<usize, StoreError> {
        self.call(|connection| {
            connection.execute(
                "DELETE FROM transitions WHERE id IN (
                     SELECT id FROM (
                         SELECT id, row_number() OVER (PARTITION BY name ORDER BY id DESC) AS age
                         FROM transitions
                     ) WHERE age > ?1
                 ) AND id NOT IN (SELECT transition FROM deliveries)",
                [TRANSITIONS_KEPT],
            )
        })
        .await
    }
}
