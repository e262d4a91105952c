//! Who is logged in. A browser holds a random token; here lies only its SHA-256, so that a copy of the database logs
//! nobody in.

mod book;
mod store;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::Secret;
use sha2::{Digest, Sha256};

pub(super) use book::Book;
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
