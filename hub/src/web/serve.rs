//! The pages on a socket, over TLS.

use std::{
    future::{Ready, ready},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, Router, middleware::AddExtension};
use axum_server::{
    Handle,
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use hyper_util::rt::TokioTimer;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::Layer as _;
use tracing::{debug, info};

use super::{WebState, router};
use crate::identity::Identity;

/// Connections at once, on each address.
const CONNECTIONS: usize = 1024;

/// Longest head of a request, in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// Time for a TLS handshake, and for the head of the first request after it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A browser that says nothing for this long, and answers no ping, is gone.
const IDLE: Duration = Duration::from_secs(60);

/// Time for the host name to be resolved. Whoever starts the pages looks after other parts, too.
const RESOLVE: Duration = Duration::from_secs(2);

/// Time that answers have to finish when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What browsers may speak, best first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Host name or address; empty: all addresses.
    pub hostname: String,
    /// Port; 0: any free one.
    pub port: u16,
}

/// Why there are no pages.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {hostname}:{port} for the pages")]
    Bind {
        /// The name as configured.
        hostname: String,
        /// The port as configured.
        port: u16,
        /// The system's own error.
        source: io::Error,
    },
    /// A socket failed later.
    #[error("the server of the pages failed")]
    Socket(#[from] io::Error),
}

/// A server that listens and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    tls: RustlsConfig,
}

impl Server {
    /// Listens, on all addresses of the host name, as whoever this identity is.
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub async fn bind(listen: &Listen, identity: Arc<Identity>) -> Result<Self, ServeError> {
        let failed = |source| {
            let (hostname, port) = (listen.hostname.clone(), listen.port);
            ServeError::Bind { hostname, port, source }
        };
        let listeners = bind_all(&listen.hostname, listen.port).await.map_err(failed)?;
        let first =
            listeners.first().ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
        let address = first.local_addr().map_err(failed)?;
        let tls = RustlsConfig::from_config(identity.server(PROTOCOLS));
        Ok(Self { listeners, address, tls })
    }

    /// The address, the first one if there are several.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then lets running answers end for a moment.
    ///
    /// # Errors
    /// [`ServeError::Socket`].
    pub async fn run(self, state: WebState, stop: CancellationToken) -> Result<(), ServeError> {
        info!(address = %self.address, "the pages are at https://{}", self.address);
        let app = router(state);
        let mut servers = JoinSet::new();
        for listener in self.listeners {
            servers.spawn(answer(listener, self.tls.clone(), app.clone(), stop.clone()));
        }
        while let Some(ended) = servers.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// Listens on every address of a name: `localhost` is two on most machines. One that works is enough.
async fn bind_all(hostname: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let addresses: Vec<SocketAddr> = match hostname {
        // IPv6 with IPv4 mapped into it where the system has both.
        "" => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
        name => timeout(RESOLVE, tokio::net::lookup_host((name, port))).await??.collect(),
    };
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut last = None;
    for mut address in addresses {
        if let Some(first) = listeners.first() {
            address.set_port(first.local_addr()?.port());
        }
        match tokio::net::TcpListener::bind(address)
            .await
            .and_then(tokio::net::TcpListener::into_std)
        {
            Ok(listener) => listeners.push(listener),
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(e) if listeners.is_empty() => Err(e),
        _ => Ok(listeners),
    }
}

/// Answers on one socket until `stop`.
async fn answer(
    listener: TcpListener,
    tls: RustlsConfig,
    app: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let handle = Handle::new();
    let closing = handle.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        closing.graceful_shutdown(Some(FAREWELL));
    });
    let bounded = Bounded { places: Arc::new(Semaphore::new(CONNECTIONS)) };
    // Each handshake is a task of its own: one that hangs holds up no other.
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(PATIENCE).acceptor(bounded);
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle)
        .first_request_timeout(PATIENCE)
        .accept_error_handler(|peer: Option<&SocketAddr>, error| {
            debug!(?peer, "a connection to the pages failed: {error}");
        });
    let timer = TokioTimer::new;
    let http = server.http_builder();
    http.http1().timer(timer()).header_read_timeout(IDLE).max_buf_size(HEAD_MAX);
    http.http2()
        .timer(timer())
        .keep_alive_interval(IDLE / 2)
        .keep_alive_timeout(IDLE / 2)
        .max_concurrent_streams(64)
        .max_header_list_size(HEAD_MAX as u32);
    server.serve(app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Takes connections while there are places, and gives each place back when its connection is over.
#[derive(Clone)]
struct Bounded {
    places: Arc<Semaphore>,
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = TcpStream;
    type Service = AddExtension<S, Arc<OwnedSemaphorePermit>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let taken = self.places.clone().try_acquire_owned().map_err(io::Error::other);
        ready(taken.and_then(|place| {
            // Events are small and must not wait for one another.
            stream.set_nodelay(true)?;
            Ok((stream, Extension(Arc::new(place)).layer(service)))
        }))
    }
}
