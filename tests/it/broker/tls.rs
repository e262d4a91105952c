//! MQTT over TLS.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use fletchck::broker::{Listen, Memory, Settings};
use rumqttc::{AsyncClient, Event, Packet, TlsConfiguration, Transport};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::setup::{LIMIT, Site, anyone, loopback, options};

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_never_shake_hands_hold_nobody_up() -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| anyhow::anyhow!(error))?;
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let listen = vec![
        Listen { address: loopback(), tls: Some(Arc::new(server)) },
        Listen { address: loopback(), tls: None },
    ];
    let settings = Settings { listen, ..Settings::default() };
    let site = Site::with(settings, anyone()?, Arc::new(Memory::default())).await?;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(("127.0.0.1", site.port)).await?);
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    for port in site.broker.addresses().iter().map(|address| address.port()) {
        let mut options = options(port, "honest");
        if port == site.port {
            let tls = TlsConfiguration::Rustls(Arc::new(config.clone()));
            options.set_transport(Transport::Tls(tls));
        }
        let (_client, mut events) = AsyncClient::new(options, 10);
        let first = timeout(LIMIT / 4, events.poll()).await.context("held up")??;
        ensure!(matches!(first, Event::Incoming(Packet::ConnAck(_))), "{first:?}");
    }
    Ok(())
}
