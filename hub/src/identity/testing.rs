//! Certificates in files, and whoever looks at them.

use std::{fs, sync::Arc};

use fletchck_agent::pem::PairFiles;
use rustls::{ClientConfig, ServerConfig, crypto::ring, pki_types::ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate and its key, in files.
pub(crate) struct Pair {
    folder: TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let pair = Self { folder: tempfile::tempdir().expect("a folder") };
        pair.write_new();
        pair
    }

    pub(crate) fn files(&self) -> PairFiles {
        let file = |name| self.folder.path().join(name);
        PairFiles { cert: file("cert"), key: file("key") }
    }

    pub(crate) fn remove(&self) {
        fs::remove_file(self.files().cert).expect("removed");
    }

    pub(crate) fn write_new(&self) {
        let made = generate();
        self.write("cert", &made.0);
        self.write("key", &made.1);
    }

    pub(crate) fn write_other_key(&self) {
        self.write("key", &generate().1);
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).expect("written");
    }
}

fn generate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The certificate that a client of this server sees.
pub(crate) async fn leaf(config: &Arc<ServerConfig>) -> Vec<u8> {
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(config.clone());
    let server = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    let seen = leaf_at(near).await;
    assert!(server.await.expect("no panic").is_err());
    seen
}

/// The certificate that is shown at the other end of a connection.
pub(crate) async fn leaf_at(stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
    // Whether it is trusted is another matter, so both ends may refuse after it was shown.
    let seen = Arc::new(seen::Seen::default());
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what they need")
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    assert!(TlsConnector::from(Arc::new(client)).connect(name, stream).await.is_err());
    seen.leaf()
}

/// A client that looks at the certificate and goes.
mod seen {
    use std::sync::{Mutex, PoisonError};

    use rustls::{
        DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug, Default)]
    pub(super) struct Seen(Mutex<Vec<u8>>);

    impl Seen {
        pub(super) fn leaf(&self) -> Vec<u8> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }
    }

    impl ServerCertVerifier for Seen {
        fn verify_server_cert(
            &self,
            leaf: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = leaf.to_vec();
            Err(Error::General("seen".into()))
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
        }
    }
}
