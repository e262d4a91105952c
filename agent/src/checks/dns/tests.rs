use std::net::Ipv4Addr;

use fletchck_shared::Verdict;
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, rdata},
};
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use super::*;
use crate::checks::testing::{faults, look, probe};

/// A name server on a port of 127.0.0.1 that sends back what it is told to, for the first question and those after it.
async fn server(replies: impl Fn(usize, Message) -> Vec<Message> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut heard = [0; 512];
        for nth in 0.. {
            let Ok((length, from)) = socket.recv_from(&mut heard).await else { return };
            let question = Message::from_vec(&heard[..length]).expect("a question");
            for reply in replies(nth, question) {
                let reply = reply.to_vec().expect("a message");
                socket.send_to(&reply, from).await.expect("sent");
            }
        }
    });
    address
}

fn answered(question: Message) -> Message {
    let owner = question.queries[0].name.clone();
    let mut reply = question.into_response();
    reply.add_answer(Record::from_rdata(owner, 60, RData::A(rdata::A::new(192, 0, 2, 10))));
    reply
}

fn failed(question: Message, code: ResponseCode) -> Message {
    let mut reply = question.into_response();
    reply.metadata.response_code = code;
    reply
}

async fn good() -> SocketAddr {
    server(|_, question| vec![answered(question)]).await
}

async fn failing(code: ResponseCode) -> SocketAddr {
    server(move |_, question| vec![failed(question, code)]).await
}

async fn silent() -> SocketAddr {
    server(|_, _| Vec::new()).await
}

/// What comes of asking these servers for the address of `www.test.example`, without their ports.
async fn ask(servers: &[SocketAddr], more: Value) -> Outcome {
    let mut options = json!({"reqName": "www.test.example", "reqType": "A", "timeout": 1});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let options = options.as_object().expect("an object");
    let (dns, faults) = Options::read(options, KIND.options, Dns::read);
    let dns = dns.unwrap_or_else(|| panic!("{faults:?}"));
    let mut steps = Steps::default();
    let until = Instant::now() + dns.servers.timeout();
    let outcome = dns.ask_each(servers, until, &mut steps).await;
    let mut outcome = steps.complete(outcome);
    for (nth, server) in servers.iter().enumerate() {
        outcome.text = outcome.text.replace(&server.to_string(), &format!("<{nth}>"));
    }
    outcome
}

#[tokio::test]
async fn an_answer_is_told_and_logged_as_the_original_does() {
    let outcome = ask(&[good().await], json!({})).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(outcome.text, "DNS of this machine answered www.test.example A: 192.0.2.10");
    assert_eq!(outcome.log, ["('www.test.example.', 'A', '192.0.2.10')"]);
    assert_eq!((outcome.level, outcome.soft_fail), (None, None));
    let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["answer"]);
    let said = outcome.conversation.join("\n");
    assert!(said.contains("> www.test.example A, id "), "{said}");
    assert!(said.ends_with("< www.test.example. 60 IN A 192.0.2.10"), "{said}");
}

#[tokio::test]
async fn what_is_expected_and_does_not_come_is_a_failure() {
    let outcome = ask(&[good().await], json!({"expect": "192.0.2.10"})).await;
    assert_eq!(
        outcome.text,
        "DNS of this machine answered www.test.example A: 192.0.2.10, as expected"
    );
    let outcome = ask(&[good().await], json!({"expect": "192.0.2.66"})).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(
        outcome.text,
        "DNS of this machine answered www.test.example A: 192.0.2.10; expected 192.0.2.66 and no other"
    );
    let line = "name servers of this machine: expected 192.0.2.66 and no other";
    assert_eq!(outcome.log, ["('www.test.example.', 'A', '192.0.2.10')", line]);
}

#[tokio::test]
async fn a_name_may_have_to_be_absent() {
    let absent = json!({"absent": true});
    let outcome = ask(&[failing(ResponseCode::NXDomain).await], absent.clone()).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(
        outcome.text,
        "DNS of this machine: there is no name www.test.example (NXDOMAIN), as expected"
    );
    let outcome = ask(&[failing(ResponseCode::NoError).await], absent.clone()).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    let outcome = ask(&[failing(ResponseCode::ServFail).await], absent.clone()).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    let outcome = ask(&[good().await], absent).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(outcome.text.ends_with(": 192.0.2.10; expected no such record"), "{}", outcome.text);
}

