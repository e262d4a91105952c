//! Who may connect, and what each may publish and subscribe to.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use fletchck_shared::Secret;
use fletchck_shared::topic::{TopicError, TopicFilter};

use super::filter::covers;

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
#[derive(Clone, Debug, Default)]
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

/// A fixed list of users, for tests and small installations.
#[derive(Debug, Default)]
pub struct Table {
    users: Vec<(String, Secret, Arc<Rights>)>,
    anonymous: Option<Arc<Rights>>,
    prefix: Option<String>,
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

    /// Adds a user with rights of its own under any client id.
    #[must_use]
    pub fn user(mut self, name: &str, password: Secret, rights: Rights) -> Self {
        self.users.push((name.into(), password, Arc::new(rights)));
        self
    }

    /// Takes each user for an agent whose client id is its user name and whose own topics are `PREFIX/USER/#`.
    #[must_use]
    pub fn agents(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.into());
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
        let (Some(username), Some(password)) = (username, password) else {
            return Err(Refusal::Credentials);
        };
        let (name, _, rights) = self
            .users
            .iter()
            .find(|(name, secret, _)| {
                name == username && same(secret.reveal().as_bytes(), password)
            })
            .ok_or(Refusal::Credentials)?;
        let Some(prefix) = &self.prefix else { return Ok(rights.clone()) };
        if client_id != name {
            return Err(Refusal::ClientId);
        }
        let own = Rights::clone(rights)
            .with_own(&format!("{prefix}/{name}"))
            .map_err(|_| Refusal::NotAuthorized)?;
        Ok(Arc::new(own))
    }
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
