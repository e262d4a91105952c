//! Who is logged in. A browser holds a random token; here lies only its SHA-256, so that a copy of the database logs
//! nobody in.

mod store;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::Secret;
use sha2::{Digest, Sha256};
use tokio::{sync::watch, task::spawn_blocking};

pub use store::{SessionError, SqliteSessions};

/// How long a login lasts, as with the original.
pub const LASTS: TimeDelta = TimeDelta::days(2);

/// Logins of one user at once; one more ends the oldest.
pub const PER_USER: usize = 32;

/// SHA-256 of a session's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 32]);

/// What is kept of one login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who logged in.
    pub user: String,
    /// [`fingerprint`] of the password hash at that time: another password ends the session.
    pub fingerprint: [u8; 32],
    /// When it ends.
    pub expires: DateTime<Utc>,
}

/// Where logins are kept over a restart. The calls may block.
pub trait Sessions: Send + Sync {
    /// Keeps one, and ends the oldest of its user beyond [`PER_USER`].
    ///
    /// # Errors
    /// The store's own.
    fn put(&self, id: &SessionId, record: &Record) -> Result<(), SessionError>;
    /// Finds one, even if it has expired.
    ///
    /// # Errors
    /// The store's own.
    fn get(&self, id: &SessionId) -> Result<Option<Record>, SessionError>;
    /// Ends one.
    ///
    /// # Errors
    /// The store's own.
    fn remove(&self, id: &SessionId) -> Result<(), SessionError>;
    /// Ends all of one user.
    ///
    /// # Errors
    /// The store's own.
    fn remove_user(&self, user: &str) -> Result<(), SessionError>;
    /// Forgets those that have expired.
    ///
    /// # Errors
    /// The store's own.
    fn purge(&self, now: DateTime<Utc>) -> Result<(), SessionError>;
}

/// Fingerprint of a password hash. Each hash has a salt of its own, so the same password set anew differs as well.
pub fn fingerprint(hash: &Secret) -> [u8; 32] {
    Sha256::digest(hash.reveal()).into()
}

/// A session's token, as the cookie carries it: 256 random bits.
#[derive(Clone, Debug)]
pub(super) struct Token(Secret);

impl Token {
    fn new() -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())))
    }

    /// What a browser sent; `None` if it cannot be one of ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(Secret::new(text)))
    }

    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
    }

    pub(super) fn id(&self) -> SessionId {
        SessionId(Sha256::digest(self.reveal()).into())
    }

    /// The secret that forms of this session carry. It follows from the token and tells nothing about it.
    pub(super) fn form_secret(&self) -> [u8; 32] {
        Sha256::new().chain_update(b"form\0").chain_update(self.reveal()).finalize().into()
    }
}

/// The logins, in memory as they are used and in the store behind it.
pub(super) struct Book {
    store: Arc<dyn Sessions>,
    memory: RwLock<HashMap<SessionId, Record>>,
    ended: watch::Sender<()>,
}

impl Book {
    pub(super) fn new(store: Arc<dyn Sessions>) -> Self {
        Self { store, memory: RwLock::default(), ended: watch::channel(()).0 }
    }

    /// Changes whenever a session was ended by its user.
    pub(super) fn ended(&self) -> watch::Receiver<()> {
        self.ended.subscribe()
    }

    /// Logs a user in. The session is stored before the browser hears of it.
    pub(super) async fn open(
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
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.retain(|_, record| record.expires > now);
        let mut same: Vec<_> = memory
            .iter()
            .filter(|(_, record)| record.user == user)
            .map(|(id, record)| (record.expires, *id))
            .collect();
        if same.len() >= PER_USER {
            same.sort_by_key(|(expires, _)| *expires);
            for (_, id) in &same[..=same.len() - PER_USER] {
                memory.remove(id);
            }
        }
        memory.insert(id, record);
        Ok(token)
    }

    /// The session's record, if it has not ended. `hash` gives a user's present password hash.
    pub(super) async fn find(
        &self,
        id: SessionId,
        now: DateTime<Utc>,
        hash: impl Fn(&str) -> Option<Secret>,
    ) -> Result<Option<Record>, SessionError> {
        let known = self.remembered(id);
        let found = match known {
            Some(record) => Some(record),
            None => {
                let store = self.store.clone();
                blocking(move || store.get(&id)).await?
            }
        };
        let Some(record) = found else { return Ok(None) };
        let present = hash(&record.user).map(|hash| fingerprint(&hash));
        if record.expires <= now || present != Some(record.fingerprint) {
            self.close(id).await?;
            return Ok(None);
        }
        let mut memory = self.memory.write().unwrap_or_else(PoisonError::into_inner);
        memory.insert(id, record.clone());
        Ok(Some(record))
    }

    /// Ends a session.
    pub(super) async fn close(&self, id: SessionId) -> Result<(), SessionError> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.ended.send_replace(());
        let store = self.store.clone();
        blocking(move || store.remove(&id)).await
    }

    fn remembered(&self, id: SessionId) -> Option<Record> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SessionError> + Send + 'static,
) -> Result<T, SessionError> {
    spawn_blocking(work).await.map_err(|e| SessionError::Task(e.to_string()))?
}