#[tokio::test]
async fn where_a_server_fails_the_next_is_asked() {
    let servers =
        [silent().await, failing(ResponseCode::Refused).await, good().await, silent().await];
    let outcome = ask(&servers, json!({})).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert_eq!(
        outcome.text,
        "DNS of this machine answered www.test.example A: 192.0.2.10 (<0>: it did not answer in time: \
         nothing came back over UDP (is the machine up, does a firewall drop it?); <1>: it refuses to answer \
         (REFUSED): it does not serve this zone, or not to this machine)"
    );

    // That there is no such name is an answer.
    let outcome = ask(&[failing(ResponseCode::NXDomain).await, good().await], json!({})).await;
    let text = "DNS of this machine: there is no name www.test.example (NXDOMAIN)";
    assert_eq!((outcome.verdict, &*outcome.text), (Verdict::Fail, text));

    let both = [failing(ResponseCode::NotImp).await, failing(ResponseCode::NotAuth).await];
    let outcome = ask(&both, json!({})).await;
    assert_eq!(
        outcome.text,
        "DNS of this machine: <0>: it does not know this kind of question (NOTIMP); <1>: it answered with an error (NOTAUTH)"
    );
}

#[tokio::test]
async fn a_lost_packet_is_sent_again_and_strays_are_waited_through() {
    let forgetful = server(|nth, question| match nth {
        0 => Vec::new(),
        _ => {
            let mut stray = answered(question.clone());
            stray.metadata.id ^= 1;
            vec![stray, question.clone(), answered(question)]
        }
    });
    let outcome = ask(&[forgetful.await], json!({})).await;
    assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
    let said = outcome.conversation.join("\n");
    assert_eq!(said.matches("> www.test.example A").count(), 2, "{said}");
    assert!(said.contains("* something came that has another number"), "{said}");
    assert!(said.contains("* something came that is the question itself"), "{said}");
}

#[tokio::test]
async fn an_answer_must_be_authentic_where_that_is_asked_for() {
    let validates = |question: Message, well: bool| {
        let asks = question.metadata.authentic_data
            && question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        let mut reply = answered(question);
        reply.metadata.authentic_data = asks && well;
        vec![reply]
    };
    let wants = json!({"dnssec": true});
    let good = server(move |_, question| validates(question, true)).await;
    let outcome = ask(&[good], wants.clone()).await;
    assert_eq!(outcome.verdict, Verdict::Pass);
    assert!(outcome.text.ends_with(": 192.0.2.10, authenticated"), "{}", outcome.text);
    let bad = server(move |_, question| validates(question, false)).await;
    let outcome = ask(&[bad], wants).await;
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(
        outcome.text,
        "DNS of this machine: its answer about www.test.example A is not authenticated (DNSSEC): the zone is not signed, or it does not validate"
    );
}

#[tokio::test]
async fn the_servers_of_this_machine_are_those_of_its_resolv_conf() {
    let options = json!({"timeout": 0.1, "port": 9, "reqName": "localhost"});
    let outcome = look(&*probe("dns", options)).await;
    let asked = &outcome.conversation[0];
    let file = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for line in file.lines() {
        if let Some(server) = line.strip_prefix("nameserver ").map(str::trim) {
            assert!(asked.starts_with("* this machine asks ") && asked.contains(server), "{asked}");
        }
    }
}

#[test]
fn options_that_make_no_question_are_told() {
    for (options, wrong) in [
        (json!({}), &[][..]),
        (json!({"hostname": "", "reqName": "", "reqType": ""}), &[]),
        (json!({"hostname": null, "reqType": "soa", "reqTcp": true, "port": 53}), &[]),
        (json!({"hostname": "fe80::1%lo", "reqType": "ptr", "reqName": "192.0.2.1"}), &[]),
        (json!({"reqType": "ANY"}), &["reqType"]),
        (json!({"reqType": "AXFR", "reqName": "a..b"}), &["reqType", "reqName"]),
        (json!({"reqType": "PTR", "reqName": "www.example.org"}), &["reqName"]),
        (json!({"reqType": "A", "reqName": "192.0.2.1"}), &["reqName"]),
        (json!({"hostname": "a:b", "port": 0, "timeout": -1}), &["hostname", "port", "timeout"]),
        (
            json!({"reqType": 5, "ipVersion": "5", "dnssec": "yes"}),
            &["ipVersion", "reqType", "dnssec"],
        ),
        (json!({"reqType": "A", "expect": "mx"}), &["expect"]),
    ] {
        assert_eq!(faults("dns", options.clone()), wrong, "{options}");
    }
}
