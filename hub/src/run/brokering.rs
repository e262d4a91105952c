//! The embedded broker, started, replaced and stopped as the configuration says, and what this site publishes through it.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use chrono::Utc;
use fletchck_agent::{
    chain,
    link::{Greeting, Outbox, Outgoing},
    service::Greeter,
    store::Store,
};
use fletchck_shared::{
    config::{Broker as Section, Listener, Site, Web},
    topic::Topic,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{access::Users, retained::InStore};
use crate::{
    broker::{Broker, Heard, Listen, Settings},
    fleet,
};

/// Messages of this site that are published at once.
const BATCH: usize = 256;

/// Pause after the router has died under a message; a new one is made in the meantime.
const PAUSE: Duration = Duration::from_millis(200);

/// The embedded broker, or none.
pub(super) struct Brokering {
    store: Store,
    tap: mpsc::Sender<Heard>,
    running: Option<Running>,
}

struct Running {
    made_of: MadeOf,
    users: Arc<Users>,
    broker: Arc<Broker>,
    outlet: JoinHandle<()>,
    stop: CancellationToken,
}

/// What a broker was started with. With something else it is started anew; users alone are taken over as it runs.
#[derive(PartialEq)]
struct MadeOf {
    listeners: Vec<Listener>,
    max_connections: Option<std::num::NonZeroU32>,
    /// Certificates and keys as they were read, so that renewed ones are noticed.
    identities: Vec<Option<(Vec<u8>, Vec<u8>)>>,
}

impl Brokering {
    pub(super) fn new(store: Store, tap: mpsc::Sender<Heard>) -> Self {
        Self { store, tap, running: None }
    }

    /// Has the broker that a configuration asks for, and answers with whether it was started anew. A new one says what
    /// `greeter` says.
    ///
    /// # Errors
    /// It cannot be started: a port is taken, or a certificate is none.
    pub(super) async fn keep_to(&mut self, site: &Site, greeter: Greeter) -> anyhow::Result<bool> {
        let Some(section) = &site.broker else {
            self.stop().await;
            return Ok(false);
        };
        let wanted = MadeOf::read(section, site.webui.as_ref())?;
        if let Some(running) = &self.running
            && running.made_of == wanted
        {
            running.users.take_over(section, &site.fleet.prefix);
            return Ok(false);
        }
        // Certificates are judged while the old broker still runs.
        for (cert, key) in wanted.identities.iter().flatten() {
            tls(cert, key)?;
        }
        self.stop().await;
        self.start(section, wanted, &site.fleet.prefix, greeter).await?;
        Ok(true)
    }

    async fn start(
        &mut self,
        section: &Section,
        made_of: MadeOf,
        prefix: &str,
        greeter: Greeter,
    ) -> anyhow::Result<()> {
        let users = Arc::new(Users::new(section, prefix));
        let mut settings = Settings::default();
        if let Some(max) = section.max_connections {
            settings.max_connections = usize::try_from(max.get()).unwrap_or(usize::MAX);
        }
        for (listener, identity) in section.listeners.iter().zip(&made_of.identities) {
            let tls = identity.as_ref().map(|(cert, key)| tls(cert, key)).transpose()?;
            settings.listen.push(Listen { address: listener.listen, tls });
        }
        let keep = Arc::new(InStore(self.store.clone()));
        let broker =
            Arc::new(Broker::start(settings, users.clone(), keep, self.tap.clone()).await?);
        for (address, listener) in broker.addresses().iter().zip(&section.listeners) {
            let scheme = if listener.tls { "mqtts" } else { "mqtt" };
            info!(address = %address, "the broker listens at {scheme}://{address}");
        }
        let stop = CancellationToken::new();
        let outlet = Outlet { broker: broker.clone(), store: self.store.clone(), greeter };
        let outlet = tokio::spawn(outlet.run(stop.clone()));
        self.running = Some(Running { made_of, users, broker, outlet, stop });
        Ok(())
    }

    /// Whether there is a broker.
    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
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

impl MadeOf {
    fn read(section: &Section, page: Option<&Web>) -> anyhow::Result<Self> {
        let identities = section.listeners.iter().map(|listener| {
            if !listener.tls {
                return Ok(None);
            }
            let cert = listener.cert.as_deref().or(page.and_then(|page| page.cert.as_deref()));
            let key = listener.key.as_deref().or(page.and_then(|page| page.key.as_deref()));
            let (Some(cert), Some(key)) = (cert, key) else {
                return Err(anyhow!("the broker's TLS needs `cert` and `key`"));
            };
            Ok(Some((read(cert)?, read(key)?)))
        });
        Ok(Self {
            listeners: section.listeners.clone(),
            max_connections: section.max_connections,
            identities: identities.collect::<anyhow::Result<_>>()?,
        })
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn tls(cert: &[u8], key: &[u8]) -> anyhow::Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert)
        .collect::<Result<_, _>>()
        .context("the broker's certificate is no PEM file")?;
    let key = PrivateKeyDer::from_pem_slice(key).context("the broker's key is no PEM file")?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the broker's certificate and key do not belong together")?;
    Ok(Arc::new(config))
}

/// Publishes what the engine has stored for publishing, without a network in between.
struct Outlet {
    broker: Arc<Broker>,
    store: Store,
    greeter: Greeter,
}

impl Outlet {
    async fn run(self, stop: CancellationToken) {
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
