//! A message on its way through the gate.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rumqttd::protocol::PublishProperties;

/// What every accepted message is to the hub's own consumer.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Client id of the publisher.
    pub client: Arc<str>,
    /// Topic, valid.
    pub topic: Arc<str>,
    /// Payload as it was sent.
    pub payload: Bytes,
    /// Whether it was published as retained. With an empty payload: the retained message was deleted.
    pub retain: bool,
}

/// A message that the gate delivers itself.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Arc<str>,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) properties: Option<Arc<PublishProperties>>,
    /// When it expires, by MQTT 5's message expiry.
    pub(super) expires: Option<SystemTime>,
}

/// The deadline of a message's expiry interval.
pub(super) fn deadline(
    properties: Option<&PublishProperties>,
    now: SystemTime,
) -> Option<SystemTime> {
    let seconds = properties?.message_expiry_interval?;
    now.checked_add(Duration::from_secs(seconds.into()))
}

/// Whole seconds left until a deadline; `None` once it has passed.
pub(super) fn left(expires: SystemTime, now: SystemTime) -> Option<u32> {
    let left = expires.duration_since(now).ok()?;
    Some(u32::try_from(left.as_secs()).unwrap_or(u32::MAX))
}

/// What stands in front of a payload inside the router: the router knows neither topics nor filters of clients, only
/// the numbered slots that `routes` gives to filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) topic: &'a str,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Number of the publishing session, for "no local".
    pub(super) origin: u32,
    /// Its place in the slot, in bytes, by which a subscriber's lag is known.
    pub(super) position: u64,
}

/// Bytes of an envelope around an empty topic.
const HEAD: usize = 15;

impl<'a> Envelope<'a> {
    /// Puts the envelope in front of a payload: both in one allocation.
    pub(super) fn seal(&self, payload: &[u8]) -> Bytes {
        let length = u16::try_from(self.topic.len()).unwrap_or(u16::MAX);
        let mut bytes = BytesMut::with_capacity(HEAD + self.topic.len() + payload.len());
        bytes.put_u8(self.qos << 1 | u8::from(self.retain));
        bytes.put_u32(self.origin);
        bytes.put_u64(self.position);
        bytes.put_u16(length);
        bytes.put_slice(self.topic.as_bytes());
        bytes.put_slice(payload);
        bytes.freeze()
    }

    /// The payload's place in what [`Envelope::seal`] made.
    pub(super) fn payload(&self, sealed: &Bytes) -> Bytes {
        sealed.slice(HEAD + self.topic.len()..)
    }

    /// Takes an envelope and its payload apart.
    pub(super) fn open(sealed: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = sealed.split_first_chunk::<HEAD>()?;
        let mut head = &head[..];
        let (flags, origin) = (head.get_u8(), head.get_u32());
        let (position, length) = (head.get_u64(), head.get_u16());
        let (topic, payload) = rest.split_at_checked(usize::from(length))?;
        let envelope = Self {
            topic: std::str::from_utf8(topic).ok()?,
            qos: flags >> 1,
            retain: flags & 1 != 0,
            origin,
            position,
        };
        Some((envelope, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_to_what_was_sealed() {
        let envelope =
            Envelope { topic: "ä/b", qos: 1, retain: true, origin: 77, position: 1 << 40 };
        let sealed = envelope.seal(b"payload");
        assert_eq!(envelope.payload(&sealed), &b"payload"[..]);
        assert_eq!(Envelope::open(&sealed), Some((envelope, &b"payload"[..])));
        assert_eq!(Envelope::open(&sealed[..16]), None);
    }
}
