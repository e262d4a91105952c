//! Whom the link trusts.

use std::{fs, io, path::PathBuf, sync::Arc};

use fletchck_shared::config::Mqtt;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of `mqtt.cafile` cannot be read.
    #[error("reading {}, the certificates to trust (`mqtt.cafile`)", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The text of `mqtt.cafile` or `mqtt.ca` is no PEM.
    #[error("{place} is no certificate in PEM form")]
    Pem {
        /// The file, or `mqtt.ca`.
        place: String,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in it.
    #[error("{0} has no certificate that could be trusted")]
    Empty(String),
    /// A version or cipher that the library does not have.
    #[error("TLS cannot be set up")]
    Library(#[source] rustls::Error),
}

/// The client's side of TLS: the configured authority's certificates, else the system's.
pub(super) fn client(mqtt: &Mqtt) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let place = match (&mqtt.ca, &mqtt.ca_file) {
        (Some(text), _) => {
            add(&mut roots, text.as_bytes(), "mqtt.ca")?;
            "mqtt.ca".to_owned()
        }
        (None, Some(path)) => {
            let bytes =
                fs::read(path).map_err(|source| TlsError::File { path: path.clone(), source })?;
            let place = path.display().to_string();
            add(&mut roots, &bytes, &place)?;
            place
        }
        (None, None) => {
            let system = rustls_native_certs::load_native_certs();
            for error in &system.errors {
                tracing::debug!(error = %error, "a certificate of the system cannot be read");
            }
            roots.add_parsable_certificates(system.certs);
            "the system's certificate store (install `ca-certificates`, or set `mqtt.cafile`)"
                .into()
        }
    };
    if roots.is_empty() {
        return Err(TlsError::Empty(place));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Library)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add(roots: &mut RootCertStore, bytes: &[u8], place: &str) -> Result<(), TlsError> {
    for certificate in CertificateDer::pem_slice_iter(bytes) {
        let certificate =
            certificate.map_err(|source| TlsError::Pem { place: place.into(), source })?;
        roots.add(certificate).map_err(TlsError::Library)?;
    }
    Ok(())
}
