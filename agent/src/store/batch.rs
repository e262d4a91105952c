//! One transaction: states, the transitions they made, and what is still to be told of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use fletchck_shared::{
    ActionName, AgentId, CheckName, State, Transition,
    policy::{Ack, Silence},
};
use rusqlite::{Connection, OptionalExtension, params};
use tracing::warn;

use super::{
    RemoteRow, Store, StoreError, deliveries,
    handed::{self, Row},
    labels,
};
use crate::actions::Notice;

/// Everything that is stored together. Of one check the last state counts.
#[derive(Debug, Default)]
pub struct Batch {
    /// States as they are now.
    pub states: HashMap<CheckName, State>,
    /// Up to where the points of a trigger are done with.
    pub marks: HashMap<CheckName, Mark>,
    /// Version 1 topics that checks are published to from now on.
    pub topics: HashMap<CheckName, Option<String>>,
    /// Transitions, in order.
    pub transitions: Vec<(CheckName, Transition)>,
    /// What is to be told, in order.
    pub deliveries: Vec<NewDelivery>,
    /// Silences that are new, in order.
    pub silences: Vec<(SilenceId, Silence)>,
    /// Silences that are over.
    pub ended: Vec<SilenceId>,
    /// Messages to publish, in order.
    pub outgoing: Vec<OutgoingRow>,
    /// Where remote checks are heard.
    pub remotes: HashMap<CheckName, RemoteRow>,
    /// Labels of agents; none: they are forgotten.
    pub labels: HashMap<AgentId, BTreeMap<String, String>>,
    /// For how long this site has listened to others, where that is worth noting.
    pub lives: Option<Vec<super::Life>>,
    /// When somebody asked whether the store takes anything.
    pub pulse: Option<DateTime<Utc>>,
    /// Checks that are gone, with all that was kept of them but their transitions.
    pub removed: Vec<CheckName>,
}

/// Up to when the points of a check's trigger are done with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The time.
    pub at: DateTime<Utc>,
    /// The trigger, as JSON: under another one the check begins anew.
    pub trigger: String,
}

/// Something to tell to one group of an action's recipients.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDelivery {
    /// The action.
    pub action: ActionName,
    /// The group.
    pub group: String,
    /// What is told.
    pub notice: Notice,
    /// When it came to that.
    pub made: DateTime<Utc>,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingRow {
    /// Topic.
    pub topic: String,
    /// Payload; empty and retained clears the topic.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker keeps it.
    pub retain: bool,
    /// Whether it must arrive even where a later message on its topic waits as well, as a transition must.
    pub keep: bool,
}

impl Batch {
    /// Whether it must be on the disk before anything else happens: what people must hear of, and what they decided, as far
    /// as it is not in the states.
    fn must_last(&self) -> bool {
        !(self.transitions.is_empty()
            && self.deliveries.is_empty()
            && self.silences.is_empty()
            && self.ended.is_empty())
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
            && self.marks.is_empty()
            && self.topics.is_empty()
            && self.transitions.is_empty()
            && self.deliveries.is_empty()
            && self.silences.is_empty()
            && self.ended.is_empty()
            && self.outgoing.is_empty()
            && self.remotes.is_empty()
            && self.labels.is_empty()
            && self.lives.is_none()
            && self.pulse.is_none()
            && self.removed.is_empty()
    }
}

/// Number of a silence; it is never given to another one.
pub type SilenceId = i64;

/// Most transitions, and most messages, that wait for a store which refuses.
const WAITING: usize = 10_000;

