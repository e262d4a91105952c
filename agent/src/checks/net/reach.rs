//! Where a check of a network service goes: the options that all of them share.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use super::{NetError, Steps, Target, connect, resolve::ResolveError};
use crate::checks::{Opt, Options};

/// The option `hostname`.
pub(crate) const HOSTNAME: Opt =
    Opt::text("hostname", "required", "name, IPv4, IPv6 or hardware address of the server");

/// The option `ipVersion`.
pub(crate) const IP_VERSION: Opt = Opt::choice(
    "ipVersion",
    VERSIONS,
    "any",
    "which addresses of a name are used; with `prefer` the others come after them",
);

const VERSIONS: &[&str] = &["any", "ipv4", "ipv6", "prefer-ipv4", "prefer-ipv6"];

/// The option `timeout`.
pub(crate) const fn timeout(default: &'static str) -> Opt {
    Opt::seconds("timeout", default, "seconds for all of it, name lookup included")
}

/// Where a check goes, and how long all of it may take.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// The host.
    pub(crate) target: Target,
    /// The port.
    pub(crate) port: u16,
    /// Time for all of it, name lookup included.
    pub(crate) timeout: Duration,
    family: Family,
}

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Family {
    /// All, as they come.
    #[default]
    Any,
    /// IPv4 alone, or IPv6 alone.
    Only(Version),
    /// All, these first.
    Prefer(Version),
}

/// A version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// IPv4.
    Four,
    /// IPv6.
    Six,
}

impl Reach {
    /// Reads `hostname`, `port`, `timeout` and `ipVersion`. `timeout` is in seconds.
    pub(crate) fn read(options: &mut Options<'_>, port: u16, timeout: u32) -> Option<Self> {
        let target = Target::read(options, "hostname");
        let port = options.port("port").unwrap_or(port);
        Self::of(options, target, port, timeout)
    }

    /// Reads the rest, for a check that has its host and port from elsewhere.
    pub(crate) fn of(
        options: &mut Options<'_>,
        target: Option<Target>,
        port: u16,
        timeout: u32,
    ) -> Option<Self> {
        let timeout = options.seconds("timeout", timeout);
        let family = Family::read(options);
        Some(Self { target: target?, port, timeout, family })
    }

    /// The same to another host.
    pub(crate) fn to(&self, target: Target, port: u16) -> Self {
        Self { target, port, ..self.clone() }
    }

    /// The host and the port, as a sentence names them.
    pub(crate) fn place(&self) -> String {
        self.target.authority(Some(self.port))
    }

    /// Its addresses; the step `dns`.
    pub(crate) async fn addresses(&self, steps: &mut Steps) -> Result<Vec<SocketAddr>, NetError> {
        steps.begin("dns");
        let found = self.target.addresses(self.port).await?;
        let addresses = self.family.of(found);
        if addresses.is_empty() {
            return Err(
                ResolveError::NoAddressOf(self.target.to_string(), self.family.words()).into()
            );
        }
        steps.note(format!("* {} is {}", self.target, listed(&addresses)));
        Ok(addresses)
    }

    /// A connection; the steps `dns` and `connect`.
    pub(crate) async fn connect(&self, steps: &mut Steps) -> Result<TcpStream, NetError> {
        let addresses = self.addresses(steps).await?;
        steps.begin("connect");
        let stream = connect(&addresses).await?;
        if let Ok(peer) = stream.peer_addr() {
            steps.note(format!("* connected to {peer}"));
        }
        Ok(stream)
    }
}

impl Family {
    /// Reads `ipVersion`.
    pub(crate) fn read(options: &mut Options<'_>) -> Self {
        match options.choice("ipVersion", VERSIONS) {
            Some("ipv4") => Self::Only(Version::Four),
            Some("ipv6") => Self::Only(Version::Six),
            Some("prefer-ipv4") => Self::Prefer(Version::Four),
            Some("prefer-ipv6") => Self::Prefer(Version::Six),
            _ => Self::Any,
        }
    }

    /// Those of these addresses that are used, in this order.
    pub(crate) fn of(self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let is = |address: &SocketAddr, version| address.is_ipv6() == (version == Version::Six);
        match self {
            Self::Any => {}
            Self::Only(version) => addresses.retain(|address| is(address, version)),
            Self::Prefer(version) => addresses.sort_by_key(|address| !is(address, version)),
        }
        addresses
    }

    fn words(self) -> &'static str {
        match self {
            Self::Only(Version::Four) => "an IPv4 address",
            Self::Only(Version::Six) => "an IPv6 address",
            Self::Any | Self::Prefer(_) => "an address",
        }
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_kept_to_or_preferred() {
        let [a, b, c] = ["[::1]:1", "127.0.0.1:2", "[::1]:3"]
            .map(|text| text.parse::<SocketAddr>().expect(text));
        let of = |family: Family| family.of(vec![a, b, c]);
        assert_eq!(of(Family::Any), [a, b, c]);
        assert_eq!(of(Family::Only(Version::Four)), [b]);
        assert_eq!(of(Family::Only(Version::Six)), [a, c]);
        assert_eq!(of(Family::Prefer(Version::Four)), [b, a, c]);
    }
}
