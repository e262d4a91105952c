//! What is still to be told, as those who tell it see it.

use chrono::{DateTime, Utc};
use fletchck_shared::{ActionName, CheckName, Severity};
use rusqlite::{Connection, params};
use serde_json::json;
use tracing::error;

use super::{Store, StoreError, handed};
use crate::actions::Notice;

/// Most notices that were given up and are told with what came after them.
const FOLDED: i64 = 1000;

/// A delivery that is still to be made.
#[derive(Clone, Debug)]
pub struct PendingDelivery {
    /// Its id; lower ones are older. Below zero for what could not be stored.
    pub id: i64,
    /// How often it was tried.
    pub tries: u32,
    /// When it came to that.
    pub made: DateTime<Utc>,
    /// What is told.
    pub notice: Notice,
}

impl PendingDelivery {
    /// Whether the store knows of it.
    pub fn stored(&self) -> bool {
        self.id > 0
    }
}

/// Which deliveries are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// How many at most.
    pub most: usize,
    /// Only those of checks of which something is to be told that is as grave as this.
    pub grave: Option<Severity>,
}

/// What became of deliveries that were tried together.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Those that are tried again.
    pub again: Vec<i64>,
    /// Whether they are tried again in the same letter, whatever else there is to tell by then.
    pub as_it_was: bool,
    /// Those that are given up.
    pub given_up: Vec<i64>,
    /// Who takes over those: an action, and each group of its recipients.
    pub heir: Option<(ActionName, Vec<String>)>,
    /// Why they failed.
    pub error: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Store {
    /// The oldest deliveries still to be made by an action to a group, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending_deliveries(
        &self,
        action: &ActionName,
        group: &str,
        Pending { most, grave }: Pending,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let (action, group) = (action.clone(), group.to_owned());
        self.call(move |connection| {
            let mut found = Vec::new();
            let mut unreadable = Vec::new();
            let mut select = connection.prepare_cached(
                "SELECT id, tries, made, notice FROM deliveries
                 WHERE action = ?1 AND grp = ?2 AND dead IS NULL
                 AND (?4 IS NULL OR name IN (
                     SELECT name FROM deliveries WHERE action = ?1 AND grp = ?2 AND dead IS NULL
                     AND CASE WHEN json_valid(notice) THEN json_extract(notice, '$.about') END
                         IN (SELECT value FROM json_each(?4))))
                 ORDER BY id LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let grave = grave.map(as_grave);
            let mut rows = select.query(params![action.as_str(), group, most, grave])?;
            while let Some(row) = rows.next()? {
                let (id, tries, made) = (row.get(0)?, row.get(1)?, time(row.get(2)?));
                match serde_json::from_str(&row.get::<_, String>(3)?) {
                    Ok(notice) => found.push(PendingDelivery { id, tries, made, notice }),
                    Err(reason) => unreadable.push((id, format!("it cannot be read: {reason}"))),
                }
            }
            drop(rows);
            drop(select);
            // It must not stand before all the others for ever.
            for (id, reason) in unreadable {
                error!("a delivery of `{action}` is given up: {reason}");
                connection.execute(
                    "UPDATE deliveries SET error = ?2, dead = made WHERE id = ?1",
                    params![id, reason],
                )?;
            }
            Ok(found)
        })
        .await
    }

    /// Notes that deliveries were made.
    ///
    /// # Errors
    /// The store cannot be written; they will be made again.
    pub async fn delivered(&self, ids: Vec<i64>) -> Result<(), StoreError> {
        self.call(move |connection| {
            let change = connection.transaction()?;
            {
                let mut delete = change.prepare_cached("DELETE FROM deliveries WHERE id = ?1")?;
                for id in &ids {
                    delete.execute([id])?;
                }
            }
            change.commit()
        })
        .await
    }

    /// Notes what became of deliveries that failed once more.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn not_delivered(&self, tried: Tried) -> Result<(), StoreError> {
        let handed_over = tried.heir.is_some() && !tried.given_up.is_empty();
        let last = self.last_delivery.clone();
        self.call(move |connection| {
            Self::stored_delivery(&last, note(connection, &tried)?);
            Ok(())
        })
        .await?;
        if handed_over {
            self.to_deliver.notify_waiters();
        }
        Ok(())
    }

    /// Moves deliveries to groups that an action no longer has to the first of those it has, so that they are told to
    /// someone, and notes that it is that one whom others stood in for, or that stood in. Those of groups that are `busy` stay
    /// as they are. How many deliveries those are.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn regroup_deliveries(
        &self,
        action: &ActionName,
        groups: Vec<String>,
        busy: Vec<String>,
    ) -> Result<usize, StoreError> {
        let action = action.clone();
        let moved = self
            .call(move |connection| {
                let first = groups.first().map_or("", String::as_str);
                let known = serde_json::Value::from_iter(groups.iter().chain(&busy).cloned());
                let known = known.to_string();
                let change = connection.transaction()?;
                let moved = change.execute(
                    "UPDATE deliveries SET grp = ?2, letter = NULL WHERE action = ?1 AND dead IS NULL
                     AND grp NOT IN (SELECT value FROM json_each(?3))",
                    params![action.as_str(), first, known],
                )?;
                handed::regroup(&change, action.as_str(), first, &known)?;
                change.commit()?;
                Ok(moved)
            })
            .await?;
        if moved > 0 {
            self.to_deliver.notify_waiters();
        }
        Ok(moved)
    }

    /// What an action gave up to tell a group of these checks, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn given_up(
        &self,
        action: &ActionName,
        group: &str,
        checks: Vec<CheckName>,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let (action, group) = (action.clone(), group.to_owned());
        let checks = serde_json::Value::from_iter(checks.iter().map(CheckName::as_str)).to_string();
        self.call(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, tries, made, notice FROM deliveries
                 WHERE dead IS NOT NULL AND action = ?1 AND grp = ?2
                 AND name IN (SELECT value FROM json_each(?3)) ORDER BY id LIMIT ?4",
            )?;
            let asked = params![action.as_str(), group, checks, FOLDED];
            let rows = select.query_map(asked, |row| {
                let (id, tries, made) = (row.get(0)?, row.get(1)?, time(row.get(2)?));
                // One that cannot be read is in the log already.
                let notice = serde_json::from_str(&row.get::<_, String>(3)?).ok();
                Ok(notice.map(|notice| PendingDelivery { id, tries, made, notice }))
            })?;
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }
}

