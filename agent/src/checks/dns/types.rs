//! The types of records: their names, their numbers and what is in them.
//! <https://www.iana.org/assignments/dns-parameters>

use hickory_resolver::proto::rr::RecordType;

use Shape::{
    Base64, Hex, Ipv4, Ipv6, Kind, Name, Params, Rest, Text, Texts, Time, U8, U16, U32, Word,
};

/// What a part of a record is, on the wire and in a zone file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A number of one byte.
    U8,
    /// A number of two bytes.
    U16,
    /// A number of four bytes.
    U32,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A name.
    Name,
    /// A text of up to 255 bytes, in quotes.
    Text,
    /// Such texts, up to the end.
    Texts,
    /// A text of up to 255 bytes without quotes, in which case does not matter.
    Word,
    /// A text up to the end, in quotes.
    Rest,
    /// Bytes up to the end, in hexadecimal digits.
    Hex,
    /// Bytes up to the end, in base64.
    Base64,
    /// A type of record.
    Kind,
    /// Seconds since 1970, as a date.
    Time,
    /// Parameters of a service (RFC 9460), up to the end.
    Params,
}

/// Every type with a name. What is in those without shapes is shown as RFC 3597 has it.
const TYPES: &[(&str, u16, &[Shape])] = &[
    ("A", 1, &[Ipv4]),
    ("NS", 2, &[Name]),
    ("MD", 3, &[Name]),
    ("MF", 4, &[Name]),
    ("CNAME", 5, &[Name]),
    ("SOA", 6, &[Name, Name, U32, U32, U32, U32, U32]),
    ("MB", 7, &[Name]),
    ("MG", 8, &[Name]),
    ("MR", 9, &[Name]),
    ("NULL", 10, &[]),
    ("WKS", 11, &[]),
    ("PTR", 12, &[Name]),
    ("HINFO", 13, &[Text, Text]),
    ("MINFO", 14, &[Name, Name]),
    ("MX", 15, &[U16, Name]),
    ("TXT", 16, &[Texts]),
    ("RP", 17, &[Name, Name]),
    ("AFSDB", 18, &[U16, Name]),
    ("X25", 19, &[Text]),
    ("ISDN", 20, &[]),
    ("RT", 21, &[U16, Name]),
    ("NSAP", 22, &[]),
    ("NSAP-PTR", 23, &[Name]),
    ("SIG", 24, &[]),
    ("KEY", 25, &[]),
    ("PX", 26, &[U16, Name, Name]),
    ("GPOS", 27, &[]),
    ("AAAA", 28, &[Ipv6]),
    ("LOC", 29, &[]),
    ("NXT", 30, &[]),
    ("SRV", 33, &[U16, U16, U16, Name]),
    ("NAPTR", 35, &[U16, U16, Text, Text, Text, Name]),
    ("KX", 36, &[U16, Name]),
    ("CERT", 37, &[U16, U16, U8, Base64]),
    ("A6", 38, &[]),
    ("DNAME", 39, &[Name]),
    ("APL", 42, &[]),
    ("DS", 43, &[U16, U8, U8, Hex]),
    ("SSHFP", 44, &[U8, U8, Hex]),
    ("IPSECKEY", 45, &[]),
    ("RRSIG", 46, &[Kind, U8, U8, U32, Time, Time, U16, Name, Base64]),
    ("NSEC", 47, &[]),
    ("DNSKEY", 48, &[U16, U8, U8, Base64]),
    ("DHCID", 49, &[Base64]),
    ("NSEC3", 50, &[]),
    ("NSEC3PARAM", 51, &[]),
    ("TLSA", 52, &[U8, U8, U8, Hex]),
    ("SMIMEA", 53, &[U8, U8, U8, Hex]),
    ("HIP", 55, &[]),
    ("NINFO", 56, &[Texts]),
    ("CDS", 59, &[U16, U8, U8, Hex]),
    ("CDNSKEY", 60, &[U16, U8, U8, Base64]),
    ("OPENPGPKEY", 61, &[Base64]),
    ("CSYNC", 62, &[]),
    ("ZONEMD", 63, &[U32, U8, U8, Hex]),
    ("SVCB", 64, &[U16, Name, Params]),
    ("HTTPS", 65, &[U16, Name, Params]),
    ("SPF", 99, &[Texts]),
    ("NID", 104, &[]),
    ("L32", 105, &[U16, Ipv4]),
    ("L64", 106, &[]),
    ("LP", 107, &[U16, Name]),
    ("EUI48", 108, &[]),
    ("EUI64", 109, &[]),
    ("URI", 256, &[U16, U16, Rest]),
    ("CAA", 257, &[U8, Word, Rest]),
    ("AVC", 258, &[Texts]),
    ("AMTRELAY", 260, &[]),
    ("RESINFO", 261, &[Texts]),
    ("WALLET", 262, &[Texts]),
    ("TA", 32768, &[U16, U8, U8, Hex]),
    ("DLV", 32769, &[U16, U8, U8, Hex]),
];

/// The type of this name, in capitals or not; one without a name goes by its number, as in `TYPE65280` (RFC 3597).
pub(super) fn named(text: &str) -> Option<RecordType> {
    let text = text.to_ascii_uppercase();
    if let Some((_, number, _)) = TYPES.iter().find(|(name, ..)| *name == text) {
        return Some(RecordType::from(*number));
    }
    let digits = text.strip_prefix("TYPE").filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse::<u16>().ok().map(RecordType::from)
}

/// Its name.
pub(super) fn name(kind: RecordType) -> String {
    match entry(kind) {
        Some((name, ..)) => (*name).into(),
        None => format!("TYPE{}", u16::from(kind)),
    }
}

/// What is in it, in this order. For a type that is unknown here, nothing.
pub(super) fn shapes(kind: RecordType) -> &'static [Shape] {
    entry(kind).map_or(&[], |(_, _, shapes)| shapes)
}

/// Whether no record is of this type, as of `ANY` or `AXFR` (RFC 6895 section 3.1).
pub(super) fn is_meta(kind: RecordType) -> bool {
    matches!(u16::from(kind), 0 | 41 | 128..=255 | u16::MAX)
}

fn entry(kind: RecordType) -> Option<&'static (&'static str, u16, &'static [Shape])> {
    let number = u16::from(kind);
    TYPES.iter().find(|(_, known, _)| *known == number)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn types_are_known_by_name_and_by_number() {
        for (text, number) in
            [("soa", 6), ("Aaaa", 28), ("TYPE1", 1), ("type65280", 65280), ("CAA", 257)]
        {
            assert_eq!(named(text).map(u16::from), Some(number), "{text}");
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "TYPE 1", "ANY", "5", "SOA "] {
            assert_eq!(named(text), None, "{text}");
        }
        assert!(TYPES.is_sorted_by(|(_, a, _), (_, b, _)| a < b));
    }

    #[test]
    fn what_no_record_is_of_is_told_apart() {
        assert!([0, 41, 251, 252, 255].into_iter().all(|number| is_meta(number.into())));
        assert!(TYPES.iter().all(|(_, number, _)| !is_meta((*number).into())));
    }

    proptest! {
        #[test]
        fn every_number_has_a_name_that_leads_back(number: u16) {
            prop_assert_eq!(named(&name(number.into())), Some(number.into()));
        }

        #[test]
        fn no_name_is_too_strange(text in "\\PC{0,20}|(TYPE)?[0-9]{0,20}") {
            _ = named(&text);
        }
    }
}
