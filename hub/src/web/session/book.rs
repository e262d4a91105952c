//! The logins in use: in memory, with the store behind it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use chrono::{DateTime, Utc};
use fletchck_shared::Secret;
use tokio::{sync::watch, task::spawn_blocking};

use super::{LASTS, PER_USER, Record, SessionError, SessionId, Sessions, Token, fingerprint};

/// The logins, in memory as they are used and in the store behind it.
pub(in crate::web) struct Book {
    store: Arc<dyn Sessions>,
    memory: RwLock<Memory>,
    ended: watch::Sender<()>,
}

/// What is known of the store without asking it.
#[derive(Default)]
struct Memory {
    records: HashMap<SessionId, Record>,
    /// How many sessions were ended. What was read from the store before the latest end may be one of them.
    ends: u64,
}

impl Memory {
    fn end(&mut self, id: SessionId) {
        self.records.remove(&id);
        self.ends += 1;
    }
}

impl Book {
    pub(in crate::web) fn new(store: Arc<dyn Sessions>) -> Self {
        Self { store, memory: RwLock::default(), ended: watch::channel(()).0 }
    }

    /// Changes whenever a session was ended by its user.
    pub(in crate::web) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// Logs a user in. The session is stored before the browser hears of it.
    pub(in crate::web) async fn open(
        &self,
        user: &str,
        hash: &Secret,
        now: DateTime<Utc>,
    ) -> Result<Token, SessionError> {
        let token = Token::new();
        let (id, fingerprint) = (token.id(), fingerprint(hash));
        let record = Record { user: user.into(), fingerprint, expires: now + LASTS };
        let (store, kept) = (self.store.clone(), record.clone());
        blocking(move || {
            store.purge(now)?;
            store.put(&id, &kept)
        })
        .await?;
        let mut memory = self.write();
        memory.records.retain(|_, record| record.expires > now);
        let mut same: Vec<_> = memory
            .records
            .iter()
            .filter(|(_, record)| record.user == user)
            .map(|(id, record)| (record.expires, *id))
            .collect();
        if same.len() >= PER_USER {
            same.sort_by_key(|(expires, _)| *expires);
            for (_, id) in &same[..=same.len() - PER_USER] {
                memory.end(*id);
            }
        }
        memory.records.insert(id, record);
        Ok(token)
    }

    /// The session's record, if it has not ended. `hash` gives a user's present password hash.
    pub(in crate::web) async fn find(
        &self,
        id: SessionId,
        now: DateTime<Utc>,
        hash: impl Fn(&str) -> Option<Secret>,
    ) -> Result<Option<Record>, SessionError> {
        let Some(record) = self.recall(id).await? else { return Ok(None) };
        let present = hash(&record.user).map(|hash| fingerprint(&hash));
        if record.expires <= now || present != Some(record.fingerprint) {
            self.close(id).await?;
            return Ok(None);
        }
        Ok(Some(record))
    }

    /// Ends a session: in the store first, for whoever asks meanwhile reads it there.
    pub(in crate::web) async fn close(&self, id: SessionId) -> Result<(), SessionError> {
        let store = self.store.clone();
        let removed = blocking(move || store.remove(&id)).await;
        self.write().end(id);
        self.ended.send_replace(());
        removed
    }

