//! The embedded MQTT broker: our gate in front of rumqttd's router.
//!
//! rumqttd is fast and takes no care of itself: one client can bring all of it down. So no byte of a client reaches it
//! unjudged. The gate accepts connections, speaks MQTT 3.1.1 and 5 on one port, logs clients in, holds each to its own
//! topics, keeps retained messages and wills, and gives every accepted message to the hub. The router queues messages for
//! subscribers.
//!
//! ```text
//! listener -> connect -> takeover -> session -> tap (the hub), retained, routes -> router -> session of a subscriber
//! ```
//!
//! **Invariant:** the router sees no topic, filter or client id of a client, only numbers made here.

mod access;
mod attempts;
mod codec;
mod connect;
mod filter;
mod flow;
mod gate;
mod keep;
mod listener;
mod message;
#[doc(hidden)]
pub mod properties;
mod retained;
mod router;
mod routes;
mod session;
mod sleeping;
mod subscriptions;
mod supervisor;
mod takeover;
mod will;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use fletchck_shared::topic::Topic;
use tokio::sync::mpsc;

pub use self::access::{Access, Refusal, Rights, Table};
pub use self::codec::Version;
pub use self::filter::covers;
use self::gate::{Accepted, Batch, Gate};
pub use self::keep::{Change, Keep, Kept, Memory};
use self::listener::Ports;
pub use self::message::Heard;
pub use self::retained::Limits;
use self::retained::Retained;
use self::router::RouterHandle;
pub use self::takeover::Client;

/// How often sessions whose time is up are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How long clients may take to accept the broker's last words.
const STOP: Duration = Duration::from_secs(3);

/// One port.
#[derive(Clone)]
pub struct Listen {
    /// Address; port 0 takes a free one.
    pub address: SocketAddr,
    /// TLS, where the port is to have it. Certificates can be renewed through the configuration's own resolver.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// How the broker behaves. The defaults are made for a fleet of some thousand agents.
#[derive(Clone)]
pub struct Settings {
    /// Ports to begin with, each for both versions of MQTT.
    pub listen: Vec<Listen>,
    /// Clients logged in at once.
    pub max_connections: usize,
    /// Connections that have not logged in yet, in all.
    pub max_pending: usize,
    /// The same from one address.
    pub max_pending_by_peer: usize,
    /// Largest packet taken from a client, in bytes.
    pub max_packet: usize,
    /// Subscriptions of one client.
    pub max_client_filters: usize,
    /// Distinct filters of all clients.
    pub max_filters: usize,
    /// Sessions kept for clients that are away.
    pub max_sessions: usize,
    /// Messages of QoS 1 and 2 that an MQTT 5 client may send before they are acknowledged.
    pub receive_max: u16,
    /// Most that may be retained.
    pub retained: Limits,
    /// Time for the TLS handshake, and again for the CONNECT.
    pub connect_timeout: Duration,
    /// Time for the check of a password, waiting for others included.
    pub login_timeout: Duration,
    /// How long the session of a client that is away is kept at most.
    pub session_keep: Duration,
    /// How long a client without a keep alive may be silent.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            max_connections: 10_000,
            max_pending: 2000,
            max_pending_by_peer: 500,
            max_packet: 256 << 10,
            max_client_filters: 100,
            max_filters: 20_000,
            max_sessions: 10_000,
            receive_max: 1000,
            retained: Limits::default(),
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
            session_keep: Duration::from_secs(24 * 3600),
            idle: Duration::from_secs(12 * 3600),
        }
    }
}

impl Settings {
    /// Links into the router that may be needed at once: one for each session, and one for each that is forgotten.
    fn max_links(&self) -> usize {
        2 * self.max_connections
    }
}

/// A running broker.
pub struct Broker {
    gate: Arc<Gate>,
    ports: Ports,
    retaining: tokio::task::JoinHandle<()>,
    retaining_stop: tokio_util::sync::CancellationToken,
}

