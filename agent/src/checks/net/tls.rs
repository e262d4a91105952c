//! TLS to a server, and the judgement of its certificate in plain words.
//!
//! The certificate is judged once the handshake is over and before anything is sent, so that what it says can be told
//! even where it is not good.

mod demand;
mod error;
mod trust;
mod verifier;

use std::sync::{Arc, LazyLock};

use rustls::{
    ClientConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Certificate, Steps, Target};
use crate::checks::Look;
use verifier::Verifier;

pub(crate) use demand::{CAFILE, DAYS, SELFSIGNED, SERVER_NAME, Tls, WARN_DAYS};
pub(crate) use error::TlsError;
use trust::Trust;

/// A stream that TLS protects.
pub(crate) type Encrypted = TlsStream<TcpStream>;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));
static STRICT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(Verifier::Strict));
static LENIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client(Verifier::Lenient));

impl Tls {
    /// Speaks TLS with a server and judges its certificate, and notes both; the step `tls`.
    ///
    /// # Errors
    /// The server speaks no TLS that is common to both, or its certificate is not good for as long as it must be.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        target: &Target,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<(Encrypted, Certificate), TlsError> {
        steps.begin("tls");
        let roots = self.trust.roots().await?;
        let shared = if roots.is_some() { &*STRICT } else { &*LENIENT };
        let config = self.config.as_ref().unwrap_or(shared);
        let target = self.name.as_ref().unwrap_or(target);
        let name = target.server_name();
        let connector = TlsConnector::from(Arc::clone(config));
        let stream =
            connector.connect(name.clone(), stream).await.map_err(|e| TlsError::handshake(&e))?;
        let session = stream.get_ref().1;
        let chain = session.peer_certificates().unwrap_or_default();
        let (first, others) = chain.split_first().ok_or(TlsError::NoCertificate)?;
        let certificate = Certificate::read(first).ok_or(TlsError::Unreadable)?;
        if let Some(version) = session.protocol_version() {
            steps.note(format!("* {version:?}"));
        }
        for line in certificate.lines(others, look.now, look.zone) {
            steps.note(format!("* {line}"));
        }
        if let Some(roots) = roots {
            roots
                .verify(first, others, &name, look.now)
                .map_err(|error| TlsError::certificate(&error, &certificate, target, look))?;
        }
        if certificate.days_left(look.now) < self.days {
            return Err(TlsError::expires(&certificate, look));
        }
        Ok((stream, certificate))
    }
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
