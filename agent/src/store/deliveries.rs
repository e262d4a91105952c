//! What is still to be told, and what was given up.

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::ActionName;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use tracing::error;

use super::{Store, StoreError};
use crate::actions::Notice;

/// Transitions kept per check for the page.
const TRANSITIONS_KEPT: i64 = 100;

/// Days for which deliveries that were given up are kept, and those of actions that are no more.
const DEAD_KEPT: i64 = 30;

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

/// A delivery as a person sees it: it waits, or was given up.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownDelivery {
    /// Its id.
    pub id: i64,
    /// The action.
    pub action: String,
    /// The group of its recipients; empty where there is one.
    pub group: String,
    /// What is told.
    pub notice: Notice,
    /// When it came to that.
    pub made: DateTime<Utc>,
    /// How often it was tried.
    pub tries: u32,
    /// Why the last try failed.
    pub error: Option<String>,
    /// When it was given up.
    pub dead: Option<DateTime<Utc>>,
    /// The action that it was handed to then.
    pub heir: Option<String>,
}

/// What became of deliveries that were tried together.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Those that are tried again.
    pub again: Vec<i64>,
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
    /// The oldest deliveries still to be made by an action to a group, oldest first, `most` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn pending_deliveries(
        &self,
        action: &ActionName,
        group: &str,
        most: usize,
    ) -> Result<Vec<PendingDelivery>, StoreError> {
        let (action, group) = (action.clone(), group.to_owned());
        self.call(move |connection| {
            let mut found = Vec::new();
            let mut unreadable = Vec::new();
            let mut select = connection.prepare_cached(
                "SELECT id, tries, made, notice FROM deliveries
                 WHERE action = ?1 AND grp = ?2 AND dead IS NULL ORDER BY id LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = select.query(params![action.as_str(), group, most])?;
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
        self.call(move |connection| note(connection, &tried)).await?;
        if handed_over {
            self.to_deliver.notify_waiters();
        }
        Ok(())
    }

    /// Moves deliveries to groups that an action no longer has to the first of those it has, so that they are told to
    /// someone. How many those are.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn regroup_deliveries(
        &self,
        action: &ActionName,
        groups: Vec<String>,
    ) -> Result<usize, StoreError> {
        let action = action.clone();
        let moved = self
            .call(move |connection| {
                let known = serde_json::Value::from(groups.clone()).to_string();
                connection.execute(
                    "UPDATE deliveries SET grp = ?2 WHERE action = ?1 AND dead IS NULL
                     AND grp NOT IN (SELECT value FROM json_each(?3))",
                    params![action.as_str(), groups.first().map_or("", String::as_str), known],
                )
            })
            .await?;
        if moved > 0 {
            self.to_deliver.notify_waiters();
        }
        Ok(moved)
    }

    /// Deliveries that wait or were given up, latest first, `most` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn shown_deliveries(
        &self,
        dead: bool,
        most: usize,
    ) -> Result<Vec<ShownDelivery>, StoreError> {
        self.call(move |connection| {
            let query = format!(
                "SELECT id, action, grp, notice, made, tries, error, dead, heir FROM deliveries
                 WHERE dead IS {} NULL ORDER BY id DESC LIMIT ?1",
                if dead { "NOT" } else { "" },
            );
            let mut select = connection.prepare_cached(&query)?;
            let rows = select.query_map([i64::try_from(most).unwrap_or(i64::MAX)], shown)?;
            // One that cannot be read is in the log already.
            rows.filter_map(Result::transpose).collect()
        })
        .await
    }

    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count_deliveries(&self) -> Result<(u32, u32), StoreError> {
        self.call(|connection| {
            connection.query_row(
                "SELECT count(*) FILTER (WHERE dead IS NULL), count(*) FILTER (WHERE dead IS NOT NULL)
                 FROM deliveries",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }

    /// Takes up deliveries again that were given up: one, or all. How many those are.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revive_deliveries(
        &self,
        id: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<usize, StoreError> {
        let now = now.timestamp_micros();
        let revived = self
            .call(move |connection| {
                connection.execute(
                    "UPDATE deliveries SET dead = NULL, heir = NULL, tries = 0, made = ?2
                     WHERE dead IS NOT NULL AND (?1 IS NULL OR id = ?1)",
                    params![id, now],
                )
            })
            .await?;
        if revived > 0 {
            self.to_deliver.notify_waiters();
        }
        Ok(revived)
    }

    /// Forgets deliveries that were given up: one, or all. How many those are.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn forget_deliveries(&self, id: Option<i64>) -> Result<usize, StoreError> {
        self.call(move |connection| {
            connection.execute(
                "DELETE FROM deliveries WHERE dead IS NOT NULL AND (?1 IS NULL OR id = ?1)",
                [id],
            )
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
                "DELETE FROM deliveries
                 WHERE (dead IS NOT NULL OR action NOT IN (SELECT value FROM json_each(?1)))
                 AND coalesce(dead, made) < ?2",
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

/// In one transaction, so that what an heir is to tell is neither lost nor told twice.
fn note(connection: &mut Connection, tried: &Tried) -> rusqlite::Result<()> {
    let at = tried.at.timestamp_micros();
    let heir = tried.heir.as_ref().map(|(action, _)| action.as_str());
    let change = connection.transaction()?;
    {
        let mut again = change
            .prepare_cached("UPDATE deliveries SET tries = tries + 1, error = ?2 WHERE id = ?1")?;
        for id in &tried.again {
            again.execute(params![id, tried.error])?;
        }
        let mut given_up = change.prepare_cached(
            "UPDATE deliveries SET tries = tries + 1, error = ?2, dead = ?3, heir = ?4 WHERE id = ?1",
        )?;
        let mut inherit = change.prepare_cached(
            "INSERT INTO deliveries (name, action, grp, notice, made)
             SELECT name, ?2, ?3, notice, ?4 FROM deliveries WHERE id = ?1",
        )?;
        for id in &tried.given_up {
            given_up.execute(params![id, tried.error, at, heir])?;
            for (action, group) in tried
                .heir
                .iter()
                .flat_map(|(action, groups)| groups.iter().map(move |group| (action, group)))
            {
                inherit.execute(params![id, action.as_str(), group, at])?;
            }
        }
    }
    change.commit()
}

fn shown(row: &Row<'_>) -> rusqlite::Result<Option<ShownDelivery>> {
    let Ok(notice) = serde_json::from_str(&row.get::<_, String>(3)?) else { return Ok(None) };
    Ok(Some(ShownDelivery {
        id: row.get(0)?,
        action: row.get(1)?,
        group: row.get(2)?,
        notice,
        made: time(row.get(4)?),
        tries: row.get(5)?,
        error: row.get(6)?,
        dead: row.get::<_, Option<i64>>(7)?.map(time),
        heir: row.get(8)?,
    }))
}

/// A time as the store keeps it.
fn time(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}
