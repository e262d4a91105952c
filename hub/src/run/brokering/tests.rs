//! The broker as the configuration, its files and other programs change around it.

use std::{net::SocketAddr, path::Path};

use fletchck_agent::{config, service::Service};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::identity::testing::{Pair, leaf_at};

struct Hub {
    folder: tempfile::TempDir,
    service: Service,
    broker: Brokering,
    _heard: mpsc::Receiver<Heard>,
}

impl Hub {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let loaded = load(folder.path(), &json!([]));
        let service = Service::start(loaded, None).await.expect("started");
        let (tap, heard) = mpsc::channel(100);
        let broker = Brokering::new(service.store.clone(), tap, service.reach.clone());
        Self { folder, service, broker, _heard: heard }
    }

    /// Has these listeners, and answers with the faults in short.
    async fn listen(&mut self, listeners: &Value) -> Vec<String> {
        let site = load(self.folder.path(), listeners).site;
        let faults = self.broker.keep_to(&site, self.service.greeter()).await;
        faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.wrong)).collect()
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.broker.running.as_ref().map(|running| running.broker.addresses()).unwrap_or_default()
    }

    fn away(&self) -> Option<String> {
        self.service.reach.standing().borrow().away.clone()
    }
}

fn load(folder: &Path, listeners: &Value) -> config::Loaded {
    let path = folder.join("site.json");
    let site = json!({ "agent": { "id": "hub-1" }, "broker": { "listeners": listeners } });
    std::fs::write(&path, site.to_string()).expect("written");
    config::load(&path).expect("a configuration")
}

async fn leaf(address: SocketAddr) -> Vec<u8> {
    leaf_at(TcpStream::connect(address).await.expect("connected")).await
}

async fn taken(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).await.expect("free");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_without_a_reload_and_nobody_has_to_leave() {
    let (mut hub, pair) = (Hub::start().await, Pair::new());
    let files = pair.files();
    let listeners =
        json!([{ "listen": "127.0.0.1:0", "tls": true, "cert": files.cert, "key": files.key }]);
    assert!(hub.listen(&listeners).await.is_empty());
    let address = hub.addresses()[0];
    let first = leaf(address).await;
    let connected = TcpStream::connect(address).await.expect("connected");

    pair.write_other_key();
    let faults = hub.listen(&listeners).await;
    assert!(faults[0].starts_with("broker.listeners[0].key: "), "{faults:?}");
    assert!(faults[0].ends_with("the certificate before it is still shown"), "{faults:?}");
    assert_eq!(leaf(address).await, first);
    pair.write_new();
    assert!(hub.listen(&listeners).await.is_empty());
    assert_ne!(leaf(address).await, first);
    assert_eq!(hub.addresses(), [address]);
    // Who had connected before is still there, and is shown the certificate as it is now.
    assert_ne!(leaf_at(connected).await, first);
    assert_eq!(hub.away(), None);
    hub.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_lacks_its_certificate_is_opened_once_that_is_there() {
    let (mut hub, pair) = (Hub::start().await, Pair::new());
    let (files, text) = (pair.files(), std::fs::read(pair.files().cert).expect("there"));
    pair.remove();
    let listeners =
        json!([{ "listen": "127.0.0.1:0", "tls": true, "cert": files.cert, "key": files.key }]);
    let faults = hub.listen(&listeners).await;
    assert!(faults[0].starts_with("broker.listeners[0].cert: cannot read "), "{faults:?}");
    assert!(hub.addresses().is_empty());
    assert!(hub.away().is_some_and(|why| why.contains("cannot read")), "{:?}", hub.away());
    std::fs::write(&files.cert, text).expect("written");
    assert!(hub.listen(&listeners).await.is_empty());
    assert_eq!((hub.addresses().len(), hub.away()), (1, None));
    assert!(hub.listen(&json!([])).await.is_empty());
    assert!(hub.away().is_some_and(|why| why.contains("it has no `listeners`")));
    hub.broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_goes_over_to_another_address_or_stays_where_it_was() {
    let mut hub = Hub::start().await;
    let (elsewhere, port) = taken("127.0.0.2:0").await;
    let on = |address: &str| json!([{ "listen": format!("{address}:{port}") }]);
    assert!(hub.listen(&on("127.0.0.1")).await.is_empty());
    // All addresses have that port only if nobody else has one of them.
    for _ in 0..2 {
        let faults = hub.listen(&on("0.0.0.0")).await;
        assert!(faults[0].contains(&format!("0.0.0.0:{port} cannot be opened: ")), "{faults:?}");
        assert!(faults[1].contains("is open all the same"), "{faults:?}");
        assert_eq!(hub.addresses(), [SocketAddr::from(([127, 0, 0, 1], port))]);
        TcpStream::connect(("127.0.0.1", port)).await.expect("as before");
    }
    assert_eq!(hub.away(), None);
    drop(elsewhere);
    assert!(hub.listen(&on("0.0.0.0")).await.is_empty());
    assert_eq!(hub.addresses(), [SocketAddr::from(([0, 0, 0, 0], port))]);
    // And with TLS, and without again.
    let pair = Pair::new();
    let mut secure = on("0.0.0.0");
    secure[0]["tls"] = json!(true);
    secure[0]["cert"] = json!(pair.files().cert);
    secure[0]["key"] = json!(pair.files().key);
    assert!(hub.listen(&secure).await.is_empty());
    assert!(!leaf(([127, 0, 0, 1], port).into()).await.is_empty());
    assert!(hub.listen(&on("127.0.0.1")).await.is_empty());
    assert_eq!(hub.addresses(), [SocketAddr::from(([127, 0, 0, 1], port))]);
    hub.broker.stop().await;
}
