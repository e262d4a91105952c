//! The pages on a socket.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::client::{Site, view};
use crate::web::{Listen, Server};

/// A certificate and its key, in files.
pub(crate) struct Pair {
    folder: TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        _ = rustls::crypto::ring::default_provider().install_default();
        let pair = Self { folder: tempfile::tempdir().expect("a folder") };
        pair.write_new();
        pair
    }

    pub(crate) fn listen(&self) -> Listen {
        let file = |name| self.folder.path().join(name);
        Listen { hostname: "127.0.0.1".into(), port: 0, cert: file("cert"), key: file("key") }
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
        let path = self.folder.path().join(name);
        let before = fs::metadata(&path).and_then(|file| file.modified());
        fs::write(&path, content).expect("written");
        // Coarse clocks of file systems do not tell two writes at once apart.
        let at = before.map_or(SystemTime::now(), |before| before + Duration::from_secs(1));
        fs::File::options().write(true).open(&path).expect("open").set_modified(at).expect("set");
    }
}

fn generate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The certificate that a client of this configuration sees.
pub(crate) async fn leaf(config: &Arc<ServerConfig>) -> Vec<u8> {
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(config.clone());
    let server = tokio::spawn(async move { acceptor.accept(far).await.map(drop) });
    // Whether it is trusted is another matter, so both ends may refuse after it was shown.
    let seen = Arc::new(seen::Seen::default());
    let client = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connected = TlsConnector::from(Arc::new(client)).connect(name, near).await;
    assert!(connected.is_err());
    assert!(server.await.expect("no panic").is_err());
    seen.leaf()
}

async fn connect(pair: &Pair, server: std::net::SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(pair.listen().cert).expect("a certificate");
    roots.add(cert).expect("a root");
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let socket = TcpStream::connect(server).await.expect("connected");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str, cookie: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    read(stream).await
}

async fn read(stream: &mut TlsStream<TcpStream>) -> String {
    let mut buffer = vec![0; 64 * 1024];
    let length = stream.read(&mut buffer).await.expect("read");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_handshake_that_hangs_holds_up_nobody_and_a_stop_ends_open_streams() {
    let (site, pair) = (Site::new(), Pair::new());
    site.board.put(view("a"));
    let cookie = site.admin().await.cookie.expect("a cookie");
    let server = Server::bind(pair.listen()).await.expect("bound");
    let address = server.address();
    let stop = site.state.stop();
    let running = tokio::spawn(server.run(site.state.clone(), stop.clone()));

    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.expect("connected"));
    }
    let mut stream = connect(&pair, address).await;
    let answer = ask(&mut stream, "/healthz", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(r#"{"status":"ok"}"#),
        "{answer}"
    );

    let events = format!("/events?since={}", site.state.stamp());
    let head = ask(&mut stream, &events, &cookie).await;
    assert!(head.contains("text/event-stream"), "{head}");
    site.board.put(view("b"));
    let event = read(&mut stream).await;
    assert!(event.contains("event: reload"), "{event}");

    stop.cancel();
    let ended = timeout(Duration::from_secs(4), running).await.expect("in time");
    ended.expect("no panic").expect("no error");
    drop(silent);
}

#[tokio::test]
async fn what_cannot_be_served_says_why() {
    let pair = Pair::new();
    let listen = pair.listen();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let error = Server::bind(Listen { port, ..listen.clone() }).await.expect_err("taken");
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port} for the pages"));
    let missing = Listen { cert: "/none/cert.pem".into(), ..listen };
    let error = Server::bind(missing).await.expect_err("missing");
    assert!(error.to_string().starts_with("cannot use the certificate /none/cert.pem"), "{error}");
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
