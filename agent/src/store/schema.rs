//! The file: its lock, its version and its tables.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use tracing::warn;

use super::StoreError;

/// Version of the tables below, in `PRAGMA user_version`.
const VERSION: i64 = 4;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE checks (
        name  TEXT PRIMARY KEY,
        state TEXT NOT NULL,       -- JSON
        mark  INTEGER,             -- points of its trigger done with, microseconds since 1970
        beat  TEXT,                -- that trigger, JSON
        topic TEXT                 -- version 1 topic it was last published to
    ) WITHOUT ROWID;
    CREATE TABLE remotes (
        name  TEXT PRIMARY KEY,    -- of the check on this hub
        row   TEXT NOT NULL        -- JSON: where it is heard, and what it is
    ) WITHOUT ROWID;
    CREATE TABLE transitions (
        id    INTEGER PRIMARY KEY AUTOINCREMENT,
        name  TEXT NOT NULL,
        at    INTEGER NOT NULL,    -- microseconds since 1970
        entry TEXT NOT NULL        -- JSON
    );
    CREATE INDEX transitions_of_check ON transitions (name, id);
    CREATE TABLE deliveries (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        name    TEXT NOT NULL,     -- of the check
        action  TEXT NOT NULL,
        grp     TEXT NOT NULL,     -- of the action's recipients
        notice  TEXT NOT NULL,     -- JSON
        made    INTEGER NOT NULL,  -- microseconds since 1970
        tries   INTEGER NOT NULL DEFAULT 0,
        error   TEXT,              -- of the last try
        dead    INTEGER,           -- when it was given up, microseconds since 1970
        heir    TEXT,              -- the action it was handed to then
        letter  TEXT               -- number of the letter that it was last sent in, until it is known to have failed
    );
    CREATE INDEX deliveries_of_action ON deliveries (action, grp, id) WHERE dead IS NULL;
    CREATE INDEX deliveries_given_up ON deliveries (dead) WHERE dead IS NOT NULL;
    CREATE TABLE handed (
        name     TEXT NOT NULL,    -- of the check
        action   TEXT NOT NULL,
        grp      TEXT NOT NULL,    -- of the action's recipients
        heir     TEXT NOT NULL,    -- the action that was told in its place
        heir_grp TEXT NOT NULL,    -- of the heir's recipients
        ended    INTEGER,          -- the delivery to the former that told them that it is over
        PRIMARY KEY (name, action, grp, heir, heir_grp)
    ) WITHOUT ROWID;
    CREATE TABLE silences (
        id  INTEGER PRIMARY KEY AUTOINCREMENT,
        row TEXT NOT NULL          -- JSON
    );
    CREATE TABLE outbox (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        topic   TEXT NOT NULL,
        payload BLOB NOT NULL,
        qos     INTEGER NOT NULL,
        retain  INTEGER NOT NULL,
        keep    INTEGER NOT NULL   -- 1: no later message on its topic replaces it
    );
    CREATE INDEX outbox_of_topic ON outbox (topic, keep);
    CREATE TABLE retained (
        topic      TEXT PRIMARY KEY,
        payload    BLOB NOT NULL,
        qos        INTEGER NOT NULL,
        expires    INTEGER,        -- milliseconds since 1970
        properties BLOB NOT NULL,  -- of MQTT 5, as a property block
        owner      TEXT NOT NULL   -- client id of its publisher
    ) WITHOUT ROWID;
";

/// From version 1: what is told was one with the transition that made it, and there were no silences.
const FROM_1: &str = "
    ALTER TABLE deliveries RENAME TO old;
    DROP INDEX deliveries_of_action;
    CREATE TABLE deliveries (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        name    TEXT NOT NULL,
        action  TEXT NOT NULL,
        grp     TEXT NOT NULL,
        notice  TEXT NOT NULL,
        made    INTEGER NOT NULL,
        tries   INTEGER NOT NULL DEFAULT 0,
        error   TEXT,
        dead    INTEGER,
        heir    TEXT
    );
    CREATE INDEX deliveries_of_action ON deliveries (action, grp, id) WHERE dead IS NULL;
    CREATE INDEX deliveries_given_up ON deliveries (dead) WHERE dead IS NOT NULL;
    INSERT INTO deliveries (id, name, action, grp, notice, made, tries, error, dead)
        SELECT old.id, json_extract(notice, '$.check'), action, '',
            json_set(
                json_remove(notice, '$.transition'),
                '$.news', json_extract(notice, '$.transition.kind'),
                '$.at', json_extract(notice, '$.transition.at'),
                '$.severity', CASE
                    WHEN json_extract(notice, '$.transition.kind') = 'recovered' THEN 'ok'
                    WHEN json_extract(notice, '$.transition.to.fail') = 'warning' THEN 'warning'
                    ELSE 'critical' END,
                '$.about', CASE
                    WHEN json_extract(notice, '$.transition.to.fail') = 'warning' THEN 'warning'
                    ELSE 'critical' END),
            transitions.at, tries, dead, CASE WHEN dead IS NULL THEN NULL ELSE transitions.at END
        FROM old JOIN transitions ON transitions.id = old.transition;
    DROP TABLE old;
    CREATE TABLE silences (
        id  INTEGER PRIMARY KEY AUTOINCREMENT,
        row TEXT NOT NULL
    );
