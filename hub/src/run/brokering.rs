//! The embedded broker, kept to the configuration as it runs.

use std::{num::NonZeroU32, sync::Arc};

use chrono::{DateTime, Utc};
use fletchck_agent::{
    chain,
    service::{Greeter, Reach},
    store::Store,
};
use fletchck_shared::config::{Broker as Section, Fault, Site};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{access::Users, outlet::Outlet, ports::Ports, retained::InStore};
use crate::broker::{Broker, Heard, Settings};

/// The embedded broker, or none.
pub(super) struct Brokering {
    store: Store,
    tap: mpsc::Sender<Heard>,
    reach: Reach,
    running: Option<Running>,
}

struct Running {
    /// What it was started with. With another bound it is started anew; everything else is taken over as it runs.
    max_connections: Option<NonZeroU32>,
    since: DateTime<Utc>,
    users: Arc<Users>,
    broker: Arc<Broker>,
    ports: Ports,
    outlet: JoinHandle<()>,
    stop: CancellationToken,
}

impl Brokering {
    /// No broker yet. What clients publish goes to `tap`, and whether there is a broker to `reach`.
    pub(super) fn new(store: Store, tap: mpsc::Sender<Heard>, reach: Reach) -> Self {
        Self { store, tap, reach, running: None }
    }

    /// Has the broker that a configuration asks for, with certificates as they are now, and answers with what keeps it from
    /// being that. A new one says what `greeter` says.
    pub(super) async fn keep_to(&mut self, site: &Site, greeter: Greeter) -> Vec<Fault> {
        let Some(section) = &site.broker else {
            self.stop().await;
            return Vec::new();
        };
        let reach = self.reach.clone();
        let running = match self.run(section, &site.fleet.prefix, greeter).await {
            Ok(running) => running,
            Err(reason) => {
                let why = chain(reason.as_ref());
                reach.away(format!("the broker of this site does not run: {why}"));
                let right = "a machine and a store that let it; it is tried again by itself";
                return vec![Fault::error("broker", format!("it does not run: {why}"), right)];
            }
        };
        running.users.take_over(section, &site.fleet.prefix);
        running.broker.reconsider();
        let faults = running.ports.keep_to(&running.broker, section, site.webui.as_ref()).await;
        if running.ports.any() {
            reach.there(running.since);
        } else {
            let why = faults.first().map_or("it has no `listeners`", |fault| fault.wrong.as_str());
            reach.away(format!("nobody can reach the broker of this site: {why}"));
        }
        faults
    }

    /// The broker that runs, or one that is started now.
    async fn run(
        &mut self,
        section: &Section,
        prefix: &str,
        greeter: Greeter,
    ) -> anyhow::Result<&mut Running> {
        let fits = |running: &Running| running.max_connections == section.max_connections;
        if !self.running.as_ref().is_some_and(fits) {
            self.stop().await;
        }
        let running = match self.running.take() {
            Some(running) => running,
            None => self.start(section, prefix, greeter).await?,
        };
        Ok(self.running.insert(running))
    }

    async fn start(
        &self,
        section: &Section,
        prefix: &str,
        greeter: Greeter,
    ) -> anyhow::Result<Running> {
        let since = Utc::now();
        let users = Arc::new(Users::new(section, prefix));
        let max_connections = section.max_connections;
        let mut settings = Settings::default();
        if let Some(max) = max_connections {
            settings.max_connections = usize::try_from(max.get()).unwrap_or(usize::MAX);
        }
        let keep = Arc::new(InStore(self.store.clone()));
        let broker =
            Arc::new(Broker::start(settings, users.clone(), keep, self.tap.clone()).await?);
        let stop = CancellationToken::new();
        let outlet = Outlet { broker: broker.clone(), store: self.store.clone(), greeter };
        let outlet = tokio::spawn(outlet.stay(stop.clone()));
        let ports = Ports::default();
        Ok(Running { max_connections, since, users, broker, ports, outlet, stop })
    }

    /// Stops the broker, if there is one. What this site still had to say goes out before.
    pub(super) async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop.cancel();
        if let Err(reason) = running.outlet.await {
            error!("publishing to the own broker broke down: {reason}");
        }
        match Arc::try_unwrap(running.broker) {
            Ok(broker) => broker.stop().await,
            Err(_) => error!("the broker is still in use while it should stop; please report this"),
        }
    }
}

#[cfg(test)]
mod tests;
