//! The ports of the embedded broker, kept to the configuration.

use std::{io, net::SocketAddr, sync::Arc};

use fletchck_agent::{chain, pem::PairFiles};
use fletchck_shared::config::{Broker as Section, Fault, Listener, Path, Severity, Web};
use tracing::info;

use crate::{
    broker::{Broker, Listen},
    identity::Identity,
};

/// The ports that are open.
#[derive(Default)]
pub(super) struct Ports {
    open: Vec<Port>,
}

struct Port {
    wanted: Wanted,
    address: SocketAddr,
    identity: Arc<Identity>,
}

/// A port as the configuration has it.
#[derive(Clone)]
struct Wanted {
    listen: SocketAddr,
    tls: Option<PairFiles>,
    path: Path,
}

impl Wanted {
    /// Whether it can be had by going on with this port: all but the certificate is the same.
    fn is(&self, open: &Port) -> bool {
        self.listen == open.wanted.listen && self.tls.is_some() == open.wanted.tls.is_some()
    }
}

impl Ports {
    /// Whether anyone can come in.
    pub(super) fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// Opens and closes ports as the configuration says, and takes certificates into use as they are now. What cannot be
    /// opened is told; as long as there is any of that, ports that are wanted no more stay open.
    pub(super) async fn keep_to(
        &mut self,
        broker: &Broker,
        section: &Section,
        page: Option<&Web>,
    ) -> Vec<Fault> {
        let (mut faults, mut new) = (Vec::new(), Vec::new());
        let mut surplus = std::mem::take(&mut self.open);
        for (index, listener) in section.listeners.iter().enumerate() {
            let path = Path::root().key("broker").key("listeners").index(index);
            let Some(wanted) = wanted(listener, page, path, &mut faults) else { continue };
            match surplus.iter().position(|open| wanted.is(open)) {
                Some(at) => {
                    let mut port = surplus.swap_remove(at);
                    port.wanted = wanted;
                    faults.extend(identify(&port.identity, &port.wanted).await);
                    self.open.push(port);
                }
                None => new.push(wanted),
            }
        }
        for wanted in new {
            let identity = Arc::default();
            let unfit = identify(&identity, &wanted).await;
            if unfit.is_some() {
                faults.extend(unfit);
                continue;
            }
            match open(broker, wanted, identity, &mut surplus).await {
                Ok(port) => self.open.push(port),
                Err(fault) => faults.push(fault),
            }
        }
        let failed = faults.iter().any(|fault| fault.severity == Severity::Error);
        for port in surplus {
            if failed {
                faults.push(stays(&port));
                self.open.push(port);
            } else {
                broker.close(port.address).await;
                info!(address = %port.address, "the broker listens no more at {}", port.address);
            }
        }
        faults
    }
}

fn wanted(
    listener: &Listener,
    page: Option<&Web>,
    path: Path,
    faults: &mut Vec<Fault>,
) -> Option<Wanted> {
    if !listener.tls {
        return Some(Wanted { listen: listener.listen, tls: None, path });
    }
    let cert = listener.cert.clone().or_else(|| page?.cert.clone());
    let key = listener.key.clone().or_else(|| page?.key.clone());
    match cert.zip(key) {
        Some((cert, key)) => {
            let tls = Some(PairFiles { cert, key });
            Some(Wanted { listen: listener.listen, tls, path })
        }
        None => {
            faults.push(Fault::error(
                path.key("cert").as_str(),
                "there is no certificate: neither here nor in `webui`",
                "`cert` and `key` with the paths of PEM files",
            ));
            None
        }
    }
}

/// What is to be said of a port that is wanted no more, while one that is wanted cannot be had.
fn stays(port: &Port) -> Fault {
    Fault::warning(
        Path::root().key("broker").key("listeners"),
        format!("{} is not among them any more, and is open all the same", port.address),
        "what can be opened; it is closed then",
    )
}

/// Has a port show its certificate as it is now.
async fn identify(identity: &Identity, wanted: &Wanted) -> Option<Fault> {
    let files = wanted.tls.as_ref()?;
    let reason = identity.renew(files).await.err()?;
    let key = if files.blames_key(&reason) { "key" } else { "cert" };
    let path = wanted.path.key(key);
    let why = chain(&reason);
    let right = "the path of a PEM file that can be read; it is looked at again by itself";
    Some(if identity.owned() {
        Fault::warning(path, format!("{why}; the certificate before it is still shown"), right)
    } else {
        let why = format!("{why}, so that nobody can report through {}", wanted.listen);
        Fault::error(path, why, right)
    })
}

/// Opens a port. If one that is wanted no more is in its way, that one goes, and comes back if it was not the reason.
async fn open(
    broker: &Broker,
    wanted: Wanted,
    identity: Arc<Identity>,
    surplus: &mut Vec<Port>,
) -> Result<Port, Fault> {
    let listen = |wanted: &Wanted, identity: &Arc<Identity>| Listen {
        address: wanted.listen,
        tls: wanted.tls.as_ref().map(|_| identity.server(&[])),
    };
    let mut opened = broker.open(listen(&wanted, &identity)).await;
    if let Err(reason) = &opened
        && reason.kind() == io::ErrorKind::AddrInUse
        && let Some(at) =
            surplus.iter().position(|open| open.address.port() == wanted.listen.port())
    {
        let mut old = surplus.swap_remove(at);
        broker.close(old.address).await;
        opened = broker.open(listen(&wanted, &identity)).await;
        if opened.is_err()
            && let Ok(address) = broker.open(listen(&old.wanted, &old.identity)).await
        {
            old.address = address;
            surplus.push(old);
        }
    }
    match opened {
        Ok(address) => {
            let scheme = if wanted.tls.is_some() { "mqtts" } else { "mqtt" };
            info!(address = %address, "the broker listens at {scheme}://{address}");
            Ok(Port { wanted, address, identity })
        }
        Err(reason) => Err(Fault::error(
            wanted.path.key("listen"),
            format!("{} cannot be opened: {reason}", wanted.listen),
            "an address of this machine with a port that nobody else has; it is tried again by itself",
        )),
    }
}