";

/// From version 2: nobody knew who had been told in place of another.
const FROM_2: &str = "
    CREATE TABLE handed (
        name     TEXT NOT NULL,
        action   TEXT NOT NULL,
        grp      TEXT NOT NULL,
        heir     TEXT NOT NULL,
        heir_grp TEXT NOT NULL,
        ended    INTEGER,
        PRIMARY KEY (name, action, grp, heir, heir_grp)
    ) WITHOUT ROWID;
";

/// From version 3: nobody knew what had been sent together. Some builds made it with this already.
const FROM_3: &str = "ALTER TABLE deliveries ADD COLUMN letter TEXT";

/// Opens the file and takes its lock, which is held until the returned file is dropped.
pub(super) fn open(path: &Path) -> Result<(Connection, File), StoreError> {
    let lock = lock(path)?;
    // A start that was cut off leaves such a file, so it is used; but what a file held that was emptied is gone.
    if fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        warn!(
            "{} is empty, and is made anew: states, what was still to be told, and an agent id that was made up are lost; \
             put back a copy of it if there was more in it",
            path.display()
        );
    }
    make_private(path)?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )
    .map_err(|source| unreadable(path, source))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    match prepare(&mut connection, path) {
        Err(StoreError::Statement(source)) => Err(unreadable(path, source)),
        Err(error) => Err(error),
        Ok(()) => Ok((connection, lock)),
    }
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        1..=VERSION => {
            let answer: String =
                connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
            if answer != "ok" {
                let answer = one_line(&answer);
                return Err(StoreError::Damaged {
                    path: path.into(),
                    source: rusqlite::Error::SqliteFailure(
                        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                        Some(answer),
                    ),
                });
            }
            if found < VERSION {
                let change = connection.transaction()?;
                if found == 1 {
                    change.execute_batch(FROM_1)?;
                }
                if found <= 2 {
                    change.execute_batch(FROM_2)?;
                }
                if !change.column_exists(None, "deliveries", "letter")? {
                    change.execute_batch(FROM_3)?;
                }
                change.pragma_update(None, "user_version", VERSION)?;
                change.commit()?;
            }
            Ok(())
        }
        0 => {
            let change = connection.transaction()?;
            let tables: i64 = change.query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
                (),
                |row| row.get(0),
            )?;
            if tables > 0 {
                return Err(StoreError::Damaged {
                    path: path.into(),
                    source: rusqlite::Error::InvalidPath("another program's database".into()),
                });
            }
            change.execute_batch(TABLES)?;
            change.pragma_update(None, "user_version", VERSION)?;
            change.commit()?;
            Ok(())
        }
        found => Err(StoreError::Newer { path: path.into(), found }),
    }
}

/// What SQLite says of a damaged file, which begins with a line that says nothing.
fn one_line(answer: &str) -> String {
    let lines: Vec<&str> = answer.lines().filter(|line| !line.starts_with("***")).collect();
    lines.join("; ")
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(|source| StoreError::Open { path: name, source })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| StoreError::InUse { path: path.into() })?;
    Ok(file)
}

/// Logs and messages may hold what only the owner should read.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let open = |source| StoreError::Open { path: path.into(), source };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(open)?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(open)
}

