//! The host of a check: a name, an address, or a hardware address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use hickory_resolver::proto::rr::Name;
use rustls::pki_types::{DnsName, ServerName};

use super::resolve::{self, ResolveError};
use crate::checks::Options;

/// Interface of a link-local address that names none: the second, as the first is the loopback.
const DEFAULT_SCOPE: &str = "2";

/// The host of a check, as its owner wrote it and as what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    text: String,
    host: Host,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// A name in ASCII. With a dot at its end it is looked up as it is, without search domains.
    Name(String),
    Address(IpAddr),
    /// A link-local address and its interface, by number or name.
    Scoped(Ipv6Addr, String),
}

/// Why a text is no host.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("it is a URL")]
    Url,
    #[error("it names a port")]
    Port,
    #[error("{0:?} is no host name")]
    Name(String),
    #[error("{0:?} is no IPv6 address")]
    Address(String),
}

impl Target {
    /// Reads the host from an option that must be there.
    pub(crate) fn read(options: &mut Options<'_>, name: &'static str) -> Option<Self> {
        let text = options.required_text(name)?;
        match Self::parse(text) {
            Ok(target) => Some(target),
            Err(error) => {
                let right = match error {
                    TargetError::Url => "the host alone, as in `www.example.org`",
                    TargetError::Port => "the host alone; the port has an option of its own",
                    TargetError::Name(_) | TargetError::Address(_) => {
                        "a name, an IPv4, IPv6 or hardware address"
                    }
                };
                options.fault(name, error.to_string(), right);
                None
            }
        }
    }

    /// Reads a name, an IPv4 or IPv6 address, or a hardware address, which stands for the link-local address made of
    /// it (EUI-64, RFC 4291 appendix A).
    pub(crate) fn parse(text: &str) -> Result<Self, TargetError> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let host = if let Ok(address) = bare.parse::<Ipv4Addr>() {
            Host::Address(address.into())
        } else if let Some(address) = hardware(bare) {
            Host::Scoped(address, DEFAULT_SCOPE.into())
        } else if bare.contains("://") {
            return Err(TargetError::Url);
        } else if bare.matches(':').count() > 1 || bare.contains('%') {
            six(bare)?
        } else if bare.contains(':') {
            return Err(TargetError::Port);
        } else {
            Host::Name(ascii_name(bare).ok_or_else(|| TargetError::Name(bare.into()))?)
        };
        Ok(Self { text: bare.into(), host })
    }

    /// Its addresses, best first. A name is looked up each time.
    pub(crate) async fn addresses(&self, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
        Ok(match &self.host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Scoped(address, scope) => {
                let scope = resolve::interface(*address, scope).await?;
                vec![SocketAddrV6::new(*address, port, 0, scope).into()]
            }
            Host::Name(name) => {
                let addresses = resolve::addresses(name).await?;
                addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
            }
        })
    }

    /// The name a certificate must be for.
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        match &self.host {
            Host::Address(address) => ServerName::from(*address),
            Host::Scoped(address, _) => ServerName::from(IpAddr::V6(*address)),
            Host::Name(name) => DnsName::try_from(name.trim_end_matches('.').to_owned())
                .map(ServerName::DnsName)
                .expect("the name was found good when it was read"),
        }
    }

    /// Host and port as URLs have them; a zone of this machine means nothing to the other side (RFC 6874).
    pub(crate) fn authority(&self, port: Option<u16>) -> String {
        let host = match &self.host {
            Host::Address(IpAddr::V6(address)) | Host::Scoped(address, _) => format!("[{address}]"),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Name(name) => name.trim_end_matches('.').into(),
        };
        port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
    }
}

