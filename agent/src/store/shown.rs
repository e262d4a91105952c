//! What is still to be told, and what was given up, as people see it and decide about it.

use chrono::{DateTime, Utc};
use fletchck_shared::CheckName;
use rusqlite::{Row, params};
use serde::Serialize;

use super::{Store, StoreError, deliveries::time};
use crate::actions::Notice;

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

/// What became of deliveries that were given up and are wanted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revived {
    /// How many are made again.
    pub again: usize,
    /// How many are not, for they tell of failures that are over, whose end is told to nobody any more.
    pub over: usize,
}

impl Store {
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

    /// Deliveries of a check that wait, latest first, `most` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_for(
        &self,
        check: &CheckName,
        most: usize,
    ) -> Result<Vec<ShownDelivery>, StoreError> {
        let check = check.clone();
        self.call(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, action, grp, notice, made, tries, error, dead, heir FROM deliveries
                 WHERE dead IS NULL AND name = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = select.query_map(params![check.as_str(), most], shown)?;
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

    /// Takes up deliveries again that were given up: one, with all else that was given up for the same recipients and of
    /// the same check, or all. What tells that a check fails which is well stays as it is: its end would never be told.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn revive_deliveries(
        &self,
        id: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<Revived, StoreError> {
        let now = now.timestamp_micros();
        let revived = self
            .call(move |connection| {
                let change = connection.transaction()?;
                let asked = "dead IS NOT NULL AND (?1 IS NULL OR (name, action, grp)
                     IN (SELECT name, action, grp FROM deliveries WHERE id = ?1 AND dead IS NOT NULL))";
                let all: i64 = change.query_row(
                    &format!("SELECT count(*) FROM deliveries WHERE {asked}"),
                    [id],
                    |row| row.get(0),
                )?;
                let again = change.execute(
                    &format!(
                        "UPDATE deliveries SET dead = NULL, heir = NULL, tries = 0, made = ?2
                         WHERE {asked} AND NOT (
                             coalesce((SELECT json_extract(state, '$.condition') FROM checks
                                 WHERE checks.name = deliveries.name), '') = 'pass'
                             AND coalesce((SELECT CASE WHEN json_valid(notice)
                                     THEN json_extract(notice, '$.severity') END
                                 FROM deliveries AS last WHERE last.name = deliveries.name
                                 AND last.action = deliveries.action AND last.grp = deliveries.grp
                                 ORDER BY id DESC LIMIT 1), '') != 'ok')"
                    ),
                    params![id, now],
                )?;
                change.commit()?;
                let all = usize::try_from(all).unwrap_or_default();
                Ok(Revived { again, over: all.saturating_sub(again) })
            })
            .await?;
        if revived.again > 0 {
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
