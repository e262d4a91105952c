//! The store as the place where retained messages outlive the broker.

use fletchck_agent::store::{RetainedChange, RetainedRow, Store};

use crate::broker::{Change, Keep, Kept};

/// Keeps retained messages in the site's store.
pub(super) struct InStore(pub(super) Store);

impl Keep for InStore {
    fn load(&self) -> anyhow::Result<Vec<Kept>> {
        let kept = |row: RetainedRow| Kept {
            topic: row.topic,
            payload: row.payload.into(),
            qos: row.qos,
            expires: row.expires,
            properties: row.properties.into(),
            owner: row.owner,
        };
        Ok(self.0.retained()?.into_iter().map(kept).collect())
    }

    fn apply(&self, changes: Vec<Change>) -> anyhow::Result<()> {
        let row = |change| match change {
            Change::Put(kept) => RetainedChange::Put(RetainedRow {
                topic: kept.topic,
                payload: kept.payload.into(),
                qos: kept.qos,
                expires: kept.expires,
                properties: kept.properties.into(),
                owner: kept.owner,
            }),
            Change::Remove(topic) => RetainedChange::Remove(topic),
        };
        Ok(self.0.retain(changes.into_iter().map(row).collect())?)
    }
}
