//! For how long this site has listened to others, life by life: one that is started anew all the time must miss them all the
//! same.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{Store, StoreError};

/// The key of this value.
const KEY: &str = "lives";

/// One life of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it began.
    pub began: DateTime<Utc>,
    /// For how long others could be heard in it, in milliseconds.
    pub listened: i64,
}

impl Life {
    /// For how long others could be heard in it.
    pub fn listened(&self) -> TimeDelta {
        TimeDelta::try_milliseconds(self.listened.clamp(0, 1 << 50)).unwrap_or_default()
    }
}

impl Store {
    /// The last lives, the last one last. None, if that cannot be read: then everyone has all their time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lives(&self) -> Result<Vec<Life>, StoreError> {
        self.call(|connection| {
            let select = "SELECT value FROM meta WHERE key = ?1";
            let value: Option<String> =
                connection.query_row(select, [KEY], |row| row.get(0)).optional()?;
            Ok(value.map_or_else(Vec::new, |value| {
                serde_json::from_str(&value).unwrap_or_else(|reason| {
                    error!("how long this site has listened cannot be read and does not count: {reason}");
                    Vec::new()
                })
            }))
        })
        .await
    }
}

/// Writes the last lives, within a transaction.
pub(super) fn write(change: &Connection, lives: &[Life]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    change.prepare_cached(sql)?.execute([KEY, &super::batch::json(lives)?])?;
    Ok(())
}
