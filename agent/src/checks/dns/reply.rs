//! What a name server replies. A message is gone through record by record, and only what answers the question is kept:
//! a few bytes of an answer can stand for hundreds in memory.

use std::fmt;

use fletchck_shared::outcome::LINE_BYTES;
use hickory_resolver::proto::{
    op::{Header, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RecordType},
    serialize::binary::{BinDecodable as _, BinDecoder},
};

use super::{codes, name, question::Question, rdata::Rdata, types};
use crate::checks::net::Steps;

/// Most answers that are kept.
pub(super) const ANSWERS: usize = 256;

/// Most records of it that are noted.
const NOTED: u32 = 100;

/// Most aliases that are followed, each to the next.
const ALIASES: usize = 16;

/// The type of what EDNS adds to a message, and the option that says more of an error (RFC 8914).
const OPT: u16 = 41;
const EXTENDED_ERROR: u16 = 15;

/// A reply to a question.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// How it went (RFC 6895 section 2.3).
    pub(super) code: u16,
    /// Whether it was too long, and is cut off.
    pub(super) truncated: bool,
    /// Whether the server has validated it.
    pub(super) authentic: bool,
    /// Whether the server knows it of its own.
    pub(super) authoritative: bool,
    /// Records that answer the question, without what occurs twice.
    pub(super) answers: Vec<Rdata>,
    /// How many more there are.
    pub(super) more: usize,
    /// The name that has them, if the one that was asked about is its alias.
    pub(super) alias: Option<Name>,
    /// Whether it names servers that know, in place of an answer.
    pub(super) refers: bool,
    /// What it adds to an error, in words.
    pub(super) reason: Option<String>,
}

/// Why a message is no reply to a question: a clause that goes on from `it sent something that`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stray {
    Garbled,
    Echo,
    OtherNumber,
    OtherQuestion(String),
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Garbled => f.write_str("is no message of the DNS, or a broken one"),
            Self::Echo => f.write_str("is the question itself, sent back"),
            Self::OtherNumber => f.write_str("has another number than the question"),
            Self::OtherQuestion(other) => write!(f, "answers another question, `{other}`"),
        }
    }
}

impl Reply {
    /// Reads the reply to a question that was asked under this number.
    pub(super) fn read(
        message: &[u8],
        id: u16,
        question: &Question,
        steps: &mut Steps,
    ) -> Result<Self, Stray> {
        let mut decoder = BinDecoder::new(message);
        let header = Header::read(&mut decoder).map_err(|_| Stray::Garbled)?;
        // Further questions would only be there to fill the memory.
        if header.counts.queries > 1 || header.op_code != OpCode::Query {
            return Err(Stray::Garbled);
        }
        let asked = match header.counts.queries {
            0 => None,
            _ => Some(Query::read(&mut decoder).map_err(|_| Stray::Garbled)?),
        };
        if header.id != id {
            return Err(Stray::OtherNumber);
        }
        if header.message_type == MessageType::Query {
            return Err(Stray::Echo);
        }
        let code = u16::from(header.response_code);
        match asked {
            Some(asked)
                if asked.name != question.name
                    || asked.query_type != question.kind
                    || asked.query_class != DNSClass::IN =>
            {
                let (name, kind) = (name::told(&asked.name), types::name(asked.query_type));
                let mut other = format!("{name} {kind}");
                other.truncate(other.floor_char_boundary(120));
                return Err(Stray::OtherQuestion(other));
            }
            // Whoever does not understand the question may leave it out.
            None if code == codes::NOERROR => return Err(Stray::Garbled),
            _ => {}
        }
        let mut reply = Self {
            code,
            truncated: header.truncation,
            authentic: header.authentic_data,
            authoritative: header.authoritative,
            ..Self::default()
        };
        let flags = [
            (header.authoritative, " aa"),
            (header.truncation, " tc"),
            (header.recursion_desired, " rd"),
            (header.recursion_available, " ra"),
            (header.authentic_data, " ad"),
        ];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        steps.got(&format!("id {id}, {},{flags}, {} bytes", codes::name(code), message.len()));
        let answers = decoder.index();
        let counts = header.counts;
        match reply.sections(
            &mut decoder,
            [counts.answers, counts.authorities, counts.additionals],
            steps,
        ) {
            Some(()) => {}
            // Some servers cut a message off in the middle of a record.
            None if reply.truncated => return Ok(reply),
            None => return Err(Stray::Garbled),
        }
        let place = u16::try_from(answers).map_err(|_| Stray::Garbled)?;
        let start = || BinDecoder::new(message).clone(place);
        reply.answer(start, counts.answers, question).ok_or(Stray::Garbled)?;
        Ok(reply)
    }

