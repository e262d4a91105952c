//! Connections to a broker: TCP, with TLS over it where the settings say so.

use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{failure, failure::Failure, settings::Settings};
use crate::chain;

/// Time for one address to take the connection. An address that swallows packets must not use up the others' time.
const CONNECT: Duration = Duration::from_secs(5);

/// Time for the name, and for TLS.
const STEP: Duration = Duration::from_secs(10);

/// A connection, whatever it runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects.
///
/// # Errors
/// Which step failed.
pub(super) async fn dial(settings: &Settings) -> Result<Box<dyn Stream>, Failure> {
    // Whoever trusts nobody need not bother the broker.
    let tls = match &settings.tls {
        Some(trust) => {
            let config = trust.config().await.map_err(|error| Failure::Trust(chain(&error)))?;
            Some((trust, config))
        }
        None => None,
    };
    let stream = tcp(settings).await?;
    // Small messages, and their answers are waited for: nothing is gained by delaying them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "packets to the broker may be delayed");
    }
    let Some((trust, config)) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(settings.host.clone()).map_err(|_| {
        Failure::Tls(format!("`{}` is no name a certificate can have", settings.host))
    })?;
    let handshake = TlsConnector::from(config).connect(name, stream);
    match timeout(STEP, handshake).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => {
            trust.forget();
            Err(Failure::Tls(failure::tls(&error).unwrap_or_else(|| error.to_string())))
        }
        Err(_) => Err(Failure::NoAnswer),
    }
}

async fn tcp(settings: &Settings) -> Result<TcpStream, Failure> {
    let host = settings.host.as_str();
    let unresolved = |cause: String| Failure::Resolve { host: host.into(), cause };
    let addresses: Vec<SocketAddr> = match timeout(STEP, lookup_host((host, settings.port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(unresolved(error.to_string())),
        Err(_) => return Err(unresolved("no answer in time".into())),
    };
    let mut failure = unresolved("it has no address".into());
    for address in addresses {
        let error = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
        };
        failure = Failure::Connect {
            address: address.to_string(),
            near: matches!(
                error.kind(),
                io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkDown
                    | io::ErrorKind::AddrNotAvailable
            ),
            cause: error.to_string(),
        };
    }
    Err(failure)
}
