//! What is in a record: read from the wire and from text, shown as text, and compared. The shapes of its parts are those
//! of its type; the text is that of a zone file, which is what the original logs.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDateTime};
use fletchck_shared::outcome::LINE_BYTES;
use hickory_resolver::proto::{
    rr::{Name, RecordType},
    serialize::binary::{BinDecodable as _, BinDecoder},
};

use super::{
    name,
    params::Param,
    text,
    types::{self, Shape},
};
use crate::checks::brief::brief;

/// Form of a time in a signature (RFC 4034 section 3.2).
const TIME: &str = "%Y%m%d%H%M%S";

/// Digits of hexadecimal and of base64 that stand together.
const HEX_DIGITS: usize = 128;
const BASE64_DIGITS: usize = 32;

/// What is in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rdata(Vec<Field>);

/// One part of it. Names are equal in capitals or not.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Number(u32),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Name(Name),
    Text(Vec<u8>),
    Word(Word),
    Hex(Vec<u8>),
    Base64(Vec<u8>),
    Kind(RecordType),
    Time(u32),
    Param(Param),
    Opaque(Vec<u8>),
}

/// A word in which case does not matter.
#[derive(Clone, Debug, Eq)]
struct Word(Vec<u8>);

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Rdata {
    /// Reads what is in a record of this type at this place of a message, in as many bytes. `None` if it is malformed.
    pub(super) fn read(
        kind: RecordType,
        decoder: &mut BinDecoder<'_>,
        length: usize,
    ) -> Option<Self> {
        let end = decoder.index() + length;
        let shapes = types::shapes(kind);
        let mut fields = Vec::with_capacity(shapes.len());
        if shapes.is_empty() {
            fields.push(Field::Opaque(rest(decoder, end)?));
        }
        for shape in shapes {
            shape.read(decoder, end, &mut fields)?;
        }
        (decoder.index() == end).then_some(Self(fields))
    }

    /// Reads text: the parts of its type, or for any type `\# LENGTH HEX` (RFC 3597 section 5).
    pub(super) fn parse(kind: RecordType, line: &str) -> Option<Self> {
        let words = text::words(line)?;
        let mut words = words.iter().map(String::as_str).peekable();
        if words.next_if_eq(&"\\#").is_some() {
            let length: usize = words.next()?.parse().ok()?;
            let bytes = unhex(&words.collect::<String>())?;
            if bytes.len() != length {
                return None;
            }
            return Self::read(kind, &mut BinDecoder::new(&bytes), length);
        }
        let mut fields = Vec::new();
        for shape in types::shapes(kind) {
            shape.parse(&mut words, &mut fields)?;
        }
        (words.next().is_none() && !fields.is_empty()).then_some(Self(fields))
    }

    /// Its texts, if it is made of nothing else.
    pub(super) fn texts(&self) -> Option<Vec<&[u8]>> {
        let text = |field: &Field| matches!(field, Field::Text(_));
        if self.0.is_empty() || !self.0.iter().all(text) {
            return None;
        }
        Some(self.0.iter().filter_map(Field::text).collect())
    }

    /// The name it leads to, if that is all there is in it.
    pub(super) fn only_name(&self) -> Option<&Name> {
        match &*self.0 {
            [Field::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// The number at this place of it.
    pub(super) fn number(&self, nth: usize) -> Option<u32> {
        match self.0.get(nth) {
            Some(Field::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// Its text as far as a line has room for it.
    pub(super) fn line(&self) -> String {
        brief(self, LINE_BYTES).0
    }

    /// Its text with no dot at the end of names, as patterns are written.
    pub(super) fn undotted(&self) -> String {
        let undotted = |field: &Field| match field {
            Field::Name(name) => name::told(name),
            other => other.to_string(),
        };
        self.0.iter().map(undotted).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("\\# 0");
        }
        for (nth, field) in self.0.iter().enumerate() {
            let space = if nth == 0 { "" } else { " " };
            write!(f, "{space}{field}")?;
        }
        Ok(())
    }
}

impl Field {
    fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Ipv4(address) => write!(f, "{address}"),
            Self::Ipv6(address) => write!(f, "{address}"),
            Self::Name(name) => f.write_str(&name::shown(name)),
            Self::Text(text) => write!(f, "\"{}\"", text::escape(text)),
            Self::Word(Word(word)) => f.write_str(&text::escape(word).replace(' ', "\\032")),
            Self::Hex(bytes) => f.write_str(&in_groups(&hex(bytes), HEX_DIGITS)),
            Self::Base64(bytes) => f.write_str(&in_groups(&STANDARD.encode(bytes), BASE64_DIGITS)),
            Self::Kind(kind) => f.write_str(&types::name(*kind)),
            Self::Time(time) => match DateTime::from_timestamp((*time).into(), 0) {
                Some(time) => write!(f, "{}", time.format(TIME)),
                None => write!(f, "{time}"),
            },
            Self::Param(param) => write!(f, "{param}"),
            Self::Opaque(bytes) => {
                write!(f, "\\# {} {}", bytes.len(), in_groups(&hex(bytes), HEX_DIGITS))
            }
        }
    }
}

impl Shape {
    /// Reads what is of this shape, at most up to a place in the message.
    fn read(self, decoder: &mut BinDecoder<'_>, end: usize, fields: &mut Vec<Field>) -> Option<()> {
        let two = |decoder: &mut BinDecoder<'_>| Some(decoder.read_u16().ok()?.unverified());
        let four = |decoder: &mut BinDecoder<'_>| Some(decoder.read_u32().ok()?.unverified());
        fields.push(match self {
            Self::U8 => Field::Number(decoder.read_u8().ok()?.unverified().into()),
            Self::U16 => Field::Number(two(decoder)?.into()),
            Self::U32 => Field::Number(four(decoder)?),
            Self::Ipv4 => Field::Ipv4(four(decoder)?.into()),
            Self::Ipv6 => {
                let bytes = decoder.read_slice(16).ok()?.unverified();
                Field::Ipv6(<[u8; 16]>::try_from(bytes).ok()?.into())
            }
            Self::Name => Field::Name(Name::read(decoder).ok()?),
            Self::Text => Field::Text(short(decoder)?),
            Self::Texts => {
                while decoder.index() < end {
                    fields.push(Field::Text(short(decoder)?));
                }
                return Some(());
            }
            Self::Word => Field::Word(Word(short(decoder).filter(|word| !word.is_empty())?)),
            Self::Rest => Field::Text(rest(decoder, end)?),
            Self::Hex => Field::Hex(rest(decoder, end)?),
            Self::Base64 => Field::Base64(rest(decoder, end)?),
            Self::Kind => Field::Kind(two(decoder)?.into()),
            Self::Time => Field::Time(four(decoder)?),
            Self::Params => {
                let mut next = 0;
                while decoder.index() < end {
                    let (key, length) = (two(decoder)?, two(decoder)?);
                    // They are in order, each at most once.
                    next = (u32::from(key) >= next).then_some(u32::from(key) + 1)?;
                    let value = decoder.read_slice(length.into()).ok()?.unverified().to_vec();
                    fields.push(Field::Param(Param { key, value }));
                }
                return Some(());
            }
        });
        Some(())
    }

    /// Reads what is of this shape from the next word, or from all of them.
    fn parse<'a>(
        self,
        words: &mut impl Iterator<Item = &'a str>,
        fields: &mut Vec<Field>,
    ) -> Option<()> {
        let number = |word: &str, most: u32| {
            let digits = word.bytes().all(|byte| byte.is_ascii_digit());
            word.parse().ok().filter(|number| digits && *number <= most)
        };
        let short = |word: &str| text::meaning(word).filter(|text| text.len() <= 255);
        fields.push(match self {
            Self::U8 => Field::Number(number(words.next()?, u8::MAX.into())?),
            Self::U16 => Field::Number(number(words.next()?, u16::MAX.into())?),
            Self::U32 => Field::Number(number(words.next()?, u32::MAX)?),
            Self::Ipv4 => Field::Ipv4(words.next()?.parse().ok()?),
            Self::Ipv6 => Field::Ipv6(words.next()?.parse().ok()?),
            Self::Name => Field::Name(name::parse(words.next()?)?),
            Self::Text => Field::Text(short(words.next()?)?),
            Self::Texts => {
                for word in words {
                    fields.push(Field::Text(short(word)?));
                }
                return Some(());
            }
            Self::Word => Field::Word(Word(short(words.next()?).filter(|word| !word.is_empty())?)),
            Self::Rest => Field::Text(text::meaning(words.next()?)?),
            Self::Hex => Field::Hex(unhex(&words.collect::<String>())?),
            Self::Base64 => Field::Base64(STANDARD.decode(words.collect::<String>()).ok()?),
            Self::Kind => Field::Kind(types::named(words.next()?)?),
            Self::Time => {
                let time = NaiveDateTime::parse_from_str(words.next()?, TIME).ok()?;
                Field::Time(time.and_utc().timestamp().try_into().ok()?)
            }
            Self::Params => {
                let mut params = words.map(Param::parse).collect::<Option<Vec<_>>>()?;
                params.sort();
                if !params.is_sorted_by(|one, next| one.key < next.key) {
                    return None;
                }
                fields.extend(params.into_iter().map(Field::Param));
                return Some(());
            }
        });
        Some(())
    }
}

/// A text behind its length.
fn short(decoder: &mut BinDecoder<'_>) -> Option<Vec<u8>> {
    Some(decoder.read_character_data().ok()?.unverified().to_vec())
}

fn rest(decoder: &mut BinDecoder<'_>, end: usize) -> Option<Vec<u8>> {
    let length = end.checked_sub(decoder.index())?;
    Some(decoder.read_slice(length).ok()?.unverified().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

/// Digits in groups of as many, as the original shows them.
fn in_groups(digits: &str, size: usize) -> String {
    let groups = digits.as_bytes().chunks(size).map(|group| String::from_utf8_lossy(group));
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
