//! Who may connect, and what each may publish and subscribe to.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use fletchck_shared::Secret;
use fletchck_shared::topic::{TopicError, TopicFilter};

use super::filter::covers;
use crate::password::{self, PasswordError};

/// Decides about logins. The gate asks it once for each connection and keeps no answer.
#[async_trait]
pub trait Access: Send + Sync {
    /// Judges one login. The client id is checked to be printable, 1 to 128 bytes long and free of `/`, `+`, `#` and `$`.
    ///
    /// An implementation has to bind client ids to users, or one user can push another's client off the broker.
    ///
    /// # Errors
    /// Why the client has to leave.
    async fn login(
        &self,
        client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        peer: IpAddr,
    ) -> Result<Arc<Rights>, Refusal>;

    /// Whether what a user was given at its login is still what it may do. Whoever it is not so for has to connect anew; see
    /// [`Broker::reconsider`](super::Broker::reconsider).
    fn holds(&self, _username: Option<&str>, _rights: &Arc<Rights>) -> bool {
        true
    }
}

/// Why a login is refused. The client is told the reason as an MQTT return code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user is unknown or the password wrong. Counts against the peer's address.
    #[error("wrong user or password")]
    Credentials,
    /// The user may not connect, or not under this client id. Counts against the peer's address.
    #[error("not allowed to connect")]
    NotAuthorized,
    /// The client id is not one that this user may have.
    #[error("client id not allowed")]
    ClientId,
    /// Nobody can be checked just now.
    #[error("logins cannot be checked now")]
    Unavailable,
}

/// What one client may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    publish: Vec<TopicFilter>,
    subscribe: Vec<TopicFilter>,
    own: Option<TopicFilter>,
}

impl Rights {
    /// Rights from lists of topic filters.
    pub fn new(publish: Vec<TopicFilter>, subscribe: Vec<TopicFilter>) -> Self {
        Self { publish, subscribe, own: None }
    }

    /// Rights to everything.
    ///
    /// # Errors
    /// Never: `#` is a valid filter.
    pub fn all() -> Result<Self, TopicError> {
        let all = TopicFilter::try_from("#")?;
        Ok(Self::new(vec![all.clone()], vec![all]))
    }

    /// Adds a topic tree of the client's own, `PREFIX/AGENT/#`: it may publish and subscribe there, and its subscriptions
    /// below it are served by the gate itself, as nobody else's messages have to be ordered against them.
    ///
    /// # Errors
    /// `root` is no topic filter without wildcards.
    pub fn with_own(mut self, root: &str) -> Result<Self, TopicError> {
        if root.contains(['+', '#']) {
            return Err(TopicError::Wildcard("a client's own topics have none"));
        }
        let own = TopicFilter::try_from(format!("{root}/#").as_str())?;
        self.publish.push(own.clone());
        self.subscribe.push(own.clone());
        self.own = Some(own);
        Ok(self)
    }

    /// Whether the client may publish to a topic.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|filter| filter.matches(topic))
    }

    /// Whether the client may subscribe to a filter: one of its grants has to cover it whole.
    pub fn may_subscribe(&self, filter: &str) -> bool {
        self.subscribe.iter().any(|grant| covers(grant.as_str(), filter))
    }

    /// Whether a filter lies within the client's own topics.
    pub(super) fn is_own(&self, filter: &str) -> bool {
        self.own.as_ref().is_some_and(|own| covers(own.as_str(), filter))
    }
}

/// Users, each with the argon2 hash of its password and what it may do.
///
/// A user connects as itself, or under a client id that begins with its name and a colon: `nas`, and `nas:phone` for a
/// program that only listens. No agent's id has a colon, so nobody takes another's.
#[derive(Debug, Default)]
pub struct Table {
    users: HashMap<String, User>,
    anonymous: Option<Arc<Rights>>,
}

#[derive(Debug)]
struct User {
    hash: Secret,
    rights: Arc<Rights>,
}

impl Table {
    /// A table without anyone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone in, whatever they send, with these rights.
    #[must_use]
    pub fn anonymous(mut self, rights: Rights) -> Self {
        self.anonymous = Some(Arc::new(rights));
        self
    }

    /// Adds a user.
    #[must_use]
    pub fn user(mut self, name: &str, hash: Secret, rights: Rights) -> Self {
        self.users.insert(name.into(), User { hash, rights: Arc::new(rights) });
        self
    }

    /// The table that comes after another one: users who are the same as there keep what they were given.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        for (name, user) in &mut self.users {
            if let Some(old) = before.users.get(name)
                && old.hash == user.hash
                && old.rights == user.rights
            {
                user.rights = old.rights.clone();
            }
        }
        self
    }
}

#[async_trait]
impl Access for Table {
    async fn login(
        &self,
        client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        _peer: IpAddr,
    ) -> Result<Arc<Rights>, Refusal> {
        if let Some(rights) = &self.anonymous {
            return Ok(rights.clone());
        }
        let (Some(name), Some(password)) = (username, password) else {
            return Err(Refusal::Credentials);
        };
        let password = std::str::from_utf8(password).map_err(|_| Refusal::Credentials)?;
        let user = self.users.get(name);
        // An unknown name takes as long as a known one, so that nobody learns names by the clock.
        let Some(judged) = user.or_else(|| self.users.values().next()) else {
            return Err(Refusal::Credentials);
        };
        match password::verify(&Secret::new(password), &judged.hash).await {
            Ok(true) => {}
            Ok(false) | Err(PasswordError::TooLong) => return Err(Refusal::Credentials),
            Err(reason) => {
                tracing::warn!("the login of `{name}` at the broker cannot be checked: {reason}");
                return Err(Refusal::Unavailable);
            }
        }
        let user = user.ok_or(Refusal::Credentials)?;
        let own = client_id.strip_prefix(name);
        if own.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
            Ok(user.rights.clone())
        } else {
            Err(Refusal::ClientId)
        }
    }

    fn holds(&self, username: Option<&str>, rights: &Arc<Rights>) -> bool {
        let user = username.and_then(|name| self.users.get(name)).map(|user| &user.rights);
        user.or(self.anonymous.as_ref()).is_some_and(|now| Arc::ptr_eq(now, rights))
    }
}
