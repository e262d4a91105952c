//! The certificate of a new site, and the authority that agents know it by.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    path::Path,
};

use anyhow::{Context, Result};
use chrono::{Datelike, NaiveDate, TimeDelta, Utc};
use fletchck_agent::config;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use sysinfo::Networks;

/// File of the certificate and the authority's behind it, and of its key; the names are the original's.
pub(super) const CERT: &str = "fletchck.cert";
pub(super) const KEY: &str = "fletchck.key";

/// File of the authority's certificate, and of its key. A new certificate made with it is trusted by the same agents.
pub(super) const CA_CERT: &str = "fletchck-ca.cert";
pub(super) const CA_KEY: &str = "fletchck-ca.key";

/// Nobody renews these, so they last longer than the machine.
const DAYS: i64 = 3650;

/// Makes a certificate for this machine in `folder`, with an authority of its own or the one that lies there. Gives back
/// the names it holds for.
pub(super) fn make(folder: &Path) -> Result<Vec<String>> {
    let today = Utc::now().date_naive();
    let authority_params = authority(today);
    let ca_key_file = folder.join(CA_KEY);
    let authority_key = match fs::read_to_string(&ca_key_file) {
        Ok(pem) if folder.join(CA_CERT).exists() => KeyPair::from_pem(&pem).with_context(|| {
            format!("reading {}; remove it to make a new one", ca_key_file.display())
        })?,
        _ => {
            let key = KeyPair::generate()?;
            let cert = authority_params.self_signed(&key)?;
            config::replace(&ca_key_file, key.serialize_pem().as_bytes())?;
            config::replace(&folder.join(CA_CERT), cert.pem().as_bytes())?;
            key
        }
    };
    let names = names();
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.clone())?;
    params.distinguished_name = name(&names[0]);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    lasts(&mut params, today);
    let cert = params.signed_by(&key, &Issuer::new(authority_params, authority_key))?;
    let authority = fs::read_to_string(folder.join(CA_CERT)).context("reading the authority")?;
    config::replace(&folder.join(KEY), key.serialize_pem().as_bytes())?;
    config::replace(&folder.join(CERT), (cert.pem() + &authority).as_bytes())?;
    Ok(names)
}

/// This machine's address as others most likely reach it. No packet is sent.
pub(super) fn own_address() -> Option<IpAddr> {
    let towards = |from: IpAddr, to: IpAddr| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
    };
    // Addresses that are reserved for documentation, so nobody has them.
    towards(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()).or_else(|| {
        let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        towards(Ipv6Addr::UNSPECIFIED.into(), documentation.into())
    })
}

/// The authority's name and rights. They are the same each time, so that its key alone is enough to go on with.
fn authority(today: NaiveDate) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("fletchck site authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, today);
    params
}

fn lasts(params: &mut CertificateParams, today: NaiveDate) {
    let date = |day: NaiveDate| date_time_ymd(day.year(), day.month() as u8, day.day() as u8);
    // From yesterday, for agents whose clocks are behind.
    params.not_before = date(today - TimeDelta::days(1));
    params.not_after = date(today + TimeDelta::days(DAYS));
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Every name that this machine may be called by: its host name first.
fn names() -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_name = !host.is_empty() && host.chars().all(plain);
    let mut names: Vec<String> = is_name.then_some(host).into_iter().collect();
    names.push("localhost".into());
    let networks = Networks::new_with_refreshed_list();
    let networks = networks.iter().flat_map(|networks| networks.values());
    let networks = networks.flat_map(|network| network.ip_networks());
    let mut addresses: BTreeSet<IpAddr> = networks.map(|network| network.addr).collect();
    addresses.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    addresses.extend(own_address());
    names.extend(addresses.iter().map(IpAddr::to_string));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, sync::Arc};

    use rustls::{
        ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    };

    use super::*;

    /// Lets both ends talk until they agree, and says whether they do.
    fn agree(client: &mut ClientConnection, server: &mut ServerConnection) -> bool {
        for _ in 0..10 {
            let (mut out, mut back) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut out).expect("memory");
            }
            let mut out = Cursor::new(out);
            while server.read_tls(&mut out).is_ok_and(|read| read > 0) {}
            _ = server.process_new_packets();
            while server.wants_write() {
                server.write_tls(&mut back).expect("memory");
            }
            let mut back = Cursor::new(back);
            while client.read_tls(&mut back).is_ok_and(|read| read > 0) {}
            if client.process_new_packets().is_err() {
                return false;
            }
        }
        !client.is_handshaking() && !server.is_handshaking()
    }

    /// A server with the certificate that lies in a folder.
    fn server(folder: &Path) -> ServerConnection {
        let chain = CertificateDer::pem_file_iter(folder.join(CERT)).expect("there");
        let chain = chain.collect::<Result<_, _>>().expect("PEM");
        let key = PrivateKeyDer::from_pem_file(folder.join(KEY)).expect("PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they fit");
        ServerConnection::new(Arc::new(config)).expect("a server")
    }

    #[test]
    fn an_agent_that_has_the_authority_trusts_the_hub_by_each_of_its_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = make(folder.path()).expect("made");
        let authority = folder.path().join(CA_CERT);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&authority).expect("PEM")).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let config = Arc::new(config);
        let trusts = |name: &str| {
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            let mut client = ClientConnection::new(config.clone(), name).expect("a client");
            agree(&mut client, &mut server(folder.path()))
        };
        assert!(names.len() >= 3, "{names:?}");
        for name in &names {
            assert!(trusts(name), "{name}");
        }
        assert!(!trusts("elsewhere.example.org"));

        // What the same authority makes later is trusted by those who know it from the first time.
        let before = fs::read(&authority).expect("there");
        make(folder.path()).expect("made again");
        assert_eq!(fs::read(&authority).expect("there"), before);
        assert!(trusts("localhost"));
    }
}
