//! Parameters of the records `SVCB` and `HTTPS` (RFC 9460 section 2.1).

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::text;

/// Names of the first keys, by their numbers.
const KEYS: &[&str] = &[
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
];

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

/// One parameter: its key and its value as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Param {
    pub(super) key: u16,
    pub(super) value: Vec<u8>,
}

impl Param {
    /// Reads a word such as `alpn="h2,h3"`.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, text::meaning(value)?),
            None => (word, Vec::new()),
        };
        let key = key(name)?;
        // With its number, a key's value stands as it is on the wire.
        let value =
            if KEYS.contains(&name) && !value.is_empty() { encode(key, value)? } else { value };
        (value.len() <= usize::from(u16::MAX)).then_some(Self { key, value })
    }
}

impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value } = self;
        match decode(*key, value) {
            _ if value.is_empty() => f.write_str(&name(*key)),
            Some(text) => write!(f, "{}=\"{text}\"", name(*key)),
            None => write!(f, "key{key}=\"{}\"", text::escape(value)),
        }
    }
}

fn name(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).into())
}

fn key(name: &str) -> Option<u16> {
    if let Some(key) = KEYS.iter().position(|known| *known == name) {
        return u16::try_from(key).ok();
    }
    let digits = name.strip_prefix("key").filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse().ok()
}

/// The value on the wire of what stands between the quotes.
fn encode(key: u16, value: Vec<u8>) -> Option<Vec<u8>> {
    if !matches!(key, MANDATORY | ALPN | PORT | IPV4HINT | ECH | IPV6HINT) {
        return Some(value);
    }
    let value = String::from_utf8(value).ok()?;
    let mut bytes = Vec::new();
    match key {
        PORT => bytes.extend(value.parse::<u16>().ok()?.to_be_bytes()),
        ECH => bytes = STANDARD.decode(value).ok()?,
        _ => {
            for item in value.split(',') {
                match key {
                    MANDATORY => bytes.extend(self::key(item)?.to_be_bytes()),
                    IPV4HINT => bytes.extend(item.parse::<Ipv4Addr>().ok()?.octets()),
                    IPV6HINT => bytes.extend(item.parse::<Ipv6Addr>().ok()?.octets()),
                    _ => {
                        bytes.push(u8::try_from(item.len()).ok()?);
                        bytes.extend(item.bytes());
                    }
                }
            }
        }
    }
    Some(bytes)
}

/// What stands between the quotes for a value on the wire, if the value is what its key promises.
fn decode(key: u16, value: &[u8]) -> Option<String> {
    let items = match key {
        MANDATORY => {
            let (keys, []) = value.as_chunks() else { return None };
            keys.iter().map(|key| name(u16::from_be_bytes(*key))).collect()
        }
        ALPN => protocols(value)?,
        PORT => vec![u16::from_be_bytes(value.try_into().ok()?).to_string()],
        IPV4HINT => {
            let (hints, []) = value.as_chunks::<4>() else { return None };
            hints.iter().map(|hint| Ipv4Addr::from(*hint).to_string()).collect()
        }
        IPV6HINT => {
            let (hints, []) = value.as_chunks::<16>() else { return None };
            hints.iter().map(|hint| Ipv6Addr::from(*hint).to_string()).collect()
        }
        ECH => vec![STANDARD.encode(value)],
        _ => vec![text::escape(value)],
    };
    Some(items.join(","))
}

/// Names of protocols, each behind its length. One with a comma or a backslash has no plain form.
fn protocols(mut value: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let (name, rest) = rest.split_at_checked((*length).into())?;
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'\\' | b'"');
        if name.is_empty() || !name.iter().all(plain) {
            return None;
        }
        names.push(String::from_utf8(name.to_vec()).ok()?);
        value = rest;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_read_and_shown() {
        for (word, key, value, shown) in [
            ("alpn=\"h2,h3\"", 1, &b"\x02h2\x02h3"[..], "alpn=\"h2,h3\""),
            ("alpn=h2", 1, b"\x02h2", "alpn=\"h2\""),
            ("port=8443", 3, b"\x20\xfb", "port=\"8443\""),
            ("no-default-alpn", 2, b"", "no-default-alpn"),
            ("mandatory=alpn,key7", 0, b"\0\x01\0\x07", "mandatory=\"alpn,dohpath\""),
            ("ipv4hint=192.0.2.1", 4, &[192, 0, 2, 1], "ipv4hint=\"192.0.2.1\""),
            ("ech=\"AAE=\"", 5, b"\0\x01", "ech=\"AAE=\""),
            ("dohpath=/q{?dns}", 7, b"/q{?dns}", "dohpath=\"/q{?dns}\""),
            ("key65000=\"a\\000\"", 65000, b"a\0", "key65000=\"a\\000\""),
            ("key3=\"\\001\\187\"", 3, b"\x01\xbb", "port=\"443\""),
        ] {
            let param = Param::parse(word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!((param.key, &*param.value), (key, value), "{word}");
            assert_eq!(param.to_string(), shown);
        }
        for word in ["port=65536", "ipv4hint=1.2.3", "ech=*", "nosuch=1", "key=1", "mandatory=x"] {
            assert_eq!(Param::parse(word), None, "{word}");
        }
        let odd = Param { key: PORT, value: vec![1] };
        assert_eq!(odd.to_string(), "key3=\"\\001\"");
    }

    proptest! {
        #[test]
        fn no_word_is_too_strange(word in "\\PC{0,40}|(alpn|port|ech|key1)=\\PC{0,20}") {
            _ = Param::parse(&word);
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(
            key in prop_oneof![0_u16..10, any::<u16>()],
            value in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let param = Param { key, value };
            prop_assert_eq!(Param::parse(&param.to_string()), Some(param));
        }
    }
}
