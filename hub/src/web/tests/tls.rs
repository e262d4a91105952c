//! The pages on a socket.

use std::{sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::client::{Site, view};
use crate::{
    identity::{Identity, testing::Pair},
    web::{Listen, Server},
};

fn anywhere() -> Listen {
    Listen { hostname: "127.0.0.1".into(), port: 0 }
}

async fn connect(pair: &Pair, server: std::net::SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from_pem_file(pair.files().cert).expect("a certificate");
    roots.add(cert).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has what they need")
        .with_root_certificates(roots)
        .with_no_client_auth();
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
    let identity = Arc::<Identity>::default();
    identity.renew(&pair.files()).await.expect("a pair");
    let server = Server::bind(&anywhere(), identity).await.expect("bound");
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
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let listen = Listen { port, ..anywhere() };
    let error = Server::bind(&listen, Arc::default()).await.expect_err("taken");
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port} for the pages"));
}
