//! MQTT 3.1.1 and 5 on the wire: framing, what a client may send, what the gate answers.
//!
//! CONNECT, SUBSCRIBE, UNSUBSCRIBE and MQTT 5 properties are read by rumqttd's codec, which panics on packets that only a
//! broker sends and takes some truncated packets for incomplete ones. So packets are framed here, the header byte is
//! judged before anything is decoded, and the frequent packets never reach that codec.

mod reading;
mod v3;
mod v5;
mod writing;

use bytes::{BufMut, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{DisconnectReasonCode, Packet, Protocol};

pub(super) use self::reading::{Inbound, Published};
pub(super) use self::v5::{read_properties, write_properties};
pub(super) use self::writing::{Outgoing, router_id};

const CONNECT: u8 = 0x10;

/// Largest packet of MQTT: 28 bits of remaining length.
pub(super) const PACKET_MAX: usize = 268_435_455;

/// Which of the two protocols a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

/// Why a connection is closed for what it sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    #[error("packet not allowed here: {0}")]
    Protocol(&'static str),
    #[error("packet of {0} bytes is over the limit")]
    TooLarge(usize),
    #[error("topic alias, though none was offered")]
    Alias,
    #[error("topic is not one")]
    Topic,
}

impl Fault {
    /// The reason an MQTT 5 client is told.
    pub(super) fn reason(&self) -> DisconnectReasonCode {
        match self {
            Self::Malformed(_) => DisconnectReasonCode::MalformedPacket,
            Self::Protocol(_) => DisconnectReasonCode::ProtocolError,
            Self::TooLarge(_) => DisconnectReasonCode::PacketTooLarge,
            Self::Alias => DisconnectReasonCode::TopicAliasInvalid,
            Self::Topic => DisconnectReasonCode::TopicNameInvalid,
        }
    }
}

/// One whole packet at the start of a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// First byte: type and flags.
    pub(super) header: u8,
    /// All bytes of the packet.
    pub(super) whole: &'a [u8],
    /// Bytes after the fixed header.
    pub(super) body: &'a [u8],
}

/// Cuts the first packet off a buffer. `None`: it is not whole yet.
///
/// # Errors
/// The length is malformed or more than `max` bytes.
pub(super) fn frame(buffer: &[u8], max: usize) -> Result<Option<Frame<'_>>, Fault> {
    let Some((&header, rest)) = buffer.split_first() else { return Ok(None) };
    let Some((length, digits)) = variable(rest)? else { return Ok(None) };
    let start = 1 + digits;
    if start + length > max {
        return Err(Fault::TooLarge(start + length));
    }
    let Some(whole) = buffer.get(..start + length) else { return Ok(None) };
    Ok(Some(Frame { header, whole, body: &whole[start..] }))
}

/// Reads MQTT's variable byte integer: the number and its length. `None`: more bytes are needed.
fn variable(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Fault::Malformed("length")) }
}

/// The protocol level byte of a CONNECT, whatever the version: `Ok(None)` where the frame is no CONNECT of MQTT.
pub(super) fn level(frame: &Frame<'_>) -> Option<u8> {
    if frame.header != CONNECT {
        return None;
    }
    let (name, rest) = text(frame.body).ok()?;
    matches!(name, "MQTT" | "MQIsdp").then(|| rest.first().copied()).flatten()
}

impl Version {
    /// rumqttd's codec on one whole packet.
    fn read(self, whole: &[u8]) -> Result<Packet, Fault> {
        let mut bytes = BytesMut::from(whole);
        match self {
            Self::V3 => V4.read_mut(&mut bytes, PACKET_MAX),
            Self::V5 => V5.read_mut(&mut bytes, PACKET_MAX),
        }
        .map_err(|_| Fault::Malformed("content"))
    }

    /// rumqttd's codec for what is rarely written.
    fn write(self, packet: Packet, to: &mut BytesMut) {
        let written = match self {
            Self::V3 => V4.write(packet, to),
            Self::V5 => V5.write(packet, to),
        };
        if let Err(error) = written {
            tracing::error!(%error, "packet not written");
        }
    }
}

fn put_variable(mut value: usize, to: &mut BytesMut) {
    loop {
        let digit = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return to.put_u8(digit);
        }
        to.put_u8(digit | 0x80);
    }
}

fn id(body: &[u8]) -> Result<(u16, &[u8]), Fault> {
    match body.split_first_chunk::<2>() {
        Some((&bytes, rest)) if bytes != [0, 0] => Ok((u16::from_be_bytes(bytes), rest)),
        _ => Err(Fault::Malformed("packet id")),
    }
}

fn text(body: &[u8]) -> Result<(&str, &[u8]), Fault> {
    let (&length, rest) = body.split_first_chunk::<2>().ok_or(Fault::Malformed("text"))?;
    let (text, rest) = rest
        .split_at_checked(usize::from(u16::from_be_bytes(length)))
        .ok_or(Fault::Malformed("text"))?;
    Ok((std::str::from_utf8(text).map_err(|_| Fault::Malformed("text"))?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rumqttd::protocol::PublishProperties;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(
            header: u8,
            mut bytes in prop::collection::vec(prop_oneof![0_u8..45, any::<u8>()], 2..80),
            v5: bool,
            whole: bool,
        ) {
            bytes[0] = header;
            if whole {
                bytes[1] = bytes.len() as u8 - 2;
            }
            let version = if v5 { Version::V5 } else { Version::V3 };
            if let Ok(Some(frame)) = frame(&bytes, 1024) {
                let _packet = version.decode(&frame).is_ok();
                if level(&frame).is_some() {
                    let _connect = version.connect(&frame).is_ok();
                }
            }
        }

        #[test]
        fn what_is_written_is_read(topic in "[a-z/]{1,20}", payload: Vec<u8>, v5 in any::<bool>()) {
            let version = if v5 { Version::V5 } else { Version::V3 };
            let properties =
                PublishProperties { message_expiry_interval: Some(7), ..Default::default() };
            let mut bytes = BytesMut::new();
            let message = Outgoing {
                topic: &topic,
                payload: &payload,
                id: Some(9),
                retain: true,
                properties: Some(&properties),
            };
            prop_assert!(version.outgoing(&message, PACKET_MAX, &mut bytes));
            let whole = frame(&bytes, PACKET_MAX).expect("framed").expect("whole");
            let Ok(Inbound::Publish(read)) = version.decode(&whole) else { panic!("no publish") };
            prop_assert_eq!((read.topic, read.payload, read.id), (&topic[..], &payload[..], 9));
            prop_assert_eq!(read.properties, v5.then_some(properties));
        }
    }

    #[test]
    fn a_truncated_packet_is_malformed_and_not_awaited() {
        // A publish that ends where its properties should begin: rumqttd's codec asks for more bytes.
        let bytes = [0x30, 3, 0, 1, b'a'];
        let whole = frame(&bytes, 100).expect("framed").expect("whole");
        assert!(matches!(Version::V5.decode(&whole), Err(Fault::Malformed(_))));
    }
}
