//! What this site publishes through its own broker.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use fletchck_agent::{
    chain,
    link::{Greeting as _, Outbox as _, Outgoing},
    service::Greeter,
    stay::stay,
    store::Store,
};
use fletchck_shared::topic::Topic;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{broker::Broker, fleet};

/// Messages of this site that are published at once.
const BATCH: usize = 256;

/// Pause after the router has died under a message; a new one is made in the meantime.
const PAUSE: Duration = Duration::from_millis(200);

/// Publishes what the engine has stored for publishing, without a network in between.
pub(super) struct Outlet {
    pub(super) broker: Arc<Broker>,
    pub(super) store: Store,
    pub(super) greeter: Greeter,
}

impl Outlet {
    /// Publishes until `stop`, and then what still waits.
    pub(super) async fn stay(self, stop: CancellationToken) {
        let state = (self, stop.clone());
        stay("publishing to the own broker", stop.cancelled(), state, |(outlet, stop)| {
            outlet.run(stop).boxed()
        })
        .await;
    }

    async fn run(&self, stop: &CancellationToken) {
        if self.greeter.publishing.fleet {
            said(fleet::announce(&self.broker, &self.greeter.who.load_full(), Utc::now()).await);
        }
        let changed = self.store.changed();
        let mut again = self.greeter.again();
        let mut first = true;
        while !stop.is_cancelled() {
            let woken = changed.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let sent = self.send_waiting().await;
            if std::mem::take(&mut first) {
                // Behind what had waited, so that nothing older comes after it.
                for state in self.greeter.states(false) {
                    said(self.publish(&state.topic, &state.payload, state.retain).await);
                }
            }
            if again.has_changed().unwrap_or_default() {
                again.mark_unchanged();
                if self.greeter.publishing.fleet {
                    let who = self.greeter.who.load_full();
                    said(fleet::announce(&self.broker, &who, Utc::now()).await);
                }
                first = true;
                continue;
            }
            let rest = async {
                match sent {
                    Some(0) => tokio::select! {
                        () = woken => {}
                        Ok(()) = again.changed() => again.mark_changed(),
                    },
                    Some(_) => {}
                    None => tokio::time::sleep(PAUSE).await,
                }
            };
            stop.run_until_cancelled(rest).await;
        }
        self.send_waiting().await;
        if self.greeter.publishing.fleet {
            said(fleet::take_leave(&self.broker, &self.greeter.who.load_full()).await);
        }
    }

    /// Publishes what waits, and answers with how much that was; `None`: it failed and still waits.
    async fn send_waiting(&self) -> Option<usize> {
        let waiting = match self.store.next(0, BATCH).await {
            Ok(waiting) => waiting,
            Err(reason) => {
                error!(error = chain(&reason), "what is to be published cannot be read");
                return None;
            }
        };
        let mut sent = Vec::with_capacity(waiting.len());
        for Outgoing { id, topic, payload, retain, .. } in waiting {
            // Of a topic that is none, trying again would make no other one.
            if Topic::try_from(topic.as_str()).is_ok()
                && let Err(reason) = self.publish(&topic, &payload, retain).await
            {
                warn!(topic, "not published, trying again: {reason}");
                break;
            }
            sent.push(id);
        }
        let count = sent.len();
        if count > 0
            && let Err(reason) = self.store.sent(sent).await
        {
            error!(
                error = chain(&reason),
                "what was published cannot be noted, and is published again"
            );
            return None;
        }
        Some(count)
    }

    async fn publish(&self, topic: &str, payload: &[u8], retain: bool) -> anyhow::Result<()> {
        self.broker.publish(&Topic::try_from(topic)?, payload, retain).await
    }
}

fn said(said: anyhow::Result<()>) {
    if let Err(reason) = said {
        warn!("not everything is published: {}", chain(reason.as_ref()));
    }
}
