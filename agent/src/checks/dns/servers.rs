//! The name servers that are asked: those of a host, or those of this machine.

use std::{net::SocketAddr, time::Duration};

use crate::checks::{
    Opt, Options,
    net::{Family, NetError, Reach, Steps, Target, name_servers},
};

/// The option `hostname`.
pub(super) const HOSTNAME: Opt = Opt::text(
    "hostname",
    "the name servers of this machine",
    "name, IPv4, IPv6 or hardware address of the name server",
);

/// Most servers that are asked, one after the other.
const MOST: usize = 8;

const PORT: u16 = 53;

/// Who is asked.
#[derive(Clone, Debug)]
pub(super) enum Servers {
    /// A host.
    Of(Reach),
    /// Whoever this machine asks itself, on this port.
    System { family: Family, port: u16, timeout: Duration },
}

impl Servers {
    /// Reads `hostname`, `port`, `timeout` and `ipVersion`. `timeout` is in seconds.
    pub(super) fn read(options: &mut Options<'_>, timeout: u32) -> Option<Self> {
        let named = options.given("hostname")
            && options.peek_text("hostname").is_none_or(|text| !text.trim().is_empty());
        if named {
            return Some(Self::Of(Reach::read(options, PORT, timeout)?));
        }
        let port = options.port("port").unwrap_or(PORT);
        let timeout = options.seconds("timeout", timeout);
        Some(Self::System { family: Family::read(options), port, timeout })
    }

    /// Time for all of it.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Of(reach) => reach.timeout,
            Self::System { timeout, .. } => *timeout,
        }
    }

    /// The servers as a sentence names them.
    pub(super) fn service(&self) -> String {
        match self {
            Self::Of(reach) => format!("DNS at {}", reach.place()),
            Self::System { .. } => "DNS of this machine".into(),
        }
    }

    /// What a line of the log begins with.
    pub(super) fn host(&self) -> String {
        match self {
            Self::Of(reach) => reach.target.to_string(),
            Self::System { .. } => "name servers of this machine".into(),
        }
    }

    /// Their addresses; the step `dns`, where a name is looked up. This machine may have none of the version asked for.
    pub(super) async fn addresses(&self, steps: &mut Steps) -> Result<Vec<SocketAddr>, NetError> {
        let mut addresses = match self {
            Self::Of(reach) => reach.addresses(steps).await?,
            Self::System { family, port, .. } => {
                let mut all = Vec::new();
                for server in name_servers() {
                    // With the interface that a link-local address needs.
                    let target = Target::parse(&server.to_string()).ok();
                    if let Some(target) = target {
                        all.extend(target.addresses(*port).await?);
                    }
                }
                let addresses = family.of(all);
                let listed: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
                steps.note(format!("* this machine asks {}", listed.join(", ")));
                addresses
            }
        };
        addresses.truncate(MOST);
        Ok(addresses)
    }
}
