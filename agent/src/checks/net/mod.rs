//! What the checks of network services share: from a host name in the options to an encrypted stream, one file for
//! each step. Every step can fail in plain words.

mod certificate;
mod connect;
mod days;
mod lines;
mod reach;
mod resolve;
mod steps;
mod talk;
mod target;
mod tls;

use std::io;

pub(super) use certificate::Certificate;
pub(super) use connect::connect;
pub(super) use days::{DAYS, Days, WARN_DAYS, days_until, level};
pub(super) use lines::{LineError, Lines, told};
pub(super) use reach::{Family, HOSTNAME, IP_VERSION, Reach, timeout};
pub(super) use resolve::name_servers;
pub(super) use steps::Steps;
pub(super) use talk::{GRACE, Talk, TalkError, broken_off, converse, failed};
pub(super) use target::Target;
pub(super) use tls::{
    CAFILE, CLIENT_CERT, CLIENT_KEY, Encrypted, IdentityFiles, Offer, SELFSIGNED, SERVER_NAME, Tls,
};

/// Why a network service could not be spoken to.
#[derive(Debug, thiserror::Error)]
pub(super) enum NetError {
    /// There is no address for it.
    #[error(transparent)]
    Resolve(#[from] resolve::ResolveError),
    /// No address takes connections.
    #[error(transparent)]
    Connect(#[from] connect::ConnectError),
    /// It speaks no TLS, or its certificate is not good.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

impl NetError {
    /// Name of a failure that further tries cannot mend.
    pub(super) fn soft_fail(&self) -> Option<&'static str> {
        match self {
            Self::Tls(error) if error.is_certificate() => Some("certificate"),
            _ => None,
        }
    }
}

/// What an I/O error says, without its number.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset => "connection reset by the other side".into(),
        io::ErrorKind::UnexpectedEof => "connection closed by the other side".into(),
        _ => {
            let text = error.to_string();
            let number = text.find(" (os error");
            text[..number.unwrap_or(text.len())].to_lowercase()
        }
    }
}
