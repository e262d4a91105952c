//! Whom the link trusts.

use std::{path::PathBuf, sync::Arc};

use fletchck_shared::config::Mqtt;
use parking_lot::Mutex;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::task::spawn_blocking;

use crate::pem::{self, PemError};

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of `mqtt.cafile` cannot be used.
    #[error("the certificates to trust (`mqtt.cafile`) cannot be used")]
    File(#[source] PemError),
    /// The text of `mqtt.ca` is no certificate.
    #[error("`mqtt.ca` has no certificate in PEM form")]
    Text,
    /// The system trusts nobody.
    #[error(
        "this system has no trusted certificates; install `ca-certificates`, or set `mqtt.cafile`"
    )]
    Empty,
    /// A version, a cipher or a certificate that the library cannot use.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
}

/// Whom to trust: the authorities of the configuration, else the system's. They are read when they are needed first and
/// kept; where they cannot be read, or a broker is not trusted with them, the next connection reads them anew.
#[derive(Debug)]
pub struct Trust {
    ca: Option<String>,
    ca_file: Option<PathBuf>,
    kept: Mutex<Option<Arc<ClientConfig>>>,
}

impl Trust {
    /// As the `mqtt` section says.
    pub fn new(mqtt: &Mqtt) -> Self {
        let Mqtt { ca, ca_file, .. } = mqtt;
        Self { ca: ca.clone(), ca_file: ca_file.clone(), kept: Mutex::default() }
    }

    /// The client's side of TLS.
    ///
    /// # Errors
    /// There is nobody to trust.
    pub(super) async fn config(self: &Arc<Self>) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(config) = &*self.kept.lock() {
            return Ok(config.clone());
        }
        let trust = self.clone();
        let read = spawn_blocking(move || trust.read()).await;
        let config = read.unwrap_or_else(|broke| {
            Err(TlsError::Library(rustls::Error::General(broke.to_string())))
        })?;
        *self.kept.lock() = Some(config.clone());
        Ok(config)
    }

    /// A broker was not trusted. The authorities may have been exchanged.
    pub(super) fn forget(&self) {
        *self.kept.lock() = None;
    }

    fn read(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut found = Vec::new();
        if let Some(text) = &self.ca {
            let certificates: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(text.as_bytes()).collect();
            found.extend(certificates.map_err(|_| TlsError::Text)?);
            if found.is_empty() {
                return Err(TlsError::Text);
            }
        }
        if let Some(path) = &self.ca_file {
            found.extend(pem::certificates(path).map_err(TlsError::File)?);
        }
        let mut roots = RootCertStore::empty();
        if self.ca.is_none() && self.ca_file.is_none() {
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::debug!(error = %error, "a certificate of the system cannot be read");
            }
            roots.add_parsable_certificates(system.certs);
        }
        for certificate in found {
            roots.add(certificate).map_err(TlsError::Library)?;
        }
        if roots.is_empty() {
            return Err(TlsError::Empty);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Library)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
