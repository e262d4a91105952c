//! What is demanded of a server's TLS: the options that all checks with TLS share.

use std::{path::PathBuf, sync::Arc};

use super::{Certificate, Offer, Trust};
use crate::checks::{
    Look, Opt, Options,
    net::{Days, Target},
};

/// The option `selfsigned`.
pub(crate) const SELFSIGNED: Opt = Opt::flag(
    "selfsigned",
    "false",
    "take any certificate, and watch only that it is good for the `days`",
);

/// The option `cafile`.
pub(crate) const CAFILE: Opt =
    Opt::file("cafile", "those of the system", "PEM file with the certificates to trust");

/// The option `serverName`.
pub(crate) const SERVER_NAME: Opt = Opt::text(
    "serverName",
    "the hostname",
    "name that is asked for in the handshake, and that the certificate must be for",
);

/// What is demanded of a server's TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(super) trust: Trust,
    /// For how long a certificate must still be good.
    pub(crate) days: Days,
    /// Who is asked for, where it is not the host.
    pub(super) name: Option<Target>,
    /// What the handshake offers, where it is more than the version of TLS.
    pub(super) offer: Option<Arc<Offer>>,
}

impl Tls {
    /// Reads `selfsigned`, `cafile`, `serverName`, `days` and `warn`.
    pub(crate) fn read(options: &mut Options<'_>) -> Self {
        let name =
            options.given("serverName").then(|| Target::read(options, "serverName")).flatten();
        let days = Days::read(options);
        Self { name, days, ..Self::trusting(options) }
    }

    /// Reads `selfsigned` and `cafile` alone: the certificate must be good, if only for a moment.
    pub(crate) fn trusting(options: &mut Options<'_>) -> Self {
        let any = options.flag("selfsigned", false);
        let file = options.text("cafile").filter(|file| !file.is_empty()).map(PathBuf::from);
        if any && file.is_some() {
            options.warning("cafile", "it does nothing beside `selfsigned`", "one of the two");
        }
        Self {
            trust: match file {
                _ if any => Trust::Any,
                Some(file) => Trust::File(file),
                None => Trust::System,
            },
            days: Days::default(),
            name: None,
            offer: None,
        }
    }

    /// Offers more in the handshake than the version of TLS.
    pub(crate) fn offering(mut self, offer: Offer) -> Self {
        self.offer = Some(Arc::new(offer));
        self
    }

    /// The same for another host: it shows its own name, and is shown nothing that is the first one's.
    pub(crate) fn elsewhere(&self) -> Self {
        let offer = self.offer.as_ref().map(|offer| Arc::new(offer.anonymous()));
        Self { name: None, offer, ..self.clone() }
    }

    /// Whether any certificate is taken, so that anybody may be at the other end.
    pub(crate) fn proves_nothing(&self) -> bool {
        self.trust == Trust::Any
    }

    /// Whether a certificate that is good is worth a look.
    pub(crate) fn warns(&self, certificate: &Certificate, look: &Look<'_>) -> bool {
        self.days.warns(certificate, look.now)
    }
}
