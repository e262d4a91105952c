//! Labels of agents, which silences are made by: a hub that starts anew must not tell of what they silence before it has heard
//! from everyone.

use std::collections::{BTreeMap, HashMap};

use fletchck_shared::AgentId;
use rusqlite::{Connection, params};
use tracing::error;

use super::{Store, StoreError};

/// What the keys of these values begin with.
const KEY: &str = "labels/";

impl Store {
    /// The labels of all agents. Those that cannot be read are left out: an alert too many is better than one too few.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn labels(&self) -> Result<HashMap<AgentId, BTreeMap<String, String>>, StoreError> {
        self.call(|connection| {
            let mut labels = HashMap::new();
            let mut select = connection.prepare("SELECT key, value FROM meta WHERE key GLOB ?1")?;
            let mut rows = select.query([format!("{KEY}*")])?;
            while let Some(row) = rows.next()? {
                let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
                let id = key.strip_prefix(KEY).unwrap_or(&key);
                match (AgentId::try_from(id), serde_json::from_str(&value)) {
                    (Ok(id), Ok(value)) => _ = labels.insert(id, value),
                    _ => error!("the labels of `{id}` cannot be read and do not count"),
                }
            }
            Ok(labels)
        })
        .await
    }
}

/// Writes the labels of these agents, within a transaction.
pub(super) fn write(
    change: &Connection,
    labels: &HashMap<AgentId, BTreeMap<String, String>>,
) -> rusqlite::Result<()> {
    let mut keep =
        change.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?;
    let mut forget = change.prepare_cached("DELETE FROM meta WHERE key = ?1")?;
    for (agent, labels) in labels {
        let key = format!("{KEY}{agent}");
        if labels.is_empty() {
            forget.execute([key])?;
        } else {
            keep.execute(params![key, super::batch::json(labels)?])?;
        }
    }
    Ok(())
}
