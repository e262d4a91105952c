//! What is forgotten in time.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::ActionName;
use rusqlite::params;

use super::{Store, StoreError};

/// Transitions kept per check for the page.
const TRANSITIONS_KEPT: i64 = 100;

/// Days for which deliveries that were given up are kept, and those of actions that are no more.
const DEAD_KEPT: i64 = 30;

impl Store {
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
                "DELETE FROM deliveries
                 WHERE (dead IS NOT NULL OR action NOT IN (SELECT value FROM json_each(?1)))
                 AND coalesce(dead, made) < ?2",
                params![actions, old],
            )?;
            connection.execute(
                "DELETE FROM handed WHERE name NOT IN (SELECT name FROM checks)
                 OR (ended IS NOT NULL AND ended NOT IN (SELECT id FROM deliveries))",
                (),
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

    /// Forgets old transitions.
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
                 )",
                [TRANSITIONS_KEPT],
            )
        })
        .await
    }
}
