use hickory_resolver::proto::{
    op::{Edns, Message, ResponseCode},
    rr::{RData, Record as Whole, rdata},
};
use proptest::prelude::*;

use super::*;

const ID: u16 = 4711;

fn asked(kind: RecordType) -> Question {
    Question::about("www.test.example", kind).expect("a question")
}

fn named(text: &str) -> Name {
    name::parse(text).expect(text)
}

fn record(owner: &str, data: RData) -> Whole {
    Whole::from_rdata(named(owner), 60, data)
}

fn alias(owner: &str, target: &str) -> Whole {
    record(owner, RData::CNAME(rdata::CNAME(named(target))))
}

fn address(owner: &str, last: u8) -> Whole {
    record(owner, RData::A(rdata::A::new(192, 0, 2, last)))
}

/// A message that answers a question with these records.
fn message(question: &Question, answers: Vec<Whole>) -> Message {
    let mut message = Message::response(ID, OpCode::Query);
    message.add_query(Query::query(question.name.clone(), question.kind));
    message.add_answers(answers);
    message
}

fn read(message: &Message, question: &Question) -> Result<Reply, Stray> {
    read_bytes(&message.to_vec().expect("a message"), question)
}

fn read_bytes(bytes: &[u8], question: &Question) -> Result<Reply, Stray> {
    Reply::read(bytes, ID, question, &mut Steps::default())
}

fn answers(reply: &Reply) -> Vec<String> {
    reply.answers.iter().map(ToString::to_string).collect()
}

#[test]
fn only_what_answers_the_question_is_kept_in_whatever_order_it_comes() {
    let question = asked(RecordType::A);
    let reply = read(
        &message(
            &question,
            vec![
                address("web.test.example", 10),
                address("evil.example", 66),
                address("web.test.example", 11),
                alias("cdn.test.example", "WEB.test.example"),
                alias("WWW.test.example", "cdn.test.example"),
                address("web.test.example", 10),
            ],
        ),
        &question,
    )
    .expect("a reply");
    assert_eq!(answers(&reply), ["192.0.2.10", "192.0.2.11"]);
    assert_eq!(reply.alias.as_ref().map(name::told).as_deref(), Some("WEB.test.example"));
    assert_eq!(reply.more, 0);

    let question = asked(RecordType::CNAME);
    let own = alias("www.test.example", "web.test.example");
    let reply = read(&message(&question, vec![own]), &question).expect("a reply");
    assert_eq!(answers(&reply), ["web.test.example."]);
    assert_eq!(reply.alias, None);
}

#[test]
fn aliases_in_a_circle_end() {
    let question = asked(RecordType::A);
    let (there, back) =
        (alias("www.test.example", "b.example"), alias("b.example", "www.test.example"));
    let reply = read(&message(&question, vec![there, back]), &question).expect("a reply");
    assert_eq!(answers(&reply), [""; 0]);
}

#[test]
fn what_is_no_reply_is_told_apart() {
    let question = asked(RecordType::A);
    let good = message(&question, vec![address("www.test.example", 10)]);

    let mut other = good.clone();
    other.metadata.id = ID + 1;
    assert_eq!(read(&other, &question).err(), Some(Stray::OtherNumber));

    let mut echo = good.clone();
    echo.metadata.message_type = MessageType::Query;
    assert_eq!(read(&echo, &question).err(), Some(Stray::Echo));

    let other = read(&message(&asked(RecordType::MX), Vec::new()), &question).err();
    assert_eq!(other, Some(Stray::OtherQuestion("www.test.example MX".into())));

    let mut none = good.clone();
    none.queries.clear();
    assert_eq!(read(&none, &question).err(), Some(Stray::Garbled));
    none.metadata.response_code = ResponseCode::FormErr;
    assert_eq!(read(&none, &question).map(|reply| reply.code).ok(), Some(1));

    let bytes = good.to_vec().expect("a message");
    for end in 0..bytes.len() {
        assert_eq!(read_bytes(&bytes[..end], &question).err(), Some(Stray::Garbled), "{end}");
    }
    // As many questions as that would take megabytes.
    let mut many = bytes.clone();
    many[4..6].copy_from_slice(&u16::MAX.to_be_bytes());
    assert_eq!(read_bytes(&many, &question).err(), Some(Stray::Garbled));
    // An address of three bytes is none.
    let mut short = bytes;
    short.pop();
    let length = short.len() - 5;
    short[length..length + 2].copy_from_slice(&3_u16.to_be_bytes());
    assert_eq!(read_bytes(&short, &question).err(), Some(Stray::Garbled));
}