    /// Goes through all records: notes them, and sees what is beside the answers.
    fn sections(
        &mut self,
        decoder: &mut BinDecoder<'_>,
        counts: [u16; 3],
        steps: &mut Steps,
    ) -> Option<()> {
        let [answers, authorities, additionals] = counts;
        let mut knows = false;
        for nth in 0..u32::from(answers) + u32::from(authorities) {
            let record = Record::read(decoder)?;
            if nth >= answers.into() {
                knows |= record.kind == RecordType::SOA;
                self.refers |= record.kind == RecordType::NS;
            }
            if nth < NOTED {
                steps.got(&record.line());
            }
        }
        self.refers &= answers == 0 && !knows && !self.authoritative;
        for _ in 0..additionals {
            let record = Record::read(decoder)?;
            if u16::from(record.kind) == OPT {
                // The upper half of the code (RFC 6891 section 6.1.3).
                self.code |= u16::try_from(record.ttl >> 24).ok()? << 4;
                self.reason = self.reason.take().or_else(|| reason(record.data));
            }
        }
        Some(())
    }

    /// Finds what answers the question, where aliases lead.
    fn answer<'a>(
        &mut self,
        start: impl Fn() -> BinDecoder<'a>,
        count: u16,
        question: &Question,
    ) -> Option<()> {
        let mut owner = question.name.clone();
        for _ in 0..=ALIASES {
            let mut next = None;
            let mut decoder = start();
            for _ in 0..count {
                let record = Record::read(&mut decoder)?;
                if record.class != u16::from(DNSClass::IN) || record.name != owner {
                    continue;
                }
                if record.kind == question.kind {
                    let rdata = record.rdata()?;
                    if self.answers.len() == ANSWERS {
                        self.more += 1;
                    } else if !self.answers.contains(&rdata) {
                        self.answers.push(rdata);
                    }
                } else if record.kind == RecordType::CNAME {
                    next = record.rdata()?.only_name().cloned();
                }
            }
            match next {
                Some(next) if self.answers.is_empty() => {
                    self.alias = Some(next.clone());
                    owner = next;
                }
                _ => break,
            }
        }
        Some(())
    }
}

/// A record as it stands in a message.
struct Record<'a> {
    name: Name,
    kind: RecordType,
    class: u16,
    ttl: u32,
    data: &'a [u8],
    /// At the beginning of what is in it: names in it may point back into the message.
    decoder: BinDecoder<'a>,
}

impl<'a> Record<'a> {
    fn read(decoder: &mut BinDecoder<'a>) -> Option<Self> {
        let name = Name::read(decoder).ok()?;
        let kind = RecordType::from(decoder.read_u16().ok()?.unverified());
        let class = decoder.read_u16().ok()?.unverified();
        let ttl = decoder.read_u32().ok()?.unverified();
        let length = decoder.read_u16().ok()?.unverified();
        let start = decoder.clone(u16::try_from(decoder.index()).ok()?);
        let data = decoder.read_slice(length.into()).ok()?.unverified();
        Some(Self { name, kind, class, ttl, data, decoder: start })
    }

    fn rdata(&self) -> Option<Rdata> {
        let place = u16::try_from(self.decoder.index()).ok()?;
        Rdata::read(self.kind, &mut self.decoder.clone(place), self.data.len())
    }

    /// The record as a zone file has it, cut where it becomes too long.
    fn line(&self) -> String {
        let class = match self.class {
            1 => "IN".to_owned(),
            other => format!("CLASS{other}"),
        };
        let rdata = self.rdata().map_or("(malformed)".into(), |rdata| rdata.line());
        let (name, kind) = (name::shown(&self.name), types::name(self.kind));
        let mut line = format!("{name} {} {class} {kind} {rdata}", self.ttl);
        line.truncate(line.floor_char_boundary(LINE_BYTES));
        line
    }
}

/// What an option says of an error, with its text.
fn reason(options: &[u8]) -> Option<String> {
    let mut decoder = BinDecoder::new(options);
    while !decoder.is_empty() {
        let code = decoder.read_u16().ok()?.unverified();
        let length = decoder.read_u16().ok()?.unverified();
        let data = decoder.read_slice(length.into()).ok()?.unverified();
        if code == EXTENDED_ERROR {
            let (info, text) = data.split_first_chunk()?;
            return Some(codes::extended(u16::from_be_bytes(*info), text));
        }
    }
    None
}

#[cfg(test)]
mod tests;