impl Batch {
    /// Keeps to a bound what waits for a store that refuses: of a topic the last message, and of those that must arrive,
    /// as of transitions, the latest. How they stand is in the states, which are one for each check.
    pub fn bound(&mut self) {
        let mut later = HashSet::new();
        let mut kept: Vec<_> = std::mem::take(&mut self.outgoing)
            .into_iter()
            .rev()
            .filter(|row| row.keep || later.insert(row.topic.clone()))
            .collect();
        let dropped = kept.len().saturating_sub(WAITING);
        kept.truncate(WAITING);
        kept.reverse();
        self.outgoing = kept;
        let old = self.transitions.len().saturating_sub(WAITING);
        self.transitions.drain(..old);
        if dropped + old > 0 {
            warn!(
                "the store refuses for long: {old} transitions and {dropped} messages are forgotten"
            );
        }
    }
}

impl Store {
    /// Stores a batch in one transaction. With something in it that must last, it is on the disk when this returns; otherwise it
    /// survives the process at once, and a power cut within moments.
    ///
    /// # Errors
    /// Nothing of the batch was stored; it comes back with the reason.
    pub async fn commit(&self, batch: Batch) -> Result<(), (Box<Batch>, StoreError)> {
        let outgoing = !batch.outgoing.is_empty();
        let deliveries = !batch.deliveries.is_empty();
        let batch = std::sync::Arc::new(batch);
        let stored = batch.clone();
        let last = self.last_delivery.clone();
        let result = self
            .call(move |connection| {
                let result = write(connection, &stored);
                drop(stored);
                Self::stored_delivery(&last, result?);
                Ok(())
            })
            .await;
        match result {
            Ok(()) => {
                if outgoing {
                    self.outgoing.notify_waiters();
                    self.outgoing.notify_one();
                }
                if deliveries {
                    self.to_deliver.notify_waiters();
                }
                Ok(())
            }
            Err(error) => {
                // The store's thread has let go of its half by now, unless it died on the way.
                let batch = std::sync::Arc::into_inner(batch).unwrap_or_default();
                Err((Box::new(batch), error))
            }
        }
    }
}

/// The highest id that a delivery was given.
fn write(connection: &mut Connection, batch: &Batch) -> rusqlite::Result<i64> {
    let must_last = batch.must_last() || changes_an_ack(connection, batch)?;
    let durable = if must_last { "FULL" } else { "NORMAL" };
    connection.pragma_update(None, "synchronous", durable)?;
    let change = connection.transaction()?;
    {
        // First: a name that is gone may have come anew since.
        let mut gone = change.prepare_cached("DELETE FROM checks WHERE name = ?1")?;
        let mut gone_remote = change.prepare_cached("DELETE FROM remotes WHERE name = ?1")?;
        for name in &batch.removed {
            gone.execute([name.as_str()])?;
            gone_remote.execute([name.as_str()])?;
        }
        let mut state = change.prepare_cached(
            "INSERT INTO checks (name, state) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET state = excluded.state",
        )?;
        for (name, value) in &batch.states {
            state.execute(params![name.as_str(), json(value)?])?;
        }
        let mut mark = change.prepare_cached(
            "INSERT INTO checks (name, state, mark, beat) VALUES (?1, '{}', ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, beat = excluded.beat",
        )?;
        for (name, Mark { at, trigger }) in &batch.marks {
            mark.execute(params![name.as_str(), at.timestamp_micros(), trigger])?;
        }
        let mut topic = change.prepare_cached(
            "INSERT INTO checks (name, state, topic) VALUES (?1, '{}', ?2)
             ON CONFLICT (name) DO UPDATE SET topic = excluded.topic",
        )?;
        for (name, value) in &batch.topics {
            topic.execute(params![name.as_str(), value])?;
        }
        let mut remote = change.prepare_cached(
            "INSERT INTO remotes (name, row) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET row = excluded.row",
        )?;
        for (name, row) in &batch.remotes {
            remote.execute(params![name.as_str(), json(row)?])?;
        }
        let mut transition = change
            .prepare_cached("INSERT INTO transitions (name, at, entry) VALUES (?1, ?2, ?3)")?;
        for (name, new) in &batch.transitions {
            let at = new.at.timestamp_micros();
            transition.execute(params![name.as_str(), at, json(new)?])?;
        }
        for NewDelivery { action, group, notice, made } in &batch.deliveries {
            let row = Row {
                check: notice.check.as_str(),
                action: action.as_str(),
                group,
                notice: &json(notice)?,
                made: made.timestamp_micros(),
                over: handed::is_over(notice),
            };
            let knows = |action: &str, group: &str| {
                let mut all =
                    batch.deliveries.iter().filter(|new| new.notice.check == notice.check);
                all.any(|new| new.action.as_str() == action && new.group == group)
            };
            handed::deliver(&change, &row, &knows)?;
        }
        let mut silence =
            change.prepare_cached("INSERT INTO silences (id, row) VALUES (?1, ?2)")?;
        for (id, row) in &batch.silences {
            silence.execute(params![id, json(row)?])?;
        }
        let mut ended = change.prepare_cached("DELETE FROM silences WHERE id = ?1")?;
        for id in &batch.ended {
            ended.execute([id])?;
        }
        labels::write(&change, &batch.labels)?;
        if let Some(lives) = &batch.lives {
            super::lives::write(&change, lives)?;
        }
        if let Some(at) = batch.pulse {
            change
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('pulse', ?1)")?
                .execute([at.to_rfc3339()])?;
        }
        let mut replace =
            change.prepare_cached("DELETE FROM outbox WHERE topic = ?1 AND keep = 0")?;
        let mut outgoing = change.prepare_cached(
            "INSERT INTO outbox (topic, payload, qos, retain, keep) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for row in &batch.outgoing {
            replace.execute([&row.topic])?;
            outgoing.execute(params![row.topic, row.payload, row.qos, row.retain, row.keep])?;
        }
    }
    let last = deliveries::last(&change)?;
    change.commit()?;
    Ok(last)
}

