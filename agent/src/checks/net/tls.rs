//! TLS to a server, and the judgement of its certificate in plain words.
//!
//! The certificate is judged once the handshake is over and before anything is sent, so that what it says can be told
//! even where it is not good.

mod error;
mod trust;
mod verifier;

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Certificate, Target};
use verifier::Verifier;

pub(crate) use error::TlsError;
pub(crate) use trust::Trust;

/// A stream that TLS protects.
pub(crate) type Encrypted = TlsStream<TcpStream>;

/// Fewest whole days that a certificate must still be good for.
const DAYS_LEFT: i64 = 7;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));
static STRICT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(Verifier::Strict));
static LENIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(Verifier::Lenient));

/// When a certificate is judged, and the zone of the times that are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The time.
    pub(crate) now: DateTime<Utc>,
    /// The zone.
    pub(crate) zone: Tz,
}

/// Speaks TLS with a server and judges its certificate.
///
/// # Errors
/// The server speaks no TLS that is common to both, or its certificate is not good for as long as it must be.
pub(crate) async fn handshake(
    stream: TcpStream,
    target: &Target,
    trust: &Trust,
    clock: Clock,
) -> Result<(Encrypted, Certificate), TlsError> {
    let roots = trust.roots().await?;
    let config = if roots.is_some() { &*STRICT } else { &*LENIENT };
    let name = target.server_name();
    let connector = TlsConnector::from(Arc::clone(config));
    let stream =
        connector.connect(name.clone(), stream).await.map_err(|e| TlsError::handshake(&e))?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let (first, others) = chain.split_first().ok_or(TlsError::NoCertificate)?;
    let certificate = Certificate::read(first).ok_or(TlsError::Unreadable)?;
    if let Some(roots) = roots {
        roots
            .verify(first, others, &name, clock.now)
            .map_err(|error| TlsError::certificate(&error, &certificate, target, clock))?;
    }
    let days = certificate.days_left(clock.now);
    if days < DAYS_LEFT {
        return Err(TlsError::expires(&certificate, clock));
    }
    Ok((stream, certificate))
}

fn client(verifier: Verifier) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    // A resumed session shows the certificate of the first one, and so would hide that it was changed.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
