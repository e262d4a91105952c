use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KNOWN: &[Opt] = &[EXPECT, EXPECT_RULE, MATCHES, ABSENT];

/// What these options expect of answers of this type, and the options that something is wrong with.
fn expect(kind: &str, options: &Value) -> (Option<Expect>, Vec<String>) {
    let kind = types::named(kind);
    let options = options.as_object().expect("an object");
    let make = |options: &mut Options<'_>| Some(Expect::read(options, kind));
    let (expect, faults) = Options::read(options, KNOWN, make);
    (expect, faults.into_iter().map(|fault| fault.option).collect())
}

fn judge(kind: &str, options: &Value, answers: &[&str]) -> Result<&'static str, String> {
    let (expect, faults) = expect(kind, options);
    let expect = expect.unwrap_or_else(|| panic!("{options}: {faults:?}"));
    let kind = types::named(kind).expect(kind);
    let read = |text: &&str| Rdata::parse(kind, text).expect(text);
    let answers = answers.iter().map(read).collect();
    expect.judge(&Reply { answers, ..Reply::default() })
}

#[test]
fn answers_are_compared_as_the_dns_does_it() {
    for (kind, wanted, answers) in [
        ("A", json!("192.0.2.1"), &["192.0.2.1"][..]),
        ("A", json!(["192.0.2.1", "192.0.2.2"]), &["192.0.2.2", "192.0.2.1"]),
        ("A", json!(["192.0.2.1", "192.0.2.1"]), &["192.0.2.1"]),
        ("AAAA", json!("2001:DB8:0::1"), &["2001:db8::1"]),
        ("MX", json!(["10 MX1.example.org"]), &["10 mx1.Example.org."]),
        ("CNAME", json!("www.example.org."), &["www.example.org."]),
        ("TXT", json!("v=spf1 -all"), &["\"v=spf1 -all\""]),
        ("TXT", json!("v=spf1 -all"), &["\"v=spf1 \" \"-all\""]),
        ("TXT", json!("\"v=spf1 -all\""), &["\"v=spf1 \" \"-all\""]),
        ("TXT", json!("\"v=spf1 \" \"-all\""), &["\"v=spf1 \" \"-all\""]),
        ("TXT", json!("a \"b\" \\c"), &["\"a \\\"b\\\" \\\\c\""]),
        ("TXT", json!("ä"), &["\"\\195\\164\""]),
        ("CAA", json!("0 issue letsencrypt.org"), &["0 issue \"letsencrypt.org\""]),
        ("TYPE65280", json!("\\# 2 AB cd"), &["\\# 2 abcd"]),
    ] {
        let seen = judge(kind, &json!({"expect": wanted}), answers);
        assert_eq!(seen, Ok(", as expected"), "{kind} {wanted}");
    }
}

#[test]
fn other_answers_are_told() {
    for (kind, options, answers, wrong) in [
        (
            "A",
            json!({"expect": "192.0.2.1"}),
            &["192.0.2.1", "192.0.2.2"][..],
            "expected 192.0.2.1 and no other",
        ),
        (
            "A",
            json!({"expect": ["192.0.2.1", "192.0.2.2"]}),
            &["192.0.2.1"],
            "expected 192.0.2.1, 192.0.2.2 and no other",
        ),
        (
            "MX",
            json!({"expect": "10 a.", "expectRule": "at-least"}),
            &["20 a.", "10 b."],
            "expected 10 a. among them",
        ),
        (
            "NS",
            json!({"expect": ["a.", "b."], "expectRule": "at-most"}),
            &["a.", "c."],
            "expected none but a., b.",
        ),
        (
            "TXT",
            json!({"expect": "V=spf1 -all"}),
            &["\"v=spf1 -all\""],
            "expected V=spf1 -all and no other",
        ),
        (
            "TXT",
            json!({"expect": "\"v=spf1\" \" -all\""}),
            &["\"v=spf1 \" \"-all\""],
            "expected \"v=spf1\" \" -all\" and no other",
        ),
        ("TXT", json!({"matches": "^v=DMARC1"}), &["\"x\""], "expected one to match `^v=DMARC1`"),
        ("A", json!({"absent": true}), &["127.0.0.2"], "expected no such record"),
    ] {
        assert_eq!(judge(kind, &options, answers), Err(wrong.into()), "{kind} {options}");
    }
}

