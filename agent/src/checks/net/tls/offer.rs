//! What a handshake offers beside the version of TLS: protocols above it, and who asks.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::task::spawn_blocking;

use super::{
    TlsError, client, finish,
    trust::{Version, version},
    verifier::Verifier,
};
use crate::checks::{Opt, Options};

/// The option `clientCert`.
pub(crate) const CLIENT_CERT: Opt =
    Opt::file("clientCert", "none", "PEM file with the certificate to show to the server");

/// The option `clientKey`.
pub(crate) const CLIENT_KEY: Opt =
    Opt::file("clientKey", "in the file of `clientCert`", "PEM file with its key");

/// Longest file of a certificate or key that is read.
const FILE_BYTES: u64 = 1024 * 1024;

/// What a handshake offers.
#[derive(Debug)]
pub(crate) struct Offer {
    protocols: &'static [&'static [u8]],
    identity: Option<IdentityFiles>,
    /// What was made of them, for as long as the files are the same.
    made: Mutex<Option<Made>>,
}

/// A client's certificate and its key, in files that may be renewed at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// A configuration, and the files it was made from.
#[derive(Clone, Debug)]
struct Made {
    verifier: Verifier,
    files: Option<(Version, Version)>,
    config: Arc<ClientConfig>,
}

impl IdentityFiles {
    /// Reads `clientCert` and `clientKey`.
    pub(crate) fn read(options: &mut Options<'_>) -> Option<Self> {
        let given = |text: &&str| !text.is_empty();
        let certificate = options.text("clientCert").filter(given);
        let key = options.text("clientKey").filter(given);
        let Some(certificate) = certificate else {
            if key.is_some() {
                options.fault("clientCert", "it is missing", "the certificate of `clientKey`");
            }
            return None;
        };
        Some(Self { certificate: certificate.into(), key: key.unwrap_or(certificate).into() })
    }

    fn versions(&self) -> Result<(Version, Version), TlsError> {
        let of = |path: &Path| version(path).map_err(|error| wrong(path, &error));
        Ok((of(&self.certificate)?, of(&self.key)?))
    }

    fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let text = small(&self.certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| unusable(&self.certificate, &error.to_string()))?;
        if chain.is_empty() {
            return Err(unusable(&self.certificate, "there is no PEM certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&small(&self.key)?);
        // What the error of a key says could be a part of it.
        Ok((chain, key.map_err(|_| unusable(&self.key, "there is no PEM key in it"))?))
    }
}

impl Offer {
    /// Offers these protocols (ALPN), best first, and this certificate where the server asks for one.
    pub(crate) fn new(
        protocols: &'static [&'static [u8]],
        identity: Option<IdentityFiles>,
    ) -> Self {
        Self { protocols, identity, made: Mutex::default() }
    }

    /// The same without the certificate.
    pub(super) fn anonymous(&self) -> Self {
        Self::new(self.protocols, None)
    }

    /// The configuration for a handshake, with the files as they are now.
    pub(super) async fn config(
        self: &Arc<Self>,
        verifier: Verifier,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        if self.identity.is_none() {
            return self.make(verifier);
        }
        // A disk can hang.
        let this = Arc::clone(self);
        let made = spawn_blocking(move || this.make(verifier));
        made.await.unwrap_or_else(|error| Err(TlsError::Identity(error.to_string())))
    }

    fn make(&self, verifier: Verifier) -> Result<Arc<ClientConfig>, TlsError> {
        let files = self.identity.as_ref().map(IdentityFiles::versions).transpose()?;
        if let Some(made) = &*self.made.lock()
            && (made.verifier, made.files) == (verifier, files)
        {
            return Ok(Arc::clone(&made.config));
        }
        let builder = client(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.load()?;
                let fits = builder.with_client_auth_cert(chain, key);
                fits.map_err(|error| unusable(&identity.key, &error.to_string()))?
            }
        };
        config.alpn_protocols = self.protocols.iter().map(|name| name.to_vec()).collect();
        let config = finish(config);
        *self.made.lock() = Some(Made { verifier, files, config: Arc::clone(&config) });
        Ok(config)
    }
}

fn small(path: &Path) -> Result<Vec<u8>, TlsError> {
    let about = fs::metadata(path).map_err(|error| wrong(path, &error))?;
    if !about.is_file() || about.len() > FILE_BYTES {
        return Err(unusable(path, "it is no file of at most 1 MiB"));
    }
    fs::read(path).map_err(|error| wrong(path, &error))
}

fn wrong(path: &Path, error: &io::Error) -> TlsError {
    unusable(path, &super::super::io_words(error))
}

fn unusable(path: &Path, words: &str) -> TlsError {
    TlsError::Identity(format!("{}: {words}", path.display()))
}
