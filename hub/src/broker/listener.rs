//! Accepts connections. Nothing is waited for here but the next connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fletchck_agent::stay::stay;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use super::{Listen, connect};

/// The ports of a broker, opened and closed as it runs. Whoever has connected stays when a port is closed.
#[derive(Default)]
pub(super) struct Ports {
    open: Mutex<Vec<Port>>,
}

struct Port {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Ports {
    /// Opens a port, and answers with its address.
    pub(super) async fn open(&self, gate: &Arc<Gate>, listen: Listen) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(listen.address).await?;
        let address = listener.local_addr()?;
        let (stop, tls) = (gate.stop.child_token(), listen.tls.map(TlsAcceptor::from));
        let task = gate.tasks.spawn(run(gate.clone(), listener, tls, stop.clone()));
        self.open.lock().push(Port { address, stop, task });
        Ok(address)
    }

    /// Closes a port. Another one can be opened in its place then.
    pub(super) async fn close(&self, address: SocketAddr) {
        let gone: Vec<Port> =
            self.open.lock().extract_if(.., |port| port.address == address).collect();
        for port in gone {
            port.stop.cancel();
            if let Err(error) = port.task.await {
                tracing::error!(%error, "a port of the broker broke down");
            }
        }
    }

    /// The addresses of all, in the order they were opened.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.lock().iter().map(|port| port.address).collect()
    }
}

/// The place of a connection among those that have not logged in yet. Given back when dropped.
pub(super) struct Pending {
    gate: Arc<Gate>,
    peer: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Pending {
    fn take(gate: &Arc<Gate>, peer: IpAddr) -> Option<Self> {
        let permit = gate.pending.clone().try_acquire_owned().ok()?;
        let mut by_peer = gate.pending_by_peer.lock();
        let mine = by_peer.entry(peer).or_default();
        if *mine >= gate.settings.max_pending_by_peer {
            return None;
        }
        *mine += 1;
        Some(Self { gate: gate.clone(), peer, _permit: permit })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut by_peer = self.gate.pending_by_peer.lock();
        if let Some(mine) = by_peer.get_mut(&self.peer) {
            *mine -= 1;
            if *mine == 0 {
                by_peer.remove(&self.peer);
            }
        }
    }
}

/// Accepts until the port is closed.
async fn run(
    gate: Arc<Gate>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let state = (gate, listener, tls, stop.clone());
    stay("a port of the broker", stop.cancelled(), state, |(gate, listener, tls, stop)| {
        accept(gate, listener, tls.as_ref(), stop).boxed()
    })
    .await;
}

async fn accept(
    gate: &Arc<Gate>,
    listener: &TcpListener,
    tls: Option<&TlsAcceptor>,
    stop: &CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                // Out of file descriptors, most likely: trying at once would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        let Some(pending) = Pending::take(gate, peer) else {
            tracing::debug!(%peer, "too many connections that have not logged in, closed");
            continue;
        };
        let (gate_, tls) = (gate.clone(), tls.cloned());
        gate.tasks.spawn(async move {
            let gate = gate_;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "delay of small packets not switched off");
            }
            match tls {
                None => connect::serve(gate, stream, peer, pending).await,
                Some(tls) => match shake(&gate, &tls, stream).await {
                    Ok(stream) => connect::serve(gate, stream, peer, pending).await,
                    Err(error) => tracing::debug!(%peer, %error, "no tls"),
                },
            }
        });
    }
}

async fn shake(
    gate: &Gate,
    tls: &TlsAcceptor,
    stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    tokio::select! {
        () = gate.stop.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
        shaken = tokio::time::timeout(gate.settings.connect_timeout, tls.accept(stream)) => shaken?,
    }
}
