//! Who stands in for whom: an action that was told of a failure in place of another one hears of its end as well.

use fletchck_shared::Severity;
use rusqlite::{Transaction, params};

use super::Tried;
use crate::actions::Notice;

/// Something to tell, as the store keeps it.
pub(super) struct Row<'a> {
    pub(super) check: &'a str,
    pub(super) action: &'a str,
    pub(super) group: &'a str,
    pub(super) notice: &'a str,
    /// Microseconds since 1970.
    pub(super) made: i64,
    /// Whether it tells that all is well again.
    pub(super) over: bool,
}

/// Whether a notice tells that all is well again.
pub(super) fn is_over(notice: &Notice) -> bool {
    notice.severity == Severity::Ok
}

/// Stores what is to be told. An end is told to all who were told of the beginning in place of this action as well, but
/// for those who `knows` says hear of it anyway.
pub(super) fn deliver(
    change: &Transaction<'_>,
    row: &Row<'_>,
    knows: &dyn Fn(&str, &str) -> bool,
) -> rusqlite::Result<()> {
    let Row { check, action, group, notice, made, over } = *row;
    change
        .prepare_cached(
            "INSERT INTO deliveries (name, action, grp, notice, made) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![check, action, group, notice, made])?;
    if over {
        end(change, row, change.last_insert_rowid(), knows)?;
    }
    Ok(())
}

/// Tells those who were told in place of an action that all is well again, as this delivery to it says.
fn end(
    change: &Transaction<'_>,
    row: &Row<'_>,
    id: i64,
    knows: &dyn Fn(&str, &str) -> bool,
) -> rusqlite::Result<()> {
    let whose = params![row.check, row.action, row.group];
    let heirs: Vec<(String, String)> = change
        .prepare_cached(
            "SELECT heir, heir_grp FROM handed
             WHERE name = ?1 AND action = ?2 AND grp = ?3 AND ended IS NULL",
        )?
        .query_map(whose, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    // First, so that it ends even where actions once stood in for each other in a circle.
    change
        .prepare_cached(
            "UPDATE handed SET ended = ?4
             WHERE name = ?1 AND action = ?2 AND grp = ?3 AND ended IS NULL",
        )?
        .execute(params![row.check, row.action, row.group, id])?;
    for (action, group) in &heirs {
        if !knows(action, group) {
            deliver(change, &Row { action, group, ..*row }, knows)?;
        }
    }
    Ok(())
}

/// Hands what is given up to who stands in, with all that has come since of an end.
pub(super) fn hand(
    change: &Transaction<'_>,
    tried: &Tried,
    heir: &str,
    groups: &[String],
) -> rusqlite::Result<()> {
    let made = tried.at.timestamp_micros();
    for id in &tried.given_up {
        let (check, action, group, notice) = change
            .prepare_cached("SELECT name, action, grp, notice FROM deliveries WHERE id = ?1")?
            .query_row([id], |row| {
                let text = |column| row.get::<_, String>(column);
                Ok((text(0)?, text(1)?, text(2)?, text(3)?))
            })?;
        let over = serde_json::from_str(&notice).is_ok_and(|notice: Notice| is_over(&notice));
        for heir_group in groups {
            let whom = params![check, action, group, heir, heir_group, id];
            if over {
                let mut told = change.prepare_cached(
                    "SELECT 1 FROM handed WHERE name = ?1 AND action = ?2 AND grp = ?3
                     AND heir = ?4 AND heir_grp = ?5 AND ended >= ?6",
                )?;
                if told.exists(whom)? {
                    continue;
                }
                change
                    .prepare_cached(
                        "UPDATE handed SET ended = ?6 WHERE name = ?1 AND action = ?2 AND grp = ?3
                         AND heir = ?4 AND heir_grp = ?5",
                    )?
                    .execute(whom)?;
            }
            let row =
                Row { check: &check, action: heir, group: heir_group, notice: &notice, made, over };
            deliver(change, &row, &|_, _| false)?;
            if !over {
                change
                    .prepare_cached(
                        "INSERT OR REPLACE INTO handed (name, action, grp, heir, heir_grp, ended)
                         VALUES (?1, ?2, ?3, ?4, ?5, NULL)",
                    )?
                    .execute(params![check, action, group, heir, heir_group])?;
            }
        }
        if !over {
            end_already(change, tried, *id)?;
        }
    }
    Ok(())
}

/// Whoever stood in for a group that an action no longer has, or was such a group, stands in for the first of those it has,
/// or is that. `known` is a list, in JSON, of those that it has and those that are to stay.
pub(super) fn regroup(
    change: &Transaction<'_>,
    action: &str,
    first: &str,
    known: &str,
) -> rusqlite::Result<()> {
    // An end that one of them has still to hear is still to be heard.
    change.execute(
        "INSERT INTO handed (name, action, grp, heir, heir_grp, ended)
         SELECT name, action, ?2, heir, heir_grp,
             CASE WHEN count(ended) = count(*) THEN max(ended) END
         FROM handed WHERE action = ?1 AND grp NOT IN (SELECT value FROM json_each(?3))
         GROUP BY name, action, heir, heir_grp
         ON CONFLICT DO UPDATE SET ended = max(ended, excluded.ended)",
        params![action, first, known],
    )?;
    change.execute(
        "INSERT INTO handed (name, action, grp, heir, heir_grp, ended)
         SELECT name, action, grp, heir, ?2,
             CASE WHEN count(ended) = count(*) THEN max(ended) END
         FROM handed WHERE heir = ?1 AND heir_grp NOT IN (SELECT value FROM json_each(?3))
         GROUP BY name, action, grp, heir
         ON CONFLICT DO UPDATE SET ended = max(ended, excluded.ended)",
        params![action, first, known],
    )?;
    change.execute(
        "DELETE FROM handed
         WHERE (action = ?1 AND grp NOT IN (SELECT value FROM json_each(?2)))
         OR (heir = ?1 AND heir_grp NOT IN (SELECT value FROM json_each(?2)))",
        params![action, known],
    )?;
    Ok(())
}

/// An end that waits behind what is given up, and is still tried, is told to who stands in at once.
fn end_already(change: &Transaction<'_>, tried: &Tried, given_up: i64) -> rusqlite::Result<()> {
    let later: Vec<(i64, [String; 4])> = change
        .prepare_cached(
            "SELECT later.id, later.name, later.action, later.grp, later.notice
             FROM deliveries AS later JOIN deliveries AS first USING (name, action, grp)
             WHERE first.id = ?1 AND later.id > ?1 AND later.dead IS NULL ORDER BY later.id",
        )?
        .query_map([given_up], |row| {
            Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))
        })?
        .collect::<Result<_, _>>()?;
    for (id, [check, action, group, notice]) in &later {
        // What is given up with it is handed over by itself.
        if tried.given_up.contains(id) {
            return Ok(());
        }
        if serde_json::from_str(notice).is_ok_and(|notice: Notice| is_over(&notice)) {
            let made = tried.at.timestamp_micros();
            return end(
                change,
                &Row { check, action, group, notice, made, over: true },
                *id,
                &|_, _| false,
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fletchck_shared::ActionName;

    use crate::store::Store;

    #[tokio::test]
    async fn of_recipients_who_become_one_an_end_that_one_has_still_to_hear_is_still_to_be_heard() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("site.db")).expect("a store");
        let fill = |db: &mut rusqlite::Connection| {
            db.execute_batch(
                "INSERT INTO handed (name, action, grp, heir, heir_grp, ended) VALUES
                 ('one', 'mail', 'ann', 'sms', 'old', 4), ('one', 'mail', 'bob', 'sms', 'old', NULL),
                 ('two', 'mail', 'ann', 'sms', 'old', 4), ('two', 'mail', 'bob', 'sms', 'old', 9),
                 ('three', 'mail', 'cleo', 'sms', 'old', NULL), ('three', 'mail', 'ann', 'sms', 'old', 4),
                 ('four', 'mail', 'dan', 'sms', 'old', 4), ('four', 'web', '', 'sms', 'old', NULL)",
            )
        };
        store.call(fill).await.expect("filled");
        let name = |name| ActionName::try_from(name).expect("a name");
        let moved = [
            (name("mail"), vec!["cleo".to_owned()], vec!["dan".to_owned()]),
            (name("sms"), vec!["new".into()], Vec::new()),
        ];
        for (action, groups, busy) in moved {
            store.regroup_deliveries(&action, groups, busy).await.expect("moved");
        }
        let read = |db: &mut rusqlite::Connection| {
            let mut select = db.prepare(
                "SELECT name || ' ' || action || '/' || grp || ' ' || heir || '/' || heir_grp
                     || ' ' || coalesce(ended, 'waits')
                 FROM handed ORDER BY name, action",
            )?;
            select.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        let rows = store.call(read).await.expect("read");
        assert_eq!(
            rows,
            [
                "four mail/dan sms/new 4",
                "four web/ sms/new waits",
                "one mail/cleo sms/new waits",
                "three mail/cleo sms/new waits",
                "two mail/cleo sms/new 9",
            ]
        );
    }
}
