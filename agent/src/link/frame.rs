//! Packets cut out of a stream of bytes. What is too large is skipped and not read: a connection that ended at one would
//! meet it again at every return, where a broker keeps it.

use bytes::{Buf, BytesMut};
use fletchck_shared::wire::PAYLOAD_MAX;

use super::packet::length;

/// Largest packet that is taken, in bytes: a payload at its limit, with its topic and room for properties.
pub(crate) const PACKET_MAX: usize = PAYLOAD_MAX + 8 * 1024;

/// Cuts a stream of bytes into packets.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What was read and not yet cut.
    pub(crate) buffer: BytesMut,
    /// Bytes of a message too large that are still to come.
    skip: usize,
}

/// One cut.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    /// A whole packet.
    Whole(BytesMut),
    /// A message too large, whose payload is skipped.
    TooLarge {
        /// Its topic.
        topic: String,
        /// Its packet id, 0 with QoS 0.
        id: u16,
        /// Its QoS.
        qos: u8,
        /// Whether the broker had kept it.
        retain: bool,
        /// Its bytes.
        bytes: usize,
    },
}

impl Frames {
    /// The next cut; `None` where more bytes are needed.
    ///
    /// # Errors
    /// The bytes are not MQTT.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, String> {
        let skipped = self.skip.min(self.buffer.len());
        self.buffer.advance(skipped);
        self.skip -= skipped;
        let Some(&first) = self.buffer.first() else { return Ok(None) };
        let Some((digits, rest)) = length(&self.buffer[1..]) else {
            return match self.buffer.len() {
                0..5 => Ok(None),
                _ => Err("a length of more than four bytes".into()),
            };
        };
        let bytes = 1 + digits + rest;
        if bytes <= PACKET_MAX {
            if self.buffer.len() < bytes {
                self.buffer.reserve(bytes - self.buffer.len());
                return Ok(None);
            }
            return Ok(Some(Frame::Whole(self.buffer.split_to(bytes))));
        }
        if first >> 4 != 3 {
            return Err(format!("a packet of type {} with {bytes} bytes", first >> 4));
        }
        let Some(Head { topic, id, qos }) = head(&self.buffer[..])? else { return Ok(None) };
        let topic = String::from_utf8_lossy(topic).into_owned();
        self.skip = bytes;
        Ok(Some(Frame::TooLarge { topic, id, qos, retain: first & 1 == 1, bytes }))
    }
}

/// What a message begins with.
#[derive(Debug, PartialEq)]
pub(crate) struct Head<'a> {
    pub(crate) topic: &'a [u8],
    /// Packet id, 0 with QoS 0.
    pub(crate) id: u16,
    pub(crate) qos: u8,
}

/// Topic, id and QoS of the message that some bytes begin with; `None` where more bytes are needed.
///
/// # Errors
/// The topic is longer than the packet.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head<'_>>, String> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((digits, rest)) = length(rest) else { return Ok(None) };
    let (head, qos) = (1 + digits, first >> 1 & 3);
    let number =
        |at: usize| bytes.get(at..at + 2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let Some(topic) = number(head) else { return Ok(None) };
    let end = head + 2 + usize::from(topic);
    if end + if qos == 0 { 0 } else { 2 } > head + rest {
        return Err("a topic beyond its packet".into());
    }
    let id = if qos == 0 { Some(0) } else { number(end) };
    Ok(bytes.get(head + 2..end).zip(id).map(|(topic, id)| Head { topic, id, qos }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(frames: &mut Frames, stream: &[u8], step: usize) -> Vec<Frame> {
        let mut cuts = Vec::new();
        for bytes in stream.chunks(step) {
            frames.buffer.extend_from_slice(bytes);
            while let Some(frame) = frames.next().expect("valid") {
                cuts.push(frame);
            }
        }
        cuts
    }

    #[test]
    fn a_message_too_large_is_skipped_and_the_next_packet_is_read() {
        let payload = 3 * 1024 * 1024;
        let rest = 2 + 3 + 2 + payload;
        let digits: Vec<u8> =
            (0..4).map(|n| (rest >> (7 * n) & 0x7f) as u8 | if n < 3 { 0x80 } else { 0 }).collect();
        let mut stream = [&[0x32][..], &digits, &[0, 3], b"a/b", &[0, 9]].concat();
        stream.resize(1 + 4 + rest, 0xff);
        stream.extend_from_slice(&[0xd0, 0]);
        for step in [1000, 4096, stream.len()] {
            let mut frames = Frames::default();
            let cuts = cut(&mut frames, &stream, step);
            let bytes = 1 + 4 + rest;
            let large =
                Frame::TooLarge { topic: "a/b".into(), id: 9, qos: 1, retain: false, bytes };
            assert_eq!(cuts, [large, Frame::Whole(BytesMut::from(&[0xd0, 0][..]))], "{step}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            stream in proptest::collection::vec(any::<u8>(), 0..400), step in 1..50usize
        ) {
            let _head = head(&stream);
            let mut frames = Frames::default();
            'all: for bytes in stream.chunks(step) {
                frames.buffer.extend_from_slice(bytes);
                loop {
                    match frames.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                }
            }
        }
    }
}