#[test]
fn a_reply_that_is_cut_off_in_a_record_is_one() {
    let question = asked(RecordType::A);
    let mut whole = message(&question, vec![address("www.test.example", 10)]);
    whole.metadata.truncation = true;
    let bytes = whole.to_vec().expect("a message");
    let reply = read_bytes(&bytes[..bytes.len() - 2], &question).expect("a reply");
    assert!(reply.truncated && reply.answers.is_empty());
}

#[test]
fn servers_that_only_refer_to_others_are_told_apart() {
    let question = asked(RecordType::A);
    let ns = record("test.example", RData::NS(rdata::NS(named("ns.test.example"))));
    let mut referral = message(&question, Vec::new());
    referral.add_authority(ns.clone());
    assert!(read(&referral, &question).expect("a reply").refers);
    let mut negative = referral;
    let (mname, rname) = (named("ns.test.example"), named("h.test.example"));
    let soa = rdata::SOA::new(mname, rname, 1, 2, 3, 4, 5);
    negative.add_authority(record("test.example", RData::SOA(soa)));
    assert!(!read(&negative, &question).expect("a reply").refers);
}

#[test]
fn edns_extends_the_code_and_says_why() {
    let question = asked(RecordType::A);
    let mut failed = message(&question, Vec::new());
    failed.metadata.response_code = ResponseCode::BADVERS;
    failed.set_edns(Edns::new());
    assert_eq!(read(&failed, &question).expect("a reply").code, 16);

    let mut bytes = message(&question, Vec::new()).to_vec().expect("a message");
    bytes[3] |= 2;
    bytes[11] = 1;
    bytes.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x0f\0\x07\0\x06bogus");
    let reply = read_bytes(&bytes, &question).expect("a reply");
    assert_eq!((reply.code, reply.reason.as_deref()), (2, Some("signatures are wrong, `bogus`")));
}

#[test]
fn of_many_answers_the_first_are_kept() {
    let question = asked(RecordType::A);
    let many = |last: u16| {
        let address = rdata::A::new(10, 0, (last >> 8) as u8, last as u8);
        record("www.test.example", RData::A(address))
    };
    let all = (0..1000).map(many).collect();
    let reply = read(&message(&question, all), &question).expect("a reply");
    assert_eq!((reply.answers.len(), reply.more), (ANSWERS, 1000 - ANSWERS));
}

proptest! {
    #[test]
    fn no_message_is_too_strange(bytes: Vec<u8>) {
        _ = read_bytes(&bytes, &asked(RecordType::A));
    }

    #[test]
    fn no_reason_is_too_strange(head in prop::sample::select(vec![0, 15]), bytes: Vec<u8>) {
        let length = bytes.len() as u8;
        let option = [&[0, head, 0, length][..], &bytes].concat();
        prop_assert!(reason(&option).is_none_or(|reason| reason.chars().count() < 200));
        _ = reason(&bytes);
    }

    #[test]
    fn no_body_is_too_strange(
        counts in prop::array::uniform6(0_u8..4),
        kind in prop_oneof![0_u16..70, any::<u16>()],
        body in prop::collection::vec(any::<u8>(), 0..200),
        places in prop::collection::vec(0_u8..60, 0..8),
    ) {
        let question = Question::about("org", kind.into());
        let Some(question) = question else { return Ok(()) };
        let mut bytes = message(&question, Vec::new()).to_vec().expect("a message");
        for (nth, count) in counts.iter().enumerate() {
            bytes[6 + nth] = if nth % 2 == 1 { *count } else { 0 };
        }
        // Records of that type, as far as the body reaches, with names that point back.
        for (nth, piece) in body.chunks(20).enumerate() {
            bytes.extend([0xc0, places.get(nth).copied().unwrap_or(12)]);
            bytes.extend(kind.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60, 0, piece.len() as u8]);
            bytes.extend(piece);
        }
        if let Ok(reply) = read_bytes(&bytes, &question) {
            prop_assert!(answers(&reply).len() <= ANSWERS);
        }
    }
}
