//! Sessions in the site's SQLite file, over a connection of their own.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{PER_USER, Record, SessionId, Sessions};

/// How long to wait while the engine writes.
const BUSY: Duration = Duration::from_secs(5);

/// Why a session could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The database cannot be opened.
    #[error("cannot keep logins in {path}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The database's own error.
        source: rusqlite::Error,
    },
    /// The database failed.
    #[error("the store of logins failed")]
    Store(#[from] rusqlite::Error),
    /// The task that asked it ended.
    #[error("the store of logins did not answer: {0}")]
    Task(String),
}

/// Sessions in a table `web_session` of a SQLite file.
#[derive(Debug)]
pub struct SqliteSessions {
    connection: Mutex<Connection>,
}

impl SqliteSessions {
    /// Opens the file, which the engine's store has made before, and makes the table if it is missing.
    ///
    /// # Errors
    /// [`SessionError::Open`].
    pub fn open(path: &Path) -> Result<Self, SessionError> {
        let connect = || {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "normal")?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS web_session (
                     id BLOB PRIMARY KEY,
                     user TEXT NOT NULL,
                     fingerprint BLOB NOT NULL,
                     expires INTEGER NOT NULL
                 ) STRICT, WITHOUT ROWID",
            )?;
            Ok(connection)
        };
        let connection =
            connect().map_err(|source| SessionError::Open { path: path.to_owned(), source })?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions for SqliteSessions {
    fn put(&self, id: &SessionId, record: &Record) -> Result<(), SessionError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let expires = record.expires.timestamp_millis();
        transaction.execute(
            "INSERT OR REPLACE INTO web_session (id, user, fingerprint, expires) VALUES (?, ?, ?, ?)",
            params![id.0, record.user, record.fingerprint, expires],
        )?;
        transaction.execute(
            "DELETE FROM web_session WHERE user = ?1 AND id NOT IN
                 (SELECT id FROM web_session WHERE user = ?1 ORDER BY expires DESC LIMIT ?2)",
            params![record.user, i64::try_from(PER_USER).unwrap_or(i64::MAX)],
        )?;
        Ok(transaction.commit()?)
    }

    fn get(&self, id: &SessionId) -> Result<Option<Record>, SessionError> {
        let connection = self.connection();
        let mut find = connection
            .prepare_cached("SELECT user, fingerprint, expires FROM web_session WHERE id = ?")?;
        let row = find.query_row([id.0], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, i64>(2)?))
        });
        let found = row.optional()?;
        Ok(found.and_then(|(user, fingerprint, expires)| {
            let expires = DateTime::from_timestamp_millis(expires)?;
            Some(Record { user, fingerprint, expires })
        }))
    }

    fn remove(&self, id: &SessionId) -> Result<(), SessionError> {
        self.connection().execute("DELETE FROM web_session WHERE id = ?", [id.0])?;
        Ok(())
    }

    fn purge(&self, now: DateTime<Utc>) -> Result<(), SessionError> {
        let now = now.timestamp_millis();
        self.connection().execute("DELETE FROM web_session WHERE expires <= ?", [now])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use fletchck_agent::store::Store;

    use super::*;

    fn record(user: &str, second: i64) -> Record {
        let expires = DateTime::from_timestamp(second, 0).expect("a time");
        Record { user: user.into(), fingerprint: [7; 32], expires }
    }

    fn site(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("site.db");
        Store::open(&path).expect("the engine's store");
        path
    }

    fn id(n: u8) -> SessionId {
        SessionId([n; 32])
    }

    #[test]
    fn sessions_are_kept_found_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = site(&folder);
        let store = SqliteSessions::open(&path).expect("open");
        store.put(&id(1), &record("a", 100)).expect("put");
        store.put(&id(2), &record("b", 200)).expect("put");
        drop(store);

        let store = SqliteSessions::open(&path).expect("open again");
        assert_eq!(store.get(&id(1)).expect("get"), Some(record("a", 100)));
        assert_eq!(store.get(&id(3)).expect("get"), None);
        store.purge(DateTime::from_timestamp(100, 0).expect("a time")).expect("purge");
        assert_eq!(store.get(&id(1)).expect("get"), None);
        store.remove(&id(2)).expect("remove");
        assert_eq!(store.get(&id(2)).expect("get"), None);
    }

    #[test]
    fn the_oldest_ends_when_a_user_has_too_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteSessions::open(&site(&folder)).expect("open");
        for n in 0..=PER_USER {
            let n = u8::try_from(n).expect("small");
            store.put(&id(n), &record("a", i64::from(n))).expect("put");
        }
        assert_eq!(store.get(&id(0)).expect("get"), None);
        assert!(store.get(&id(1)).expect("get").is_some());
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site.db");
        std::fs::write(&path, "certainly no database, but long enough to look like one")
            .expect("write");
        let error = SqliteSessions::open(&path).expect_err("refused");
        assert!(error.to_string().contains("site.db"), "{error}");
    }
}
