//! What is read back at the start.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use chrono::DateTime;
use fletchck_shared::{AgentId, CheckName, State, wire::PRESENCE};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Mark, Store, StoreError};

/// What is kept of one check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckRow {
    /// Its state.
    pub state: State,
    /// Up to when the points of its trigger are done with.
    pub mark: Option<Mark>,
    /// Version 1 topic it was last published to.
    pub topic: Option<String>,
}

/// Where a remote check is heard, and what it is if it was added by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RemoteRow {
    /// Whether it was added when it was first heard; its owner has no entry for it in the file.
    pub added: bool,
    /// Whether it is heard on its agent's own topic; then nothing else speaks for it.
    pub fleet: bool,
    /// Its failures are not told: it is a member of a sequence that tells.
    pub quiet: bool,
    /// Its type at its agent.
    pub kind: Option<String>,
    /// The agent, where messages say.
    pub agent: Option<AgentId>,
    /// Its name at its agent.
    pub remote_id: Option<String>,
    /// Version 1 topic it is heard on; messages of the same name on another are another agent's.
    pub topic: Option<String>,
}

/// Everything an earlier run of the program left behind.
#[derive(Debug, Default)]
pub struct Past {
    /// Checks by name.
    pub checks: HashMap<CheckName, CheckRow>,
    /// Remote checks by name.
    pub remotes: HashMap<CheckName, RemoteRow>,
}

impl Store {
    /// Everything an earlier run of the program left behind.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn past(&self) -> Result<Past, StoreError> {
        self.call(|connection| past(connection)).await
    }

    /// Reads the past of a site that may be running, without taking its lock. A site that never ran has none.
    ///
    /// # Errors
    /// The file is no store.
    pub fn read_past(path: &Path) -> Result<Past, StoreError> {
        // Neither is a store that a start was about to make.
        if !path.metadata().is_ok_and(|file| file.len() > 0) {
            return Ok(Past::default());
        }
        let unreadable = |source| super::schema::unreadable(path, source);
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
            .map_err(unreadable)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        past(&connection).map_err(unreadable)
    }

    /// The agents that speak on fleet topics, as far as they were heard of before: only they say when they come and go. One
    /// that is known by version 1 messages alone does not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn fleet_agents(&self) -> Result<BTreeSet<AgentId>, StoreError> {
        self.call(|connection| {
            // Of a presence that was told of an agent without a check, there is that row alone.
            let mut agents = connection.prepare(
                "SELECT agent FROM (
                     SELECT row ->> 'agent' AS agent, coalesce(row ->> 'fleet', 0) AS fleet,
                            row ->> 'kind' IS ?1 AS presence
                     FROM remotes)
                 WHERE agent IS NOT NULL
                 GROUP BY agent HAVING max(fleet AND NOT presence) OR min(presence)",
            )?;
            let ids = agents.query_map([PRESENCE], |row| row.get::<_, String>(0))?;
            let ids = ids.map(|id| {
                AgentId::try_from(id?)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
            });
            ids.collect()
        })
        .await
    }

    /// A value that is made once and kept, the agent's id for example: what is stored under this key, or else `value`,
    /// which is stored then.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn once(&self, key: &'static str, value: String) -> Result<String, StoreError> {
        self.call(move |connection| {
            let kept: Option<String> = connection
                .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
                .optional()?;
            if let Some(kept) = kept {
                return Ok(kept);
            }
            connection
                .execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", params![key, value])?;
            Ok(value)
        })
        .await
    }
}

fn past(connection: &Connection) -> rusqlite::Result<Past> {
    let mut past = Past::default();
    let mut checks = connection.prepare("SELECT name, state, mark, beat, topic FROM checks")?;
    let mut rows = checks.query(())?;
    while let Some(row) = rows.next()? {
        let state = read_json(&row.get::<_, String>(1)?)?;
        let at = row.get::<_, Option<i64>>(2)?.and_then(DateTime::from_timestamp_micros);
        let trigger: Option<String> = row.get(3)?;
        let mark = at.zip(trigger).map(|(at, trigger)| Mark { at, trigger });
        let check = CheckRow { state, mark, topic: row.get(4)? };
        past.checks.insert(read_name(row.get(0)?)?, check);
    }
    let mut remotes = connection.prepare("SELECT name, row FROM remotes")?;
    let mut rows = remotes.query(())?;
    while let Some(row) = rows.next()? {
        past.remotes.insert(read_name(row.get(0)?)?, read_json(&row.get::<_, String>(1)?)?);
    }
    Ok(past)
}

fn read_name(text: String) -> rusqlite::Result<CheckName> {
    CheckName::try_from(text).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

fn read_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Batch;

    #[tokio::test]
    async fn an_agent_that_is_known_by_version_1_messages_alone_is_none_to_wait_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("site.db")).expect("open");
        let mut batch = Batch::default();
        for (name, agent, fleet, kind) in [
            ("nas/root", Some("nas"), true, "disk"),
            ("agent nas", Some("nas"), true, PRESENCE),
            ("old", Some("v1"), false, "disk"),
            // A presence that a hub once took for one, and that nothing else speaks for.
            ("agent v1", Some("v1"), true, PRESENCE),
            ("both/root", Some("both"), true, "disk"),
            ("both", Some("both"), false, "disk"),
            ("agent bare", Some("bare"), true, PRESENCE),
            ("original", None, false, "disk"),
        ] {
            let agent = agent.map(|id| AgentId::try_from(id).expect("an id"));
            let row = RemoteRow { fleet, agent, kind: Some(kind.into()), ..RemoteRow::default() };
            batch.remotes.insert(CheckName::try_from(name).expect("a name"), row);
        }
        store.commit(batch).await.map_err(|(_, reason)| reason).expect("stored");
        let agents = store.fleet_agents().await.expect("read");
        let agents: Vec<_> = agents.iter().map(AgentId::as_str).collect();
        assert_eq!(agents, ["bare", "both", "nas"]);
    }
}
