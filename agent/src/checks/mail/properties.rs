//! What must hold of what mail servers answer. See [`crate::checks::properties`].

use serde_json::json;

use super::{
    Mail, Protocol, Security, Service, Stream, Wire,
    reply::{Reply, Response},
};
use crate::checks::{
    net::{Steps, failed},
    properties::{converse, look, made},
    smtp,
};
use fletchck_shared::Outcome;

/// This end, as it introduces itself.
const ME: &str = "[127.0.0.1]";

/// A password that no server may get a check to tell.
const PASSWORD: &str = "open sesame";

/// Part of a conversation.
#[derive(Clone, Copy)]
enum Part {
    /// What is said before TLS begins.
    BeforeTls,
    /// What is said in TLS that began with STARTTLS, or without a greeting for another reason.
    AfterTls,
    /// All of it.
    Whole,
}

/// Lines of an SMTP server, as one reply.
pub fn smtp_reply(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut reply = Reply::default();
    let mut complete = false;
    for line in text.lines() {
        match reply.add(line) {
            Ok(last) => complete = last,
            // What is no reply ends it, as on the network.
            Err(error) => return assert!(error.to_string().chars().count() <= 160),
        }
        assert!(reply.lines.len() <= 128 && (200..600).contains(&reply.code));
        if complete {
            break;
        }
    }
    assert!(reply.to_string().chars().count() <= 130);
    assert_eq!(reply.features().len(), reply.lines.len().saturating_sub(1));
    let Some((last, others)) = reply.lines.split_last().filter(|_| complete) else { return };
    let mut again = Reply::default();
    for line in others {
        assert_eq!(again.add(&format!("{}-{line}", reply.code)), Ok(false));
    }
    assert_eq!(again.add(&format!("{} {last}", reply.code)), Ok(true));
    assert_eq!(again, reply);
}

/// Lines of an IMAP server.
pub fn imap_response(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        let Some(response) = Response::read(line) else { continue };
        let again = match response {
            Response::Untagged(name, text) => format!("* {name} {text}"),
            Response::Tagged(tag, status, text) => format!("{tag} {} {text}", status.word()),
            Response::More(text) => format!("+ {text}"),
        };
        assert_eq!(Response::read(&again), Some(response));
    }
}

/// All that an SMTP server says in one conversation, before and after TLS begins.
pub fn smtp_conversation(bytes: &[u8]) {
    conversation(Protocol::Smtp, bytes);
}

/// All that an IMAP server says in one conversation, before and after TLS begins.
pub fn imap_conversation(bytes: &[u8]) {
    conversation(Protocol::Imap, bytes);
}

/// The first byte says how long the pieces are that the rest comes in, which part of a conversation it is, and whether
/// somebody logs in.
fn conversation(protocol: Protocol, bytes: &[u8]) {
    let Some((how, said)) = bytes.split_first() else { return };
    let (part, login) = match how >> 6 {
        0 => (Part::BeforeTls, false),
        1 => (Part::AfterTls, true),
        2 => (Part::Whole, false),
        _ => (Part::Whole, true),
    };
    let mut options = json!({ "hostname": "mail.example.org" });
    if login {
        options["username"] = "fletchck".into();
        options["password"] = PASSWORD.into();
    }
    let security = match part {
        Part::Whole => Security::Tls,
        Part::BeforeTls | Part::AfterTls => Security::Start,
    };
    let service = Service { name: "mail", protocol, security, port: 25, timeout: 6 };
    let mail = made(&smtp::KIND, &options, |options| Mail::read(options, service));
    let outcome = converse(said, usize::from(how & 0x3f), |server| spoken(&mail, part, server));
    let told = [&outcome.text].into_iter().chain(&outcome.log).chain(&outcome.conversation);
    for line in told.filter(|_| login) {
        assert!(!line.contains(PASSWORD), "a secret in {line:?}");
    }
}

async fn spoken<S: Stream>(mail: &Mail, part: Part, server: S) -> Outcome {
    let mut steps = Steps::default();
    if let Some(login) = &mail.login {
        login.hide(&mut steps);
    }
    let mut wire = Wire::new(server, &mut steps, Vec::new());
    let talked = match part {
        Part::BeforeTls => {
            let begun = mail.start_tls(&mut wire, ME).await;
            begun.map(|()| Outcome::pass("TLS begins").log(wire.log))
        }
        Part::AfterTls | Part::Whole => mail.session(wire, ME, None, &look()).await,
    };
    steps.complete(talked.unwrap_or_else(|error| failed(mail, &error)))
}