impl Broker {
    /// Starts a broker. Every message it accepts also goes to `tap`; while that is full, publishers wait, and QoS 1 is
    /// acknowledged only when the tap has the message.
    ///
    /// # Errors
    /// A port cannot be opened, retained messages cannot be read, or the router does not start.
    pub async fn start(
        settings: Settings,
        access: Arc<dyn Access>,
        keep: Arc<dyn Keep>,
        tap: mpsc::Sender<Heard>,
    ) -> anyhow::Result<Self> {
        let (limits, links) = (settings.retained, settings.max_links());
        let (retained, (router, watch)) = tokio::task::spawn_blocking(move || {
            anyhow::Ok((Retained::load(keep, limits)?, RouterHandle::start(links)?))
        })
        .await??;
        let listen = settings.listen.clone();
        let gate = Arc::new(Gate::new(settings, access, tap, retained, router));
        gate.tasks.spawn(supervisor::run(gate.clone(), watch));
        gate.tasks.spawn(supervisor::sweep_sessions(gate.clone(), SWEEP));
        let retaining_stop = tokio_util::sync::CancellationToken::new();
        let retaining = tokio::spawn(gate.retained.clone().keep_up(retaining_stop.clone()));
        let broker = Self { gate, ports: Ports::default(), retaining, retaining_stop };
        for listen in listen {
            let address = listen.address;
            if let Err(reason) = broker.open(listen).await {
                broker.stop().await;
                return Err(reason).with_context(|| format!("opening port {address} for MQTT"));
            }
        }
        Ok(broker)
    }

    /// Opens one more port, and answers with its address.
    ///
    /// # Errors
    /// The address is taken or not this machine's.
    pub async fn open(&self, listen: Listen) -> io::Result<SocketAddr> {
        self.ports.open(&self.gate, listen).await
    }

    /// Closes a port. Whoever came through it stays.
    pub async fn close(&self, address: SocketAddr) {
        self.ports.close(address).await;
    }

    /// The addresses it listens on, in the order in which they were opened.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ports.addresses()
    }

    /// Everyone connected now.
    pub fn clients(&self) -> Vec<Client> {
        self.gate.clients.list()
    }

    /// Looks again at everyone connected: whoever's login does not hold any more has to leave, and may come back if it is let in.
    pub fn reconsider(&self) {
        let access = &self.gate.access;
        let stays =
            |client: &Client, rights: &Arc<Rights>| access.holds(client.user.as_deref(), rights);
        self.gate.clients.dismiss_unless(stays);
    }

    /// Publishes a message of the hub, with QoS 1 to those who subscribed so. It does not go to the tap. An empty payload
    /// with `retain` deletes the topic's retained message.
    ///
    /// # Errors
    /// The topic is none, too much is retained, or the router has just died; then it may be tried again.
    pub async fn publish(
        &self,
        topic: &Topic,
        payload: impl AsRef<[u8]>,
        retain: bool,
    ) -> anyhow::Result<()> {
        let (gate, mut batch) = (&*self.gate, Batch::default());
        let usage = gate.retained.usage(&"".into());
        let topic: Arc<str> = topic.as_str().into();
        let accepted = Accepted {
            topic: &topic,
            payload: payload.as_ref(),
            qos: 1,
            retain,
            properties: None,
            origin: 0,
        };
        let targets = || Arc::new(gate.routes.targets(&topic));
        let _payload: Bytes = gate
            .pass(accepted, targets, &usage, &mut batch)
            .map_err(|_| anyhow::anyhow!("too much is retained by the broker"))?;
        gate.router().publish(&mut batch.packets).await?;
        batch.settle().await;
        Ok(())
    }

    /// Stops: clients are told and disconnected, their wills are not sent, and all retained messages are made durable.
    pub async fn stop(self) {
        self.gate.stop.cancel();
        self.gate.tasks.close();
        if tokio::time::timeout(STOP, self.gate.tasks.wait()).await.is_err() {
            tracing::warn!("some clients did not leave in time");
        }
        self.retaining_stop.cancel();
        if let Err(error) = self.retaining.await {
            tracing::error!(%error, "retained messages were not flushed");
        }
    }
}
