//! Who a server of ours is: a certificate with its key, shown to whoever connects, and exchanged while nobody has to leave.

#[cfg(test)]
pub(crate) mod testing;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use fletchck_agent::pem::{PairFiles, PemError};
use rustls::{
    ServerConfig,
    crypto::ring,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{task::spawn_blocking, time::timeout};
use tracing::{info, warn};

/// Time for the files to be read.
const PATIENCE: Duration = Duration::from_secs(2);

/// A certificate with its key, or none yet.
#[derive(Debug, Default)]
pub struct Identity {
    shown: ArcSwapOption<CertifiedKey>,
    /// Whether it is one that was made because there was no other.
    made: AtomicBool,
}

impl Identity {
    /// Shows what is in these files now. What cannot be used changes nothing: of a pair that is being renewed, one file is
    /// written before the other.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub async fn renew(&self, files: &PairFiles) -> Result<(), PemError> {
        let wanted = files.clone();
        let failed = |source| Err(PemError::Read { path: files.cert.clone(), source });
        // A file system that hangs must not hold up whoever looks after this.
        let read = match timeout(PATIENCE, spawn_blocking(move || wanted.read())).await {
            Ok(Ok(read)) => read,
            Ok(Err(broke)) => failed(io::Error::other(broke)),
            Err(_) => failed(io::ErrorKind::TimedOut.into()),
        }?;
        let before = self.shown.load_full();
        if before.as_ref().is_none_or(|before| before.cert != read.cert) {
            self.shown.store(Some(Arc::new(read)));
            self.made.store(false, Ordering::Relaxed);
            if before.is_some() {
                info!(
                    "the certificate {} was renewed, and is shown from now on",
                    files.cert.display()
                );
            }
        }
        Ok(())
    }

    /// Makes a certificate for this run alone, unless there is one to show: a page that browsers warn of is better than none.
    ///
    /// # Errors
    /// There is no randomness, or the names are none.
    pub fn stand_in(&self) -> anyhow::Result<()> {
        if self.shown.load().is_some() {
            return Ok(());
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let names = ["localhost".to_owned(), host];
        let names: Vec<_> = names.into_iter().filter(|name| name.is_ascii()).collect();
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let chain = vec![made.cert.der().clone()];
        let pair = CertifiedKey::from_der(chain, key.into(), &ring::default_provider())
            .context("taking a certificate into use")?;
        self.shown.store(Some(Arc::new(pair)));
        self.made.store(true, Ordering::Relaxed);
        warn!(
            "the pages show a certificate that was made for this run alone; browsers will warn of it"
        );
        Ok(())
    }

    /// Whether it shows a certificate of its owner's.
    pub fn owned(&self) -> bool {
        self.shown.load().is_some() && !self.made.load(Ordering::Relaxed)
    }

    /// A server that shows it, and speaks these protocols (ALPN), best first.
    pub fn server(self: &Arc<Self>, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what the default versions need")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.shown.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{Pair, leaf},
        *,
    };

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_and_half_a_pair_is_not() {
        let (pair, identity) = (Pair::new(), Arc::<Identity>::default());
        let server = identity.server(&[]);
        identity.renew(&pair.files()).await.expect("a pair");
        let first = leaf(&server).await;
        pair.write_other_key();
        let error = identity.renew(&pair.files()).await.expect_err("half a pair");
        assert!(pair.files().blames_key(&error), "{error}");
        assert_eq!(leaf(&server).await, first);
        pair.write_new();
        identity.renew(&pair.files()).await.expect("a pair");
        assert_ne!(leaf(&server).await, first);
    }

    #[tokio::test]
    async fn a_certificate_of_this_run_stands_in_until_there_is_one() {
        let (pair, identity) = (Pair::new(), Arc::<Identity>::default());
        let server = identity.server(&[]);
        identity.stand_in().expect("made");
        let made = leaf(&server).await;
        identity.stand_in().expect("made before");
        assert_eq!(leaf(&server).await, made);
        assert!(!identity.owned());
        identity.renew(&pair.files()).await.expect("a pair");
        assert!(identity.owned());
        assert_ne!(leaf(&server).await, made);
        identity.stand_in().expect("not needed");
        assert!(identity.owned());
    }
}
