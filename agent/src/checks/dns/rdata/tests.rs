use proptest::prelude::*;

use super::*;

fn kind(name: &str) -> RecordType {
    types::named(name).expect(name)
}

fn parse(name: &str, text: &str) -> Option<Rdata> {
    Rdata::parse(kind(name), text)
}

#[test]
fn text_is_read_and_shown_as_a_zone_file_has_it() {
    for (name, text, shown) in [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8:0:0::10", "2001:db8::10"),
        ("NS", "ns1.example.org", "ns1.example.org."),
        ("MX", " 10   MX1.example.org ", "10 MX1.example.org."),
        ("MX", "0 .", "0 ."),
        ("SOA", "ns h. 2024010101 3600 600 86400 60", "ns. h. 2024010101 3600 600 86400 60"),
        ("SRV", "1 2 443 web.example.", "1 2 443 web.example."),
        ("TXT", r#""a b" c "\"\195""#, r#""a b" "c" "\"\195""#),
        ("CAA", "0 issue \"ca.example; x=1\"", "0 issue \"ca.example; x=1\""),
        ("NAPTR", r#"1 2 "S" SIP+D2U "" _sip._udp.x"#, r#"1 2 "S" "SIP+D2U" "" _sip._udp.x."#),
        ("DS", "60485 5 1 2BB183AF 5F22588F", "60485 5 1 2bb183af5f22588f"),
        ("DNSKEY", "257 3 13 aGVs bG8=", "257 3 13 aGVsbG8="),
        ("HTTPS", "1 . port=443 alpn=h2", "1 . alpn=\"h2\" port=\"443\""),
        ("URI", "10 1 \"https://example.org/\"", "10 1 \"https://example.org/\""),
        ("A", "\\# 4 C0000201", "192.0.2.1"),
        ("TYPE65280", "\\# 3 0A 0b0C", "\\# 3 0a0b0c"),
        ("LOC", "\\# 0", "\\# 0 "),
        (
            "RRSIG",
            "A 13 3 60 20240131000000 20240101000000 4711 example. aGVsbG8=",
            "A 13 3 60 20240131000000 20240101000000 4711 example. aGVsbG8=",
        ),
    ] {
        let read = parse(name, text).unwrap_or_else(|| panic!("{name} {text}"));
        assert_eq!(read.to_string(), shown);
    }
}

#[test]
fn what_is_not_of_its_type_is_none() {
    for (name, text) in [
        ("A", ""),
        ("A", "192.0.2"),
        ("A", "192.0.2.1 192.0.2.2"),
        ("AAAA", "192.0.2.1"),
        ("MX", "mx1.example.org"),
        ("MX", "65536 mx1.example.org"),
        ("MX", "+1 mx1.example.org"),
        ("NS", "a..b"),
        ("TXT", "\"open"),
        ("DS", "1 2 3 abc"),
        ("DNSKEY", "1 2 3 ***"),
        ("A", "\\# 4 C00002"),
        ("A", "\\# 3 C00002"),
        ("LOC", "52 22 23.000 N"),
    ] {
        assert_eq!(parse(name, text), None, "{name} {text}");
    }
}

#[test]
fn equal_is_what_is_the_same_to_the_dns() {
    let same = |name: &str, one: &str, other: &str| {
        parse(name, one).expect(one) == parse(name, other).expect(other)
    };
    assert!(same("NS", "NS1.Example.org", "ns1.example.org."));
    assert!(same("AAAA", "2001:db8::1", "2001:DB8:0:0:0:0:0:1"));
    assert!(same("CAA", "0 ISSUE \"ca.example\"", "0 issue ca.example"));
    assert!(same("TLSA", "3 1 1 ABCD", "3 1 1 abcd"));
    assert!(!same("TXT", "\"Text\"", "\"text\""));
    assert!(!same("DNSKEY", "1 3 13 aGVs", "1 3 13 aGVS"));
    assert!(!same("MX", "10 a.", "20 a."));
}

#[test]
fn digits_stand_in_groups() {
    let long = parse("TLSA", &format!("3 1 1 {}", "ab".repeat(65))).expect("a record");
    assert_eq!(long.to_string(), format!("3 1 1 {} ab", "ab".repeat(64)));
    let long = parse("DNSKEY", &format!("1 3 13 {}", "AAAA".repeat(9))).expect("a record");
    assert_eq!(long.to_string(), format!("1 3 13 {} AAAA", "AAAA".repeat(8)));
}

/// It was written as nothing, which is no record.
#[test]
fn a_record_without_a_text_is_written_as_one_of_no_bytes() {
    let kind = RecordType::TXT;
    let empty = Rdata::read(kind, &mut BinDecoder::new(&[]), 0).expect("a record");
    assert_eq!(empty.to_string(), "\\# 0");
    assert_eq!(Rdata::parse(kind, "\\# 0"), Some(empty));
}

/// It was taken, and written as nothing between two spaces.
#[test]
fn a_word_between_quotes_has_something_in_it() {
    assert_eq!(parse("CAA", "0 \"\" \"ca.example.org\""), None);
    assert!(parse("CAA", "0 \"issue\" \"ca.example.org\"").is_some());
}

proptest! {
    #[test]
    fn no_text_is_too_strange(
        number in prop_oneof![0_u16..70, any::<u16>()],
        text in "\\PC{0,60}|[a-z0-9 .\"\\\\#=]{0,80}",
    ) {
        _ = Rdata::parse(number.into(), &text);
    }

    /// No bytes are too strange, and what they are shown as is read as the same.
    #[test]
    fn what_is_shown_is_read_as_the_same(
        number in prop_oneof![0_u16..70, 99_u16..110, 250_u16..265, any::<u16>()],
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        names in prop::collection::vec("[a-zA-Z0-9_-]{1,10}", 0..4),
    ) {
        let kind = RecordType::from(number);
        // Numbers, and then names that random bytes would hardly be.
        for numbers in 0..=bytes.len().min(7) {
            let mut wire = bytes[..numbers].to_vec();
            for name in &names {
                wire.push(name.len() as u8);
                wire.extend(name.bytes());
            }
            wire.push(0);
            wire.extend(&bytes[numbers..]);
            for wire in [&wire, &bytes] {
                let Some(read) = Rdata::read(kind, &mut BinDecoder::new(wire), wire.len()) else {
                    continue;
                };
                prop_assert_eq!(Rdata::parse(kind, &read.to_string()), Some(read));
            }
        }
    }
}