/// The highest id that a delivery was given.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'",
        )?
        .query_row((), |row| row.get(0))
}

/// In one transaction, so that what an heir is to tell is neither lost nor told twice. The highest id that a delivery was
/// given.
fn note(connection: &mut Connection, tried: &Tried) -> rusqlite::Result<i64> {
    let at = tried.at.timestamp_micros();
    let heir = tried.heir.as_ref().map(|(action, _)| action.as_str());
    let change = connection.transaction()?;
    {
        let mut again = change
            .prepare_cached("UPDATE deliveries SET tries = tries + 1, error = ?2, letter = CASE WHEN ?3 THEN letter END WHERE id = ?1")?;
        for id in &tried.again {
            again.execute(params![id, tried.error, tried.as_it_was])?;
        }
        let mut given_up = change.prepare_cached(
            "UPDATE deliveries SET tries = tries + 1, error = ?2, letter = NULL, dead = ?3, heir = ?4 WHERE id = ?1",
        )?;
        for id in &tried.given_up {
            given_up.execute(params![id, tried.error, at, heir])?;
        }
    }
    if let Some((heir, groups)) = &tried.heir {
        handed::hand(&change, tried, heir.as_str(), groups)?;
    }
    let last = last(&change)?;
    change.commit()?;
    Ok(last)
}

/// What is as grave as this, as a list in JSON.
fn as_grave(least: Severity) -> String {
    let all = [Severity::Ok, Severity::Warning, Severity::Critical].into_iter();
    json!(all.filter(|severity| *severity >= least).collect::<Vec<_>>()).to_string()
}

/// A time as the store keeps it.
pub(super) fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
