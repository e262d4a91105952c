//! TLS to a server, and the judgement of its certificate in plain words.
//!
//! The certificate is judged once the handshake is over and before anything is sent, so that what it says can be told
//! even where it is not good.

mod demand;
mod error;
mod offer;
mod trust;
mod verifier;

use std::sync::{Arc, LazyLock};

use rustls::{
    ClientConfig, ConfigBuilder,
    client::{Resumption, WantsClientCert},
    crypto::{CryptoProvider, ring},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Certificate, Steps, Target};
use crate::checks::Look;
use verifier::Verifier;

pub(crate) use demand::{CAFILE, SELFSIGNED, SERVER_NAME, Tls};
pub(crate) use error::TlsError;
pub(crate) use offer::{CLIENT_CERT, CLIENT_KEY, IdentityFiles, Offer};
use trust::{Roots, Trust};

/// A stream that TLS protects.
pub(crate) type Encrypted = TlsStream<TcpStream>;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(ring::default_provider()));
static STRICT: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| finish(client(Verifier::Strict).with_no_client_auth()));
static LENIENT: LazyLock<Arc<ClientConfig>> =
    LazyLock::new(|| finish(client(Verifier::Lenient).with_no_client_auth()));

/// A server that has spoken TLS, and what it showed. Nothing of it is judged.
#[derive(Debug)]
pub(crate) struct Shown {
    /// What is said from here on is encrypted, to whomever.
    pub(crate) stream: Encrypted,
    /// The server's own certificate.
    pub(crate) certificate: Certificate,
    /// What that and those that sign for it say of themselves, for a log.
    pub(crate) lines: Vec<String>,
    roots: Option<Arc<Roots>>,
}

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
        let shown = self.shown(stream, target, look, steps).await?;
        self.judge(&shown, target, look)?;
        Ok((shown.stream, shown.certificate))
    }

    /// The first half of [`Tls::handshake`]: speaks TLS, and notes what it is shown.
    ///
    /// # Errors
    /// The server speaks no TLS that is common to both, or its certificate cannot be read.
    pub(crate) async fn shown(
        &self,
        stream: TcpStream,
        target: &Target,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<Shown, TlsError> {
        steps.begin("tls");
        let roots = self.trust.roots().await?;
        let verifier = if roots.is_some() { Verifier::Strict } else { Verifier::Lenient };
        let config = match &self.offer {
            Some(offer) => offer.config(verifier).await?,
            None => Arc::clone(verifier.shared()),
        };
        let name = self.name.as_ref().unwrap_or(target).server_name();
        let connector = TlsConnector::from(config);
        let stream = connector.connect(name, stream).await.map_err(|e| TlsError::handshake(&e))?;
        let session = stream.get_ref().1;
        let chain = session.peer_certificates().unwrap_or_default();
        let (first, others) = chain.split_first().ok_or(TlsError::NoCertificate)?;
        let certificate = Certificate::read(first).ok_or(TlsError::Unreadable)?;
        if let Some(version) = session.protocol_version() {
            steps.note(format!("* {version:?}"));
        }
        let lines = certificate.lines(others, look.now, look.zone);
        for line in &lines {
            steps.note(format!("* {line}"));
        }
        Ok(Shown { stream, certificate, lines, roots })
    }

    /// The second half of [`Tls::handshake`]: judges what was shown.
    ///
    /// # Errors
    /// The certificate does not verify, or is not good for as long as it must be.
    pub(crate) fn judge(
        &self,
        shown: &Shown,
        target: &Target,
        look: &Look<'_>,
    ) -> Result<(), TlsError> {
        let certificate = &shown.certificate;
        if let Some(roots) = &shown.roots {
            let chain = shown.stream.get_ref().1.peer_certificates().unwrap_or_default();
            let (first, others) = chain.split_first().ok_or(TlsError::NoCertificate)?;
            let target = self.name.as_ref().unwrap_or(target);
            roots
                .verify(first, others, &target.server_name(), look.now)
                .map_err(|error| TlsError::certificate(&error, certificate, target, look))?;
        }
        if self.days.too_few(certificate, look.now) {
            return Err(TlsError::expires(certificate, look));
        }
        Ok(())
    }
}

impl Verifier {
    /// The configuration that all checks share which offer nothing of their own.
    fn shared(self) -> &'static Arc<ClientConfig> {
        match self {
            Self::Strict => &STRICT,
            Self::Lenient => &LENIENT,
        }
    }
}

fn client(verifier: Verifier) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .expect("ring speaks the default versions of TLS")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    // A resumed session shows the certificate of the first one, and so would hide that it was changed.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
