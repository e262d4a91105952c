//! The host key that a server must show, in the forms people have it in.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey, ssh_key::Fingerprint};

/// How every key in base64 begins: its first field is shorter than 65536 bytes.
const BASE64: &str = "AAAA";

/// The host key that a server must show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pin {
    /// The whole key.
    Key(Box<PublicKey>),
    /// Its SHA-256 fingerprint.
    Fingerprint(Fingerprint),
}

impl Pin {
    /// Reads a fingerprint `SHA256:…`, a line of a `.pub` or a `known_hosts` file, or the base64 in such a line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.starts_with("SHA256:") {
            let fingerprint = text.trim_end_matches('=').parse().ok();
            return fingerprint
                .filter(|found: &Fingerprint| found.is_sha256())
                .map(Self::Fingerprint);
        }
        let base64 = text.split_whitespace().find(|word| word.starts_with(BASE64))?;
        let key = PublicKey::from_bytes(&STANDARD.decode(base64).ok()?).ok()?;
        Some(Self::Key(Box::new(key)))
    }

    /// Whether this is the key.
    pub(crate) fn is(&self, key: &PublicKey) -> bool {
        match self {
            Self::Key(this) => this.key_data() == key.key_data(),
            Self::Fingerprint(this) => *this == key.fingerprint(HashAlg::Sha256),
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(&words(key)),
            Self::Fingerprint(fingerprint) => fingerprint.fmt(f),
        }
    }
}

/// A key as a sentence names it: `SHA256:… (ssh-ed25519)`.
pub(super) fn words(key: &PublicKey) -> String {
    format!("{} ({})", key.fingerprint(HashAlg::Sha256), key.algorithm())
}

/// A key as a configuration holds it.
pub(super) fn base64(key: &PublicKey) -> String {
    key.to_bytes().map(|bytes| STANDARD.encode(bytes)).unwrap_or_default()
}

/// All types of host keys in the order in which they are asked for. The type of a key that is wanted comes first: a
/// server that has several shows that one.
pub(super) fn kinds(pin: Option<&Pin>) -> Vec<Algorithm> {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash };
    let mut kinds = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(Some(HashAlg::Sha512)),
        rsa(Some(HashAlg::Sha256)),
        // SHA-1, for devices that know nothing else.
        rsa(None),
    ];
    if let Some(Pin::Key(key)) = pin {
        kinds.sort_by_key(|kind| !same(kind, key));
    }
    kinds
}

/// Takes out the type of a key.
pub(super) fn without(kinds: &mut Vec<Algorithm>, key: &PublicKey) {
    kinds.retain(|kind| !same(kind, key));
}

/// Whether a key is of this type. A key of RSA is of all its types, which differ in their signatures.
fn same(kind: &Algorithm, key: &PublicKey) -> bool {
    let rsa = |kind: &Algorithm| matches!(kind, Algorithm::Rsa { .. });
    *kind == key.algorithm() || (rsa(kind) && rsa(&key.algorithm()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const FINGERPRINT: &str = "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE";

    #[test]
    fn a_key_goes_by_its_line_its_base64_or_its_fingerprint() {
        let pin = Pin::parse(BASE).expect("base64");
        let Pin::Key(key) = &pin else { panic!("{pin:?}") };
        assert_eq!(base64(key), BASE);
        assert_eq!(pin.to_string(), format!("{FINGERPRINT} (ssh-ed25519)"));
        for text in [
            format!("ssh-ed25519 {BASE}"),
            format!("ssh-ed25519 {BASE} root@gate"),
            format!("gate.example.org,192.0.2.1 ssh-ed25519 {BASE}"),
            FINGERPRINT.to_owned(),
            format!("{FINGERPRINT}="),
        ] {
            assert!(Pin::parse(&text).expect(&text).is(key), "{text}");
        }
        for text in
            ["", "ssh-ed25519", "AAAA", &BASE[..40], "SHA256:short", "MD5:00:11", "SHA512:x"]
        {
            assert_eq!(Pin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_type_that_is_wanted_is_asked_for_first() {
        let pin = Pin::parse(BASE).expect("base64");
        assert_eq!(kinds(None), kinds(Some(&pin)));
        let Pin::Key(key) = pin else { panic!("a key") };
        let mut rest = kinds(None);
        without(&mut rest, &key);
        assert_eq!(rest.len(), 6);
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_or_not(text in "(AAAA|SHA256:)?\\PC{0,80}") {
            if let Some(pin) = Pin::parse(&text) {
                prop_assert!(!pin.to_string().is_empty());
            }
        }

        #[test]
        fn any_bytes_are_a_key_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            _ = Pin::parse(&format!("{BASE64}{}", STANDARD.encode(bytes)));
        }
    }
}
