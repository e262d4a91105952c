//! Silences that people made while the site ran.

use std::collections::BTreeMap;

use fletchck_shared::policy::Silence;
use rusqlite::OptionalExtension as _;

use super::{SilenceId, Store, StoreError};

impl Store {
    /// All silences, and the number that the next one gets. One that cannot be read is left out: an alert too many is better
    /// than one too few.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn silences(&self) -> Result<(BTreeMap<SilenceId, Silence>, SilenceId), StoreError> {
        self.call(|connection| {
            let mut silences = BTreeMap::new();
            let mut select = connection.prepare("SELECT id, row FROM silences")?;
            let mut rows = select.query(())?;
            while let Some(row) = rows.next()? {
                let id: SilenceId = row.get(0)?;
                match serde_json::from_str(&row.get::<_, String>(1)?) {
                    Ok(silence) => _ = silences.insert(id, silence),
                    Err(reason) => {
                        tracing::error!("silence {id} cannot be read and does not hold: {reason}")
                    }
                }
            }
            let last: Option<SilenceId> = connection
                .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'silences'", (), |row| {
                    row.get(0)
                })
                .optional()?;
            Ok((silences, last.unwrap_or(0) + 1))
        })
        .await
    }
}