#[test]
fn rules_allow_what_they_say() {
    for (rule, answers, well) in [
        ("exactly", &["a."][..], false),
        ("exactly", &["a.", "b."], true),
        ("exactly", &["a.", "b.", "c."], false),
        ("at-least", &["a."], false),
        ("at-least", &["a.", "b.", "c."], true),
        ("at-most", &["a."], true),
        ("at-most", &["c."], false),
    ] {
        let options = json!({"expect": ["a", "b"], "expectRule": rule});
        assert_eq!(judge("NS", &options, answers).is_ok(), well, "{rule} {answers:?}");
    }
}

#[test]
fn patterns_are_found_in_texts_as_a_whole_and_in_names_without_a_dot() {
    for (kind, pattern, answer) in [
        ("TXT", "^v=spf1 .*-all$", "\"v=spf1 mx \" \"-all\""),
        ("TXT", "^\"v=spf1", "\"v=spf1 mx\""),
        ("MX", "^10 mx1[.]example[.]org$", "10 mx1.example.org."),
        ("MX", "org[.]$", "10 mx1.example.org."),
        ("SOA", " 2024[0-9]{6} ", "ns. h. 2024010101 1 2 3 4"),
    ] {
        let seen = judge(kind, &json!({"matches": pattern}), &[answer]);
        assert!(seen.is_ok(), "{kind} {pattern}: {seen:?}");
    }
}

#[test]
fn too_many_answers_are_not_compared() {
    let (expect, _) = expect("A", &json!({"expect": "192.0.2.1", "expectRule": "at-most"}));
    let answers = vec![Rdata::parse(RecordType::A, "192.0.2.1").expect("a record")];
    let seen = expect.expect("options").judge(&Reply { answers, more: 9, ..Reply::default() });
    assert_eq!(seen, Err("10 answers, too many to compare".into()));
}

#[test]
fn what_cannot_be_an_answer_is_a_fault() {
    for (kind, options, wrong) in [
        ("A", json!({"expect": ["192.0.2.1", "2001:db8::1", "www"]}), &["expect", "expect"][..]),
        ("MX", json!({"expect": "mx1.example.org"}), &["expect"]),
        ("TXT", json!({"expect": "\"open"}), &["expect"]),
        (
            "A",
            json!({"expect": 5, "expectRule": "all", "absent": 1}),
            &["expectRule", "expect", "absent"],
        ),
        ("A", json!({"expectRule": "at-least"}), &["expectRule"]),
        ("A", json!({"matches": "("}), &["matches"]),
        ("A", json!({"absent": true, "expect": "192.0.2.1"}), &["absent"]),
    ] {
        assert_eq!(expect(kind, &options).1, wrong, "{kind} {options}");
    }
    assert_eq!(example(RecordType::MX), "as in `10 mail.example.org`");
}

#[test]
fn a_sentence_has_room_for_what_is_expected() {
    let list = |lengths: &[usize]| {
        listed(lengths.iter().map(|length| "a".repeat(*length)).collect::<Vec<_>>().into_iter())
    };
    assert_eq!(list(&[1, 1]), "a, a");
    assert_eq!(list(&[200]), format!("{}…", "a".repeat(120)));
    assert_eq!(
        list(&[119, 200, 1, 1]),
        format!("{}, {}… and 2 more", "a".repeat(119), "a".repeat(120))
    );
}

#[test]
fn every_example_is_a_record() {
    for name in ["A", "AAAA", "NS", "MX", "SOA", "SRV", "CAA", "TXT", "HTTPS"] {
        let kind = types::named(name).expect(name);
        let example = example(kind);
        let text = example.trim_start_matches("as in `").trim_end_matches('`');
        assert!(Rdata::parse(kind, text).is_some(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_text_is_expected_as_it_is_written(text in "[ -~]{1,100}", cut in 0_usize..100) {
        let text = text.trim();
        prop_assume!(!text.is_empty() && !text.starts_with(['"', '\\']));
        let (one, other) = text.split_at(cut.min(text.len()));
        let escape = |part: &str| super::super::text::escape(part.as_bytes());
        let answer = format!("\"{}\" \"{}\"", escape(one), escape(other));
        let seen = judge("TXT", &json!({"expect": text}), &[&answer]);
        prop_assert!(seen.is_ok(), "{:?}", seen);
    }
}