/// Why a file cannot be used: it is damaged, or out of reach for now.
pub(super) fn unreadable(path: &Path, source: rusqlite::Error) -> StoreError {
    let path = path.into();
    if is_damage(&source) {
        StoreError::Damaged { path, source }
    } else {
        StoreError::Unreadable { path, source }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_database_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("site.db");
        let text =
            "this is not a database, but it is long enough to be looked at closely".repeat(20);
        fs::write(&path, &text).expect("written");
        let error = open(&path).expect_err("refused");
        assert!(error.to_string().contains("mv "), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("still there"), text);
    }

    #[test]
    fn a_damaged_page_is_found_at_the_start() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("site.db");
        drop(open(&path).expect("made"));
        let mut bytes = fs::read(&path).expect("read");
        for byte in &mut bytes[4096..12288] {
            *byte = 0xa5;
        }
        fs::write(&path, bytes).expect("damaged");
        let error = open(&path).expect_err("damaged");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let told = crate::chain(&error);
        assert!(!told.contains(['\n', '*']), "one line: {told}");
    }

    #[test]
    fn a_second_process_is_told_that_the_site_is_in_use() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("site.db");
        let _first = open(&path).expect("made");
        assert!(matches!(open(&path), Err(StoreError::InUse { .. })));
    }

    #[test]
    fn a_newer_store_and_another_programs_database_are_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let newer = folder.path().join("newer.db");
        let (connection, lock) = open(&newer).expect("made");
        connection.pragma_update(None, "user_version", 99).expect("set");
        drop((connection, lock));
        assert!(matches!(open(&newer), Err(StoreError::Newer { found: 99, .. })));

        let other = folder.path().join("other.db");
        Connection::open(&other)
            .and_then(|db| db.execute_batch("CREATE TABLE theirs (x)"))
            .expect("made");
        assert!(matches!(open(&other), Err(StoreError::Damaged { .. })));
    }

    #[test]
    fn what_version_1_had_still_to_tell_is_still_to_tell() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("old.db");
        let old = Connection::open(&path).expect("made");
        old.execute_batch(
            r#"CREATE TABLE transitions (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, at INTEGER NOT NULL, entry TEXT NOT NULL);
            CREATE TABLE deliveries (id INTEGER PRIMARY KEY AUTOINCREMENT, transition INTEGER NOT NULL REFERENCES transitions (id) ON DELETE CASCADE,
                action TEXT NOT NULL, notice TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, dead TEXT);
            CREATE INDEX deliveries_of_action ON deliveries (action, id);
            INSERT INTO transitions VALUES (7, 'web', 1795669253000000, '{}');
            INSERT INTO deliveries VALUES (3, 7, 'log', '{"site":"s","check":"web","kind":"https","transition":{"kind":"failed",
                "at":"2026-11-26T03:00:53Z","from":"pass","to":{"fail":"whole"},"tell":true},"text":"no answer","level":null,"log":["a"],"zone":"UTC"}', 2, NULL);
            PRAGMA user_version = 1;"#,
        )
        .expect("an old store");
        drop(old);
        let (connection, _lock) = open(&path).expect("brought up to date");
        let (notice, tries): (String, u32) = connection
            .query_row(
                "SELECT notice, tries FROM deliveries WHERE id = 3 AND name = 'web'",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .expect("it is there");
        let notice: crate::actions::Notice = serde_json::from_str(&notice).expect("readable");
        assert_eq!((notice.word(), notice.text.as_str(), tries), ("FAIL", "no answer", 2));
        // And it is like one that is new.
        let (new, _lock) = open(&folder.path().join("new.db")).expect("made");
        let tables = ["deliveries", "handed", "silences"];
        assert_eq!(
            tables.map(|table| columns(&connection, table)),
            tables.map(|table| columns(&new, table))
        );
    }

    /// Version 3 was made with and without letters.
    #[test]
    fn what_versions_2_and_3_had_still_to_tell_has_been_sent_in_no_letter() {
        let folder = tempfile::tempdir().expect("folder");
        let (new, _lock) = open(&folder.path().join("new.db")).expect("made");
        let tables = ["deliveries", "handed"];
        for (nth, older) in [
            "ALTER TABLE deliveries DROP COLUMN letter; DROP TABLE handed; PRAGMA user_version = 2",
            "ALTER TABLE deliveries DROP COLUMN letter; PRAGMA user_version = 3",
            "PRAGMA user_version = 3",
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(format!("{nth}.db"));
            let (old, lock) = open(&path).expect("made");
            old.execute_batch(
                "INSERT INTO deliveries (name, action, grp, notice, made) VALUES ('web', 'log', '', '{}', 0)",
            )
            .and_then(|()| old.execute_batch(older))
            .expect("an old store");
            drop((old, lock));
            let (connection, _lock) = open(&path).expect("brought up to date");
            let letter: Option<String> = connection
                .query_row("SELECT letter FROM deliveries WHERE name = 'web'", (), |row| row.get(0))
                .expect("it is there");
            assert_eq!(letter, None, "{older}");
            for table in tables {
                let (mut old, mut new) = (columns(&connection, table), columns(&new, table));
                old.sort();
                new.sort();
                assert_eq!(old, new, "{older}");
            }
        }
    }

    /// Names and types of the columns of a table.
    fn columns(connection: &Connection, table: &str) -> Vec<(String, String, bool)> {
        let mut select = connection
            .prepare("SELECT name, type, [notnull] FROM pragma_table_info(?1)")
            .expect("a query");
        let rows = select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("rows").collect::<Result<_, _>>().expect("columns")
    }

    #[test]
    fn only_the_owner_may_read_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("site.db");
        let _open = open(&path).expect("made");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
