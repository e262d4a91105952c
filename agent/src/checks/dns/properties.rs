//! What must hold of what name servers answer, and of what is expected of them. See [`crate::checks::properties`].

use super::{question::Question, rdata::Rdata, reply::Reply};
use crate::checks::{net::Steps, properties::fit};

/// The reply of a name server, to the question for the records of `org` of the type that the first two bytes say.
pub fn dns_reply(bytes: &[u8]) {
    let Some((kind, message)) = bytes.split_first_chunk() else { return };
    let kind = u16::from_be_bytes(*kind).into();
    let Some(question) = Question::about("org", kind) else { return };
    let id = message.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
    match Reply::read(message, id, &question, &mut Steps::default()) {
        Ok(reply) => {
            reply.answers.iter().for_each(|answer| fit(&answer.to_string()));
            reply.reason.iter().for_each(|reason| fit(reason));
        }
        Err(stray) => fit(&stray.to_string()),
    }
}

/// What a record is expected to be, of the type that the first two bytes say.
pub fn dns_record(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first_chunk() else { return };
    let kind = u16::from_be_bytes(*kind).into();
    let Some(record) = Rdata::parse(kind, &String::from_utf8_lossy(text)) else { return };
    let written = record.to_string();
    fit(&written);
    assert_eq!(Rdata::parse(kind, &written).as_ref(), Some(&record), "{written}");
}