    /// The record from memory, or from the store, which is remembered from then on.
    async fn recall(&self, id: SessionId) -> Result<Option<Record>, SessionError> {
        loop {
            let ends = {
                let memory = self.memory.read().unwrap_or_else(PoisonError::into_inner);
                if let Some(record) = memory.records.get(&id) {
                    return Ok(Some(record.clone()));
                }
                memory.ends
            };
            let store = self.store.clone();
            let Some(record) = blocking(move || store.get(&id)).await? else { return Ok(None) };
            let mut memory = self.write();
            if memory.ends == ends {
                memory.records.insert(id, record.clone());
                return Ok(Some(record));
            }
            // A session was ended while the store was read; it may have been this one.
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    spawn_blocking(work).await.map_err(|e| SessionError::Task(e.to_string()))?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use parking_lot::Mutex;

    use super::*;
    use crate::web::session::SqliteSessions;

    /// The real store, which stops where a test wants it to: before it removes, or with a record in its hand.
    struct Halting {
        inner: SqliteSessions,
        removing: Mutex<Option<Halt>>,
        reading: Mutex<Option<Halt>>,
    }

    struct Halt {
        reached: tokio::sync::oneshot::Sender<()>,
        go_on: mpsc::Receiver<()>,
    }

    fn halt(place: &Mutex<Option<Halt>>) -> (tokio::sync::oneshot::Receiver<()>, mpsc::Sender<()>) {
        let (reached, there) = tokio::sync::oneshot::channel();
        let (on, go_on) = mpsc::channel();
        *place.lock() = Some(Halt { reached, go_on });
        (there, on)
    }

    fn stop(place: &Mutex<Option<Halt>>) {
        let halt = place.lock().take();
        if let Some(Halt { reached, go_on }) = halt {
            reached.send(()).expect("a test that waits");
            go_on.recv().expect("a test that lets it go on");
        }
    }

    impl Sessions for Halting {
        fn put(&self, id: &SessionId, record: &Record) -> Result<(), SessionError> {
            self.inner.put(id, record)
        }

        fn get(&self, id: &SessionId) -> Result<Option<Record>, SessionError> {
            let found = self.inner.get(id);
            stop(&self.reading);
            found
        }

        fn remove(&self, id: &SessionId) -> Result<(), SessionError> {
            stop(&self.removing);
            self.inner.remove(id)
        }

        fn purge(&self, now: DateTime<Utc>) -> Result<(), SessionError> {
            self.inner.purge(now)
        }
    }

    struct Site {
        store: Arc<Halting>,
        book: Arc<Book>,
        id: SessionId,
        _folder: tempfile::TempDir,
    }

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    fn hash(_: &str) -> Option<Secret> {
        Some(Secret::new("hash"))
    }

    /// A book that knows of one session by its store alone.
    async fn site() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site.db");
        fletchck_agent::store::Store::open(&path).expect("the engine's store");
        let inner = SqliteSessions::open(&path).expect("sessions");
        let store =
            Arc::new(Halting { inner, removing: Mutex::default(), reading: Mutex::default() });
        let token =
            Book::new(store.clone()).open("a", &Secret::new("hash"), NOW).await.expect("in");
        let book = Arc::new(Book::new(store.clone()));
        Site { store, book, id: token.id(), _folder: folder }
    }

    #[tokio::test]
    async fn a_session_that_is_asked_for_while_it_ends_does_not_come_back() {
        let Site { store, book, id, _folder } = site().await;
        let mut ended = book.ended();
        let (removing, on) = halt(&store.removing);
        let leaving = tokio::spawn({
            let book = book.clone();
            async move { book.close(id).await }
        });
        removing.await.expect("it removes");
        assert!(!ended.has_changed().expect("a book"), "it is not over yet");
        book.find(id, NOW, hash).await.expect("found");
        on.send(()).expect("a store");
        leaving.await.expect("no panic").expect("ended");
        ended.changed().await.expect("told");
        assert_eq!(book.find(id, NOW, hash).await.expect("asked"), None);
    }

    #[tokio::test]
    async fn a_session_that_was_read_before_it_ended_does_not_come_back() {
        let Site { store, book, id, _folder } = site().await;
        let (reading, on) = halt(&store.reading);
        let asking = tokio::spawn({
            let book = book.clone();
            async move { book.find(id, NOW, hash).await }
        });
        reading.await.expect("it reads");
        book.close(id).await.expect("ended");
        on.send(()).expect("a store");
        assert_eq!(asking.await.expect("no panic").expect("asked"), None);
        assert_eq!(book.find(id, NOW, hash).await.expect("asked"), None);
    }
}
