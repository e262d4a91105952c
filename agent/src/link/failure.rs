//! Why there is no connection, and what its owner can do about it.

use std::io;

use fletchck_shared::config::{Fault, Protocol};

/// Why a connection was not made, or ended. The text is for the log and for pages: what happened, then what to do where
/// that is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The name does not resolve.
    #[error("the name `{host}` does not resolve: {cause}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        cause: String,
    },
    /// No address of the broker takes the connection.
    #[error("no connection to {address}: {cause}")]
    Connect {
        /// Host and port.
        address: String,
        /// What the system says.
        cause: String,
        /// Whether nothing even left this machine.
        near: bool,
    },
    /// There is nobody to trust.
    #[error("{0}")]
    Trust(String),
    /// The broker's certificate is not trusted, or TLS failed otherwise.
    #[error("TLS with the broker failed: {0}")]
    Tls(String),
    /// The broker took the connection and said nothing in time.
    #[error("the broker took the connection and does not answer")]
    NoAnswer,
    /// The broker closed the connection instead of answering.
    #[error(
        "the broker closes the connection without an answer to MQTT {}: it may refuse the login, or the port may \
         speak TLS or not MQTT at all",
        version(*.0)
    )]
    ClosedUnanswered(Protocol),
    /// The broker does not know the version of MQTT.
    #[error("the broker does not speak MQTT {}; set `mqtt.protocol` to another version or leave it out", version(*.0))]
    Version(Protocol),
    /// User name or password are wrong.
    #[error("the broker refuses user name or password; check `mqtt.username` and `mqtt.password`")]
    Login,
    /// The user may not connect.
    #[error(
        "the broker does not authorise this user; check `mqtt.username` and the broker's access rules"
    )]
    NotAuthorised,
    /// The client id is not taken.
    #[error("the broker refuses the client id `{0}`; set another `mqtt.clientid`")]
    ClientId(String),
    /// The broker refuses for another reason.
    #[error("the broker refuses the connection: {0}")]
    Refused(String),
    /// Another connection with this client id took over.
    #[error(
        "another client with the id `{0}` connected; give each its own `agent.id` or `mqtt.clientid`"
    )]
    TakenOver(String),
    /// The broker ended the session and said why.
    #[error("the broker ended the session: {0}")]
    Ended(String),
    /// The broker takes no message now.
    #[error("the broker takes no more messages for now; its quota is exceeded")]
    Quota,
    /// The broker closed the connection and did not say why.
    #[error(
        "the broker closed the connection; if it does so again and again, another client has the id `{0}`"
    )]
    Closed(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// No answer to a ping.
    #[error("the broker is silent: no answer to a ping")]
    Silent,
    /// The broker sent what is not MQTT.
    #[error("the broker's answer is not MQTT: {0}")]
    Malformed(String),
}

impl Failure {
    /// Whether nothing left this machine, so that trying again soon costs nobody anything.
    pub(super) fn near(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Trust(_) => true,
            Self::Connect { near, .. } => *near,
            _ => false,
        }
    }

    /// The same as a fault of the configuration, where waiting does not mend it.
    pub fn fault(&self) -> Option<Fault> {
        let (path, right) = match self {
            Self::Trust(_) => {
                ("mqtt.cafile", "a PEM file with the certificate of the broker's authority")
            }
            Self::Tls(_) => {
                ("mqtt.tls", "a broker that is trusted here under the name in `mqtt.hostname`")
            }
            Self::Login => ("mqtt.password", "name and password of a user of that broker"),
            Self::NotAuthorised => ("mqtt.username", "a user who may connect to that broker"),
            Self::ClientId(_) => ("mqtt.clientid", "an id that this user may have there"),
            Self::Version(_) => ("mqtt.protocol", "a version that the broker speaks"),
            _ => return None,
        };
        Some(Fault::error(path, format!("there is no link to the broker: {self}"), right))
    }

    /// A refusal by its code in CONNACK.
    pub(super) fn refused(protocol: Protocol, code: u8, client_id: &str) -> Self {
        match (protocol, code) {
            (_, 0x01 | 0x84) => Self::Version(protocol),
            (Protocol::V311, 0x02) | (_, 0x85) => Self::ClientId(client_id.into()),
            (Protocol::V311, 0x04) | (_, 0x86 | 0x8c) => Self::Login,
            (Protocol::V311, 0x05) | (_, 0x87) => Self::NotAuthorised,
            (Protocol::V311, 0x03) | (_, 0x88) => Self::Refused("it is unavailable".into()),
            (_, code) => Self::Refused(reason(code)),
        }
    }

    /// The end of a session by its code in DISCONNECT.
    pub(super) fn ended(code: u8, client_id: &str) -> Self {
        match code {
            0x8e => Self::TakenOver(client_id.into()),
            0x87 => Self::NotAuthorised,
            code => Self::Ended(reason(code)),
        }
    }

    /// A connection that broke, by the system's error.
    pub(super) fn broken(error: &io::Error) -> Self {
        match tls(error) {
            Some(text) => Self::Tls(text),
            None => Self::Broken(error.to_string()),
        }
    }
}

/// What a TLS error means and what to do; `None` where the error is none of TLS.
pub(super) fn tls(error: &io::Error) -> Option<String> {
    use rustls::{CertificateError as Bad, Error};
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(bad) => match bad {
            // An authority with a trusted one's name and another key.
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is signed by an authority that is not trusted here; put that \
                                   authority's certificate into `mqtt.cafile`"
                    .into()
            }
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "its certificate has expired, or this machine's clock is wrong".into()
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or this machine's clock is wrong".into()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                format!("{error}; set `mqtt.hostname` to a name the certificate is made out to")
            }
            _ => error.to_string(),
        },
        Error::InvalidMessage(_) => {
            format!(
                "{error}; the port may not speak TLS, then leave `mqtt.tls` out or take another port"
            )
        }
        _ => error.to_string(),
    })
}

/// Reason codes of MQTT 5 (section 2.4 of its specification), in words.
pub(crate) fn reason(code: u8) -> String {
    let text = match code {
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x87 => "not authorised",
        0x89 => "it is busy",
        0x8a => "this client is banned",
        0x8b => "it is shutting down",
        0x8d => "it heard nothing for too long",
        0x8f => "bad topic filter",
        0x90 => "bad topic",
        0x93 => "too many messages at once",
        0x95 => "packet too large",
        0x96 => "too many messages in a short time",
        0x97 => "quota exceeded",
        0x98 => "an administrator's action",
        0x99 => "bad payload format",
        0x9a => "it keeps no messages",
        0x9b => "quality of service not supported",
        0x9c => "use another server",
        0x9d => "it has moved",
        0x9f => "too many connections in a short time",
        code => return format!("code {code:#04x}"),
    };
    text.into()
}

fn version(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V5 => "5",
        Protocol::V311 => "3.1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do_in_both_versions() {
        let login = Failure::refused(Protocol::V5, 0x86, "x");
        assert_eq!(login, Failure::refused(Protocol::V311, 4, "x"));
        assert!(login.to_string().contains("mqtt.password"));
        assert_eq!(Failure::refused(Protocol::V5, 1, "x"), Failure::Version(Protocol::V5));
        assert_eq!(Failure::ended(0x8e, "nas"), Failure::TakenOver("nas".into()));
        assert_eq!(
            Failure::refused(Protocol::V5, 0xee, "x").to_string(),
            "the broker refuses the connection: code 0xee"
        );
    }
}
