//! Which certificates are trusted.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier, verify_server_name},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::{PROVIDER, TlsError};

/// Roots of the system, read when the first check needs them and shared by all. The environment's `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` come before the system's own places.
static SYSTEM: OnceCell<Arc<Roots>> = OnceCell::const_new();

/// Roots of files, each for as long as its file is the same.
static FILES: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

type Kept = HashMap<PathBuf, (Version, Arc<Roots>)>;

/// Tells two contents of one file apart: device, number, size and change of it.
pub(super) type Version = (u64, u64, u64, i64, i64);

/// Which certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Those that the system trusts.
    System,
    /// Those that a file with PEM certificates vouches for. A file that is another one counts at once.
    File(PathBuf),
    /// All of them; only their expiry counts.
    Any,
}

/// Certificates that others are trusted by.
#[derive(Debug)]
pub(super) struct Roots {
    store: Arc<RootCertStore>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// The roots, or `None` where every certificate is taken.
    pub(super) async fn roots(&self) -> Result<Option<Arc<Roots>>, TlsError> {
        match self {
            Self::Any => Ok(None),
            Self::System => {
                let load = || async { blocking(Roots::of_the_system).await.map(Arc::new) };
                SYSTEM.get_or_try_init(load).await.map(|roots| Some(Arc::clone(roots)))
            }
            Self::File(path) => {
                let path = path.clone();
                blocking(move || Roots::kept_of_file(&path)).await.map(Some)
            }
        }
    }
}

impl Roots {
    fn of_the_system() -> Result<Self, TlsError> {
        let loaded = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Some systems carry roots that nothing can use; the others count.
        store.add_parsable_certificates(loaded.certs);
        if store.is_empty() {
            let wrong = loaded.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
            return Err(TlsError::Roots(format!(
                "this system has no trusted certificates{wrong}: install ca-certificates"
            )));
        }
        Ok(Self::new(store))
    }

    fn kept_of_file(path: &Path) -> Result<Arc<Self>, TlsError> {
        let version = version(path)
            .map_err(|error| TlsError::Roots(format!("{}: {error}", path.display())))?;
        if let Some((of, roots)) = FILES.lock().get(path)
            && *of == version
        {
            return Ok(Arc::clone(roots));
        }
        let roots = Arc::new(Self::of_file(path)?);
        FILES.lock().insert(path.into(), (version, Arc::clone(&roots)));
        Ok(roots)
    }

    fn of_file(path: &Path) -> Result<Self, TlsError> {
        let wrong = |wrong: String| TlsError::Roots(format!("{}: {wrong}", path.display()));
        let mut store = RootCertStore::empty();
        for certificate in
            CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?
        {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            store.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(wrong("there is no PEM certificate in it".into()));
        }
        Ok(Self::new(store))
    }

    fn new(store: RootCertStore) -> Self {
        let store = Arc::new(store);
        let provider = Arc::clone(&PROVIDER);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), provider)
            .build()
            .expect("there is at least one root and no revocation list");
        Self { store, verifier }
    }

    /// Verifies a server's certificate.
    pub(super) fn verify(
        &self,
        first: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), rustls::Error> {
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let unix = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        match self.verifier.verify_server_cert(first, others, name, &[], unix) {
            Ok(_) => Ok(()),
            // The name is all that is left to see; the dates are judged by the caller.
            Err(_) if self.is_root(first) => {
                verify_server_name(&ParsedCertificate::try_from(first)?, name)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a certificate is itself one of the roots. What `openssl req -x509` makes is an authority (CA:TRUE) that
    /// signed itself, which rustls never takes from a server, although its owner may have told the system to trust it. That
    /// the server owns its key was proven in the handshake.
    fn is_root(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut own = RootCertStore::empty();
        own.add(certificate.clone().into_owned()).is_ok()
            && own.roots.first().is_some_and(|own| self.store.roots.contains(own))
    }
}

/// Which content a file has.
pub(super) fn version(path: &Path) -> io::Result<Version> {
    let about = fs::metadata(path)?;
    Ok((about.dev(), about.ino(), about.size(), about.mtime(), about.mtime_nsec()))
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, TlsError> + Send + 'static,
) -> Result<T, TlsError> {
    spawn_blocking(read).await.unwrap_or_else(|error| Err(TlsError::Roots(error.to_string())))
}