/// As its owner wrote it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn six(text: &str) -> Result<Host, TargetError> {
    let (address, scope) = match text.split_once('%') {
        Some((address, scope)) => (address, Some(scope)),
        None => (text, None),
    };
    let wrong = || TargetError::Address(text.into());
    let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
    let plain = |scope: &str| {
        !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'%')
    };
    match scope {
        Some(scope) if plain(scope) => Ok(Host::Scoped(address, scope.into())),
        Some(_) => Err(wrong()),
        None if address.is_unicast_link_local() => Ok(Host::Scoped(address, DEFAULT_SCOPE.into())),
        None => Ok(Host::Address(address.into())),
    }
}

/// The link-local address of a hardware address: `ff:fe` in its middle, and the universal/local bit flipped.
fn hardware(text: &str) -> Option<Ipv6Addr> {
    let mut bytes = [0_u8; 6];
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut parts = text.split(separator);
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    if parts.next().is_some() || text.contains('+') {
        return None;
    }
    let [a, b, c, d, e, f] = bytes;
    let mut address = [0_u8; 16];
    address[..2].copy_from_slice(&[0xfe, 0x80]);
    address[8..].copy_from_slice(&[a ^ 0x02, b, c, 0xff, 0xfe, d, e, f]);
    Some(address.into())
}

/// A host name in ASCII: letters beyond it become punycode.
fn ascii_name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        return None;
    }
    // The rules for names beyond ASCII allow no underscore, which many machines have.
    let name = if text.is_ascii() { Name::from_ascii(text) } else { Name::from_utf8(text) };
    let name = name.ok()?.to_ascii();
    DnsName::try_from(name.trim_end_matches('.')).ok().map(|_| name.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> Host {
        Target::parse(text).expect(text).host
    }

    fn scoped(address: &str, scope: &str) -> Host {
        Host::Scoped(address.parse().expect(address), scope.into())
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for name in ["localhost", "www.example.org", "a_b.example.", "nas-1"] {
            assert_eq!(host(name), Host::Name(name.into()), "{name}");
        }
        assert_eq!(host("bücher.example"), Host::Name("xn--bcher-kva.example".into()));
        assert_eq!(host("192.0.2.1"), Host::Address(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(host("::1"), Host::Address(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(host("[2001:db8::1]"), Host::Address("2001:db8::1".parse().expect("v6")));
        assert_eq!(host("fe80::1%eth0"), scoped("fe80::1", "eth0"));
        assert_eq!(host("fe80::1"), scoped("fe80::1", "2"));
    }

    #[test]
    fn a_hardware_address_has_its_local_bit_flipped() {
        assert_eq!(host("aa:bb:cc:dd:ee:ff"), scoped("fe80::a8bb:ccff:fedd:eeff", "2"));
        assert_eq!(host("00-11-22-33-44-55"), scoped("fe80::211:22ff:fe33:4455", "2"));
    }

    #[test]
    fn other_texts_are_told_apart() {
        for (text, error) in [
            ("https://example.org/", TargetError::Url),
            ("example.org:8443", TargetError::Port),
            ("example org", TargetError::Name("example org".into())),
            ("a..b", TargetError::Name("a..b".into())),
            ("-", TargetError::Name("-".into())),
            ("fe80::1%", TargetError::Address("fe80::1%".into())),
            ("1:2:3", TargetError::Address("1:2:3".into())),
            ("aa:bb:cc:dd:ee", TargetError::Address("aa:bb:cc:dd:ee".into())),
        ] {
            assert_eq!(Target::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_authority_has_brackets_and_no_zone() {
        let authority = |text: &str| Target::parse(text).expect(text).authority(Some(8443));
        assert_eq!(authority("fe80::1%eth0"), "[fe80::1]:8443");
        assert_eq!(authority("example.org."), "example.org:8443");
        assert_eq!(Target::parse("::1").expect("v6").authority(None), "[::1]");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,40}|[a-zA-Z0-9.:%_-]{0,300}") {
            if let Ok(target) = Target::parse(&text) {
                target.server_name();
                target.authority(Some(1));
            }
        }
    }
}
