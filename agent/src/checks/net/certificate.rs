//! What a server's certificate says of itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Utc};
use fletchck_shared::Tz;
use fletchck_shared::time;
use rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::days::days_until;

/// Most certificates of a chain that are told of.
const CHAIN: usize = 8;

/// Most names of a certificate that are told in a sentence.
const NAMES: usize = 6;

/// What a server's certificate says of itself. Nothing of it is proven.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    /// Whose it is.
    pub(crate) subject: String,
    /// Who signed it.
    pub(crate) issuer: String,
    /// Host names and addresses it is for.
    pub(crate) names: Vec<String>,
    /// Good from here on.
    pub(crate) not_before: DateTime<Utc>,
    /// Good until here.
    pub(crate) not_after: DateTime<Utc>,
    /// Whether its owner signed it.
    pub(crate) self_signed: bool,
    /// Whether it may sign others.
    pub(crate) authority: bool,
}

impl Certificate {
    /// Reads a certificate. `None` for bytes that are none, and for times beyond the calendar.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let validity = certificate.validity();
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        Some(Self {
            subject: plain(&certificate.subject().to_string()),
            issuer: plain(&certificate.issuer().to_string()),
            names: names(&certificate),
            not_before: at(validity.not_before.timestamp())?,
            not_after: at(validity.not_after.timestamp())?,
            self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            authority: certificate.is_ca(),
        })
    }

    /// What it says of itself and of those that sign for it, for a log.
    pub(crate) fn lines(
        &self,
        others: &[CertificateDer<'_>],
        now: DateTime<Utc>,
        zone: Tz,
    ) -> Vec<String> {
        let mut lines = vec![
            format!(
                "certificate for {}",
                if self.names.is_empty() { "no name".into() } else { self.names.join(", ") }
            ),
            format!("certificate {}, signed by {}", self.validity(now, zone), self.issuer),
        ];
        for other in others.iter().take(CHAIN) {
            let line = Self::read(other).map_or_else(
                || "and one that cannot be read".into(),
                |other| {
                    format!(
                        "and {}, {}, signed by {}",
                        other.subject,
                        other.validity(now, zone),
                        other.issuer
                    )
                },
            );
            lines.push(line);
        }
        lines
    }

    /// The first few of its names.
    pub(crate) fn told_names(&self) -> String {
        match self.names.len() {
            0 => "no name".into(),
            many if many > NAMES => {
                format!("{} and {} others", self.names[..NAMES].join(", "), many - NAMES)
            }
            _ => self.names.join(", "),
        }
    }

    /// For how long it is good.
    pub(crate) fn validity(&self, now: DateTime<Utc>, zone: Tz) -> String {
        let days = self.days_left(now);
        format!("good for {days} days (until {})", time::people(self.not_after, zone))
    }

    /// When it ends, as the end of a sentence.
    pub(crate) fn end(&self, now: DateTime<Utc>, zone: Tz) -> String {
        let date = time::people(self.not_after, zone);
        match self.days_left(now) {
            ..0 => format!("expired on {date}"),
            0 => format!("expires within a day, on {date}"),
            1 => format!("expires in 1 day, on {date}"),
            days => format!("expires in {days} days, on {date}"),
        }
    }

    /// Whole days until it expires, rounded down, as the original counts them; negative once it has.
    pub(crate) fn days_left(&self, now: DateTime<Utc>) -> i64 {
        days_until(self.not_after, now)
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(plain(name)),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|six| Ipv6Addr::from(six).into())
}

/// A text that the other side chose, without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A certificate with names of every kind.
    fn der() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["www.example.org".into(), "::1".into()])
            .expect("good names");
        params.distinguished_name.push(rcgen::DnType::CommonName, "Example");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn what_a_certificate_says_is_read() {
        let certificate = Certificate::read(&der()).expect("a certificate");
        assert_eq!(certificate.names, ["www.example.org", "::1"]);
        assert_eq!(certificate.subject, "CN=Example");
        assert!(certificate.self_signed && certificate.authority);
    }

    proptest! {
        #[test]
        fn no_damage_is_too_strange(
            at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(der);
            let mut bytes = DER.clone();
            for (index, byte) in at {
                bytes[index.index(DER.len())] = byte;
            }
            if let Some(certificate) = Certificate::read(&bytes) {
                let (now, zone) = (DateTime::UNIX_EPOCH, Tz::UTC);
                for line in certificate.lines(&[CertificateDer::from(&bytes[..])], now, zone) {
                    prop_assert!(!line.contains(char::is_control), "{line:?}");
                }
                _ = certificate.end(now, zone);
            }
            _ = Certificate::read(&bytes[..cut.index(bytes.len())]);
        }
    }
}
