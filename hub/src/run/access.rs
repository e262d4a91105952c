//! Who may connect to the embedded broker: the users of the configuration.

use std::{net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use fletchck_shared::{AgentId, config::Broker};
use tracing::warn;

use crate::broker::{Access, Refusal, Rights, Table};

/// The users of a configuration. An agent's user name is its id, and its client id too: so nobody speaks for another.
pub(super) struct Users {
    users: ArcSwap<Table>,
}

impl Users {
    pub(super) fn new(broker: &Broker, prefix: &str) -> Self {
        Self { users: ArcSwap::from_pointee(table(broker, prefix)) }
    }

    /// Makes these the users. Whoever is connected and not among them as before is to be looked at again.
    pub(super) fn take_over(&self, broker: &Broker, prefix: &str) {
        let table = table(broker, prefix).after(&self.users.load());
        self.users.store(Arc::new(table));
    }
}

fn table(broker: &Broker, prefix: &str) -> Table {
    broker.users.iter().fold(Table::new(), |table, (name, user)| {
        let mut rights = Rights::new(user.publish.clone(), user.subscribe.clone());
        if let Ok(agent) = AgentId::try_from(name.as_str()) {
            let root = format!("{prefix}/{agent}");
            rights = match rights.with_own(&root) {
                Ok(rights) => rights,
                Err(reason) => {
                    warn!("user `{name}` of the broker is left out: {root}: {reason}");
                    return table;
                }
            };
        }
        table.user(name, user.password.clone(), rights)
    })
}

#[async_trait]
impl Access for Users {
    async fn login(
        &self,
        client_id: &str,
        username: Option<&str>,
        password: Option<&[u8]>,
        peer: IpAddr,
    ) -> Result<Arc<Rights>, Refusal> {
        self.users.load_full().login(client_id, username, password, peer).await
    }

    fn holds(&self, username: Option<&str>, rights: &Arc<Rights>) -> bool {
        self.users.load().holds(username, rights)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use fletchck_shared::{Secret, config::BrokerUser, topic::TopicFilter};

    use super::*;

    /// `secret`, by a hash that takes no time.
    const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

    fn broker() -> Broker {
        let user =
            BrokerUser { password: Secret::new(HASH), publish: Vec::new(), subscribe: Vec::new() };
        let users = ["nas", "pi"].map(|name| (name.to_owned(), user.clone())).into();
        Broker { users, ..Broker::default() }
    }

    async fn log_in(
        users: &Users,
        client: &str,
        user: &str,
        password: &str,
    ) -> Result<Arc<Rights>, Refusal> {
        let peer = Ipv4Addr::LOCALHOST.into();
        users.login(client, Some(user), Some(password.as_bytes()), peer).await
    }

    async fn login(client: &str, user: &str, password: &str) -> Result<Arc<Rights>, Refusal> {
        log_in(&Users::new(&broker(), "fletchck"), client, user, password).await
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

    #[tokio::test]
    async fn what_a_login_was_given_holds_until_its_user_is_another_one() {
        let (before, pi) = (broker(), Some("pi"));
        let users = Users::new(&before, "fletchck");
        let rights = log_in(&users, "pi", "pi", "secret").await.expect("let in");
        users.take_over(&before, "fletchck");
        assert!(users.holds(pi, &rights));
        assert!(!users.holds(Some("nas"), &rights) && !users.holds(None, &rights));

        let changes: [fn(&mut Broker); 3] = [
            |broker| _ = broker.users.shift_remove("pi"),
            |broker| broker.users["pi"].password = Secret::new(HASH.replace("m=64", "m=65")),
            |broker| {
                let news = TopicFilter::try_from("news").expect("a filter");
                broker.users["pi"].subscribe.push(news);
            },
        ];
        for change in changes {
            let mut after = broker();
            change(&mut after);
            users.take_over(&before, "fletchck");
            let rights = log_in(&users, "pi", "pi", "secret").await.expect("let in");
            users.take_over(&after, "fletchck");
            assert!(!users.holds(pi, &rights));
        }
        users.take_over(&before, "fletchck");
        let rights = log_in(&users, "pi", "pi", "secret").await.expect("let in");
        users.take_over(&before, "elsewhere");
        assert!(!users.holds(pi, &rights), "its own topics are others");
    }
}
