//! Sessions that outlive their connection: what the gate knows of them while the router queues their messages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::router::{Name, RouterHandle};
use super::routes::Routes;
use super::subscriptions::Subscription;

/// A session without a connection.
pub(super) struct Sleeper {
    /// Name of its queue in the router.
    pub(super) name: Arc<Name>,
    /// User whose session it is: nobody else gets what is queued.
    pub(super) user: Option<Arc<str>>,
    /// Its subscriptions by filter. They keep their slots.
    pub(super) subscriptions: HashMap<Arc<str>, Subscription>,
    /// Packet ids of QoS 2 messages that were received but not released.
    pub(super) received: HashSet<u16>,
    /// When it is forgotten.
    pub(super) until: Instant,
    /// The router that has its queue.
    pub(super) router: Arc<RouterHandle>,
}

/// All sessions without a connection.
pub(super) struct Sleepers {
    sessions: Mutex<HashMap<Arc<str>, Sleeper>>,
    routes: Arc<Routes>,
    most: usize,
}

impl Sleepers {
    /// No sessions; never more than `most`.
    pub(super) fn new(routes: Arc<Routes>, most: usize) -> Self {
        Self { sessions: Mutex::default(), routes, most }
    }

    /// Whether one more session could be kept.
    pub(super) fn room(&self, client: &str) -> bool {
        let sessions = self.sessions.lock();
        sessions.len() < self.most || sessions.contains_key(client)
    }

    /// Puts a session to sleep.
    pub(super) async fn put(&self, client: Arc<str>, sleeper: Sleeper) {
        let old = {
            let mut sessions = self.sessions.lock();
            if sessions.len() < self.most || sessions.contains_key(&client) {
                sessions.insert(client, sleeper)
            } else {
                Some(sleeper)
            }
        };
        if let Some(old) = old {
            self.forget(old).await;
        }
    }

    /// Wakes a client's session. One that has expired, belongs to another user or to a router that died is forgotten.
    pub(super) async fn wake(
        &self,
        client: &str,
        user: Option<&Arc<str>>,
        router: &Arc<RouterHandle>,
    ) -> Option<Sleeper> {
        let sleeper = self.sessions.lock().remove(client)?;
        let late = sleeper.until <= Instant::now();
        if late || sleeper.user.as_ref() != user || !Arc::ptr_eq(&sleeper.router, router) {
            self.forget(sleeper).await;
            return None;
        }
        Some(sleeper)
    }

    /// Forgets a client's session, if there is one.
    pub(super) async fn end(&self, client: &str) {
        let sleeper = self.sessions.lock().remove(client);
        if let Some(sleeper) = sleeper {
            self.forget(sleeper).await;
        }
    }

    /// Forgets all sessions that have expired or whose router is dead.
    pub(super) async fn sweep(&self) {
        let now = Instant::now();
        let gone: Vec<Sleeper> = {
            let mut sessions = self.sessions.lock();
            let late = |_: &Arc<str>, sleeper: &mut Sleeper| {
                sleeper.router.dead.is_cancelled() || sleeper.until <= now
            };
            sessions.extract_if(late).map(|(_, sleeper)| sleeper).collect()
        };
        for sleeper in gone {
            self.forget(sleeper).await;
        }
    }

    async fn forget(&self, sleeper: Sleeper) {
        // Entering clean and leaving is how the router forgets a session.
        if !sleeper.router.dead.is_cancelled()
            && let Err(error) = sleeper.router.link(sleeper.name.clone(), true).await
        {
            tracing::debug!(%error, "session not forgotten by the router");
        }
        for (filter, subscription) in &sleeper.subscriptions {
            subscription.leave(&self.routes, filter);
        }
    }
}