/// Whether somebody has taken a failure on, or given it back, since these states were stored.
fn changes_an_ack(connection: &Connection, batch: &Batch) -> rusqlite::Result<bool> {
    // Nearly no state has one, and of those that have none nothing is taken apart.
    let mut stored = connection.prepare_cached(
        "SELECT json_extract(state, '$.alert.ack') FROM checks
         WHERE name = ?1 AND instr(state, '\"ack\"')",
    )?;
    for (name, state) in &batch.states {
        let stored: Option<String> =
            stored.query_row([name.as_str()], |row| row.get(0)).optional()?.flatten();
        let stored = stored.map(|ack| serde_json::from_str::<Ack>(&ack));
        // One that cannot be read is another one.
        if stored.transpose().map_or(true, |stored| stored != state.alert.ack) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_takes_a_failure_on_or_gives_it_back_does_so_for_good() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("site.db")).expect("a store");
        let name = CheckName::try_from("web").expect("a name");
        let ack = Ack {
            by: "ann".into(),
            at: DateTime::UNIX_EPOCH,
            comment: "on my \"ack\"".into(),
            sticky: false,
            until: None,
            failure: None,
            told: false,
        };
        let later = Ack { comment: "later".into(), ..ack.clone() };
        for (ack, lasts) in [
            (None, false),
            (Some(&ack), true),
            (Some(&ack), false),
            (Some(&later), true),
            (None, true),
            (None, false),
        ] {
            let mut state = State { log: vec!["it says \"ack\"".into()], ..State::default() };
            state.alert.ack = ack.cloned();
            let batch = Batch { states: [(name.clone(), state)].into(), ..Batch::default() };
            store.commit(batch).await.map_err(|(_, reason)| reason).expect("stored");
            let waits = |db: &mut Connection| {
                db.pragma_query_value(None, "synchronous", |row| row.get::<_, i64>(0))
            };
            // 2 waits for the disk with each commit.
            assert_eq!(store.call(waits).await.expect("read") == 2, lasts, "{ack:?}");
        }
    }
}
