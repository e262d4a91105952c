//! Who may connect to the embedded broker: the users of the configuration.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use fletchck_shared::{
    AgentId, Secret,
    config::{Broker, BrokerUser},
};
use tracing::warn;

use crate::{
    broker::{Access, Refusal, Rights},
    password::{self, PasswordError},
};

/// The users of a configuration. An agent's user name is its id, and its client id too: so nobody speaks for another.
pub(super) struct Users {
    users: ArcSwap<HashMap<String, User>>,
}

struct User {
    password: Secret,
    rights: Arc<Rights>,
}

impl Users {
    pub(super) fn new(broker: &Broker, prefix: &str) -> Self {
        Self { users: ArcSwap::from_pointee(table(broker, prefix)) }
    }

    /// Makes these the users. Whoever is connected stays so until it connects anew.
    pub(super) fn take_over(&self, broker: &Broker, prefix: &str) {
        self.users.store(Arc::new(table(broker, prefix)));
    }
}

fn table(broker: &Broker, prefix: &str) -> HashMap<String, User> {
    let user = |(name, user): (&String, &BrokerUser)| {
        let rights = Rights::new(user.publish.clone(), user.subscribe.clone());
        let own = AgentId::try_from(name.as_str()).ok().map(|agent| format!("{prefix}/{agent}"));
        let rights = match own {
            Some(root) => match rights.with_own(&root) {
                Ok(rights) => rights,
                Err(reason) => {
                    warn!("user `{name}` of the broker is left out: {root}: {reason}");
                    return None;
                }
            },
            None => rights,
        };
        Some((name.clone(), User { password: user.password.clone(), rights: Arc::new(rights) }))
    };
    broker.users.iter().filter_map(user).collect()
}

#[async_trait]
impl Access for Users {
    async fn login(
        &self,
        client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        _peer: IpAddr,
    ) -> Result<Arc<Rights>, Refusal> {
        let (Some(name), Some(password)) = (username, password) else {
            return Err(Refusal::Credentials);
        };
        let password = std::str::from_utf8(password).map_err(|_| Refusal::Credentials)?;
        let users = self.users.load_full();
        let user = users.get(name);
        // An unknown name takes as long as a known one, so that nobody learns names by the clock.
        let Some(judged) = user.or_else(|| users.values().next()) else {
            return Err(Refusal::Credentials);
        };
        match password::verify(&Secret::new(password), &judged.password).await {
            Ok(true) => {}
            Ok(false) | Err(PasswordError::TooLong) => return Err(Refusal::Credentials),
            Err(reason) => {
                warn!("the login of `{name}` at the broker cannot be checked: {reason}");
                return Err(Refusal::Unavailable);
            }
        }
        let user = user.ok_or(Refusal::Credentials)?;
        // Its own name, or one that begins with it and a colon: `nas`, and `nas:phone` for a program that only listens.
        // No agent's id has a colon, so nobody takes another's.
        let own = client_id.strip_prefix(name);
        if own.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
            Ok(user.rights.clone())
        } else {
            Err(Refusal::ClientId)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use indexmap::IndexMap;

    use super::*;

    /// `secret`, by a hash that takes no time.
    const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

    async fn login(client: &str, user: &str, password: &str) -> Result<Arc<Rights>, Refusal> {
        let known = ["nas", "pi"].map(|name| {
            let user = BrokerUser {
                password: Secret::new(HASH),
                publish: Vec::new(),
                subscribe: Vec::new(),
            };
            (name.to_owned(), user)
        });
        let broker = Broker { users: IndexMap::from(known), ..Broker::default() };
        let users = Users::new(&broker, "fletchck");
        let peer = Ipv4Addr::LOCALHOST.into();
        users.login(client, Some(user), Some(password.as_bytes()), peer).await
    }

    #[tokio::test]
    async fn a_user_connects_as_itself_and_speaks_for_itself() {
        let rights = login("nas", "nas", "secret").await.expect("let in");
        assert!(rights.may_publish("fletchck/nas/check/root"));
        assert!(!rights.may_publish("fletchck/pi/check/root"));
        assert!(login("nas:phone", "nas", "secret").await.is_ok());
        for other in ["pi", "nas.phone", "nas2", "x"] {
            assert_eq!(
                login(other, "nas", "secret").await.err(),
                Some(Refusal::ClientId),
                "{other}"
            );
        }
    }

    #[tokio::test]
    async fn neither_a_wrong_password_nor_an_unknown_name_gets_in() {
        for (user, password) in [("nas", "wrong"), ("nobody", "secret"), ("", "")] {
            let refused = login(user, user, password).await.err();
            assert_eq!(refused, Some(Refusal::Credentials), "{user}");
        }
    }
}
