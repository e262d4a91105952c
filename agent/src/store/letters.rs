//! Which deliveries were sent in one letter, so that one whose fate is unknown is sent again as it was.

use fletchck_shared::ActionName;
use indexmap::IndexMap;
use rusqlite::{Connection, params};

use super::{PendingDelivery, Store, StoreError, deliveries::time};

impl Store {
    /// Notes that these are sent in this letter. It survives the process, and a power cut within moments.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn note_letter(&self, ids: Vec<i64>, letter: String) -> Result<(), StoreError> {
        self.call(move |connection| {
            // Nobody waits for the disk here: what a power cut loses of it is but the number of a letter.
            let lasting: i64 =
                connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let noted = note(connection, &ids, &letter);
            connection.pragma_update(None, "synchronous", lasting)?;
            noted
        })
        .await
    }

    /// The letters that were sent to a group, of which it is not known what became of them: the number of each, and what it
    /// told, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn cut_off(
        &self,
        action: &ActionName,
        group: &str,
    ) -> Result<IndexMap<String, Vec<PendingDelivery>>, StoreError> {
        let (action, group) = (action.clone(), group.to_owned());
        self.call(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, tries, made, notice, letter FROM deliveries
                 WHERE action = ?1 AND grp = ?2 AND dead IS NULL AND letter IS NOT NULL
                 ORDER BY id",
            )?;
            let rows = select.query_map(params![action.as_str(), group], |row| {
                let (id, tries, made) = (row.get(0)?, row.get(1)?, time(row.get(2)?));
                // One that cannot be read is found where all are looked for.
                let notice = serde_json::from_str(&row.get::<_, String>(3)?).ok();
                let letter: String = row.get(4)?;
                Ok(notice.map(|notice| (letter, PendingDelivery { id, tries, made, notice })))
            })?;
            let mut letters: IndexMap<String, Vec<PendingDelivery>> = IndexMap::new();
            for row in rows.filter_map(Result::transpose) {
                let (letter, pending) = row?;
                letters.entry(letter).or_default().push(pending);
            }
            Ok(letters)
        })
        .await
    }
}

fn note(connection: &mut Connection, ids: &[i64], letter: &str) -> rusqlite::Result<()> {
    let change = connection.transaction()?;
    {
        let mut note = change.prepare_cached("UPDATE deliveries SET letter = ?2 WHERE id = ?1")?;
        for id in ids {
            note.execute(params![id, letter])?;
        }
    }
    change.commit()
}
