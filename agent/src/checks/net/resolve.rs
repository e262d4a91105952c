//! Host names to addresses, by the hosts file and the name servers of this machine.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    Resolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf,
};

/// Longest wait for one answer of one name server, so that a second one is asked within the limit of most checks.
const ONE_ANSWER: Duration = Duration::from_secs(3);

/// Why there is no address for a host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    /// Name servers know that it does not exist.
    #[error("there is no host named {0}: the name servers do not know it")]
    NoSuchName(String),
    /// The name exists, for something else.
    #[error("the name {0} has no address")]
    NoAddress(String),
    /// It has none of the version that is asked for.
    #[error("the name {0} does not have {1}")]
    NoAddressOf(String, &'static str),
    /// Nothing was heard of any name server.
    #[error("no address for {0}: the name servers do not answer")]
    Silent(String),
    /// The name servers answered with a failure of their own.
    #[error("no address for {name}: {wrong}")]
    Failed {
        /// Name looked up.
        name: String,
        /// What the resolver says.
        wrong: String,
    },
    /// The scope of a link-local address is no interface.
    #[error("there is no interface {0} on this machine")]
    NoInterface(String),
}

/// Addresses of a name, as the system would look it up: hosts file, search domains, name servers. The resolver is made
/// anew each time, so that a change of the network counts at once and no answer is one that was kept.
pub(crate) async fn addresses(name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    let builder = match Resolver::builder_tokio() {
        Ok(builder) => builder,
        // Without a resolv.conf there is a name server on this machine, or none (resolv.conf(5)).
        Err(_) => {
            let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    lookup(name, builder).await
}

/// The name servers of this machine, in the order it asks them, read anew each time.
pub(crate) fn name_servers() -> Vec<IpAddr> {
    match system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().iter().map(|server| server.ip).collect(),
        // Without a resolv.conf it is this machine itself, or nobody (resolv.conf(5)).
        Err(_) => vec![Ipv4Addr::LOCALHOST.into()],
    }
}

type Builder = hickory_resolver::ResolverBuilder<TokioRuntimeProvider>;

async fn lookup(name: &str, mut builder: Builder) -> Result<Vec<IpAddr>, ResolveError> {
    let options = builder.options_mut();
    options.timeout = options.timeout.min(ONE_ANSWER);
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.use_hosts_file = ResolveHosts::Always;
    let found = match builder.build() {
        Ok(resolver) => resolver.lookup_ip(name).await,
        Err(error) => Err(error),
    };
    let addresses: Vec<IpAddr> = found.map_err(|error| wrong(name, &error))?.iter().collect();
    if addresses.is_empty() {
        return Err(ResolveError::NoAddress(name.into()));
    }
    Ok(addresses)
}

fn wrong(name: &str, error: &NetError) -> ResolveError {
    let name = name.to_owned();
    if error.is_nx_domain() {
        ResolveError::NoSuchName(name)
    } else if error.is_no_records_found() {
        ResolveError::NoAddress(name)
    } else if matches!(error, NetError::Timeout) {
        ResolveError::Silent(name)
    } else {
        ResolveError::Failed { name, wrong: error.to_string() }
    }
}

/// Number of an interface, given by number or name.
pub(crate) async fn interface(address: Ipv6Addr, scope: &str) -> Result<u32, ResolveError> {
    if let Ok(number) = scope.parse() {
        return Ok(number);
    }
    // The system reads a literal with a scope without asking any name server.
    let found: io::Result<Vec<SocketAddr>> =
        tokio::net::lookup_host(format!("{address}%{scope}:0")).await.map(Iterator::collect);
    match found.as_deref() {
        Ok([SocketAddr::V6(found), ..]) => Ok(found.scope_id()),
        _ => Err(ResolveError::NoInterface(scope.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_needs_no_name_server() {
        let addresses = addresses("localhost").await.expect("localhost");
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
    }

    #[tokio::test]
    async fn an_interface_goes_by_number_or_name() {
        let link_local: Ipv6Addr = "fe80::1".parse().expect("an address");
        assert_eq!(interface(link_local, "2").await.expect("a number"), 2);
        assert_eq!(interface(link_local, "lo").await.expect("the loopback"), 1);
        let error = interface(link_local, "nosuch0").await.expect_err("no interface");
        assert_eq!(error.to_string(), "there is no interface nosuch0 on this machine");
    }

    #[tokio::test]
    async fn a_silent_name_server_is_told_as_such() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        server.connections[0].port = silent.local_addr().expect("its address").port();
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.options_mut().timeout = Duration::from_millis(50);
        builder.options_mut().attempts = 0;
        let error = lookup("host.example", builder).await.expect_err("no answer");
        assert!(matches!(error, ResolveError::Silent(_)), "{error}");
    }
}
