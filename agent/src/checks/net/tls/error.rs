//! Why TLS failed, in words that say what to do.

use std::io::{self, ErrorKind};

use chrono::{DateTime, Utc};
use fletchck_shared::time;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::checks::{
    Look,
    net::{Certificate, Target, io_words},
};

/// Why TLS failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// Both sides found no common TLS.
    #[error("TLS failed: {0}")]
    Handshake(String),
    /// What this machine trusts could not be read.
    #[error("no certificate can be verified: {0}")]
    Roots(String),
    /// The client certificate that the server is to be shown cannot be used.
    #[error("the client certificate cannot be used: {0}")]
    Identity(String),
    /// There was nothing to judge.
    #[error("the server showed no certificate")]
    NoCertificate,
    /// What it showed is no certificate.
    #[error("the server's certificate cannot be read")]
    Unreadable,
    /// The certificate is not good: a whole sentence.
    #[error("{0}")]
    Certificate(String),
}

impl TlsError {
    /// Whether the certificate is at fault, which trying again does not mend.
    pub(crate) fn is_certificate(&self) -> bool {
        matches!(self, Self::NoCertificate | Self::Unreadable | Self::Certificate(_))
    }

    /// A handshake that did not come to its end.
    pub(super) fn handshake(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let words = match tls {
            // Some hang up on whoever speaks nothing as old as they do, and give no reason.
            None if matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ) =>
            {
                format!(
                    "{} during the handshake: does the server know TLS 1.2 or newer?",
                    io_words(error)
                )
            }
            None => format!("{} during the handshake", io_words(error)),
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                "what answers there is no TLS (is it the port of the service without?)".into()
            }
            Some(Error::InvalidMessage(wrong)) => {
                format!("what answers there is no TLS ({wrong:?})")
            }
            Some(Error::AlertReceived(
                AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
            )) => "the server offers nothing newer than TLS 1.1, or no cipher that is still safe"
                .into(),
            Some(Error::AlertReceived(AlertDescription::UnrecognisedName)) => {
                "the server does not serve this name".into()
            }
            Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                "the server does not speak the protocol that was asked for over TLS (HTTP/2?)"
                    .into()
            }
            Some(Error::AlertReceived(alert)) => format!("the server refused it ({alert:?})"),
            Some(Error::PeerIncompatible(wrong)) => {
                format!("the server offers no TLS that is still safe ({wrong:?})")
            }
            Some(other) => other.to_string(),
        };
        Self::Handshake(words)
    }

    /// A certificate that does not verify.
    pub(super) fn certificate(
        error: &Error,
        certificate: &Certificate,
        target: &Target,
        look: &Look<'_>,
    ) -> Self {
        let date = |at: DateTime<Utc>| time::people(at, look.zone);
        let Error::InvalidCertificate(error) = error else {
            return Self::Certificate(format!("the certificate does not verify: {error}"));
        };
        let words = match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                if certificate.not_after >= look.now {
                    "a certificate between it and its root has expired: the server should send new ones".into()
                } else {
                    return Self::expires(certificate, look);
                }
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
                "the certificate is not valid before {}; is this machine's clock right?",
                date(certificate.not_before)
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the certificate is for {}, not for {target}", certificate.told_names())
            }
            _ if certificate.self_signed => self_signed(certificate),
            CertificateError::UnknownIssuer => format!(
                "the certificate is signed by {}, which this machine does not trust: does the server send \
                 its intermediate certificates? Trust a private authority with `cafile`",
                certificate.issuer
            ),
            CertificateError::BadSignature => format!(
                "the certificate is signed by {}, though not with the key that this machine trusts by that name: \
                 was the authority made anew?",
                certificate.issuer
            ),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "the certificate is not made for servers".into()
            }
            CertificateError::Revoked => "the certificate is revoked".into(),
            other => format!("the certificate does not verify: {other}"),
        };
        Self::Certificate(words)
    }

    /// A certificate that has expired, or will within days.
    pub(super) fn expires(certificate: &Certificate, look: &Look<'_>) -> Self {
        Self::Certificate(format!("the certificate {}", certificate.end(look.now, look.zone)))
    }
}

fn self_signed(certificate: &Certificate) -> String {
    let kind =
        if certificate.authority { " (it is an authority, CA:TRUE, of its own)" } else { "" };
    format!(
        "the certificate is self-signed{kind} and nobody vouches for it: trust it with `cafile`, or set `selfsigned` \
         to watch only its expiry"
    )
}
