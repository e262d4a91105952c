//! MQTT 3.1.1 and 5 on the wire: framing, what a client may send, what the gate answers.
//!
//! CONNECT, SUBSCRIBE, UNSUBSCRIBE and MQTT 5 properties are read by rumqttd's codec, which panics on packets that only a
//! broker sends and takes some truncated packets for incomplete ones. So packets are framed here, the header byte is
//! judged before anything is decoded, and the frequent packets never reach that codec.

use bytes::{BufMut, Bytes, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{
    ConnAck, ConnAckProperties, ConnectReturnCode, DisconnectReasonCode, Packet, Protocol, Publish,
    PublishProperties, SubAck, Subscribe, SubscribeReasonCode, UnsubAck, UnsubAckReason,
    Unsubscribe,
};

const CONNECT: u8 = 0x10;
const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

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

/// A packet from a connected client.
#[derive(Debug)]
pub(super) enum Inbound<'a> {
    Publish(Published<'a>),
    PubAck(u16),
    PubRel(u16),
    /// PUBREC and PUBCOMP: answers to a QoS the gate never sends.
    Idle,
    Subscribe(Subscribe, Option<usize>),
    Unsubscribe(Unsubscribe),
    Ping,
    /// The client leaves: whether its will is to be sent all the same, and the session expiry it now wants, in seconds.
    Disconnect {
        will: bool,
        expiry: Option<u32>,
    },
}

/// A PUBLISH, borrowed from the read buffer.
#[derive(Debug)]
pub(super) struct Published<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Packet id; 0 for QoS 0.
    pub(super) id: u16,
    pub(super) properties: Option<PublishProperties>,
}

/// What the gate writes as a PUBLISH.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// Packet id for QoS 1; `None` for QoS 0.
    pub(super) id: Option<u16>,
    pub(super) retain: bool,
    pub(super) properties: Option<&'a PublishProperties>,
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
    /// Reads a CONNECT.
    ///
    /// # Errors
    /// It is malformed.
    pub(super) fn connect(self, frame: &Frame<'_>) -> Result<Packet, Fault> {
        // The reserved flag must be zero; the codec does not look at it. The flags follow the name and the level.
        if frame.body.get(7).is_none_or(|flags| flags & 1 != 0) {
            return Err(Fault::Malformed("connect flags"));
        }
        self.read(frame.whole)
    }

    /// Reads a packet of a connected client.
    ///
    /// # Errors
    /// The packet is malformed, or none that a connected client may send.
    pub(super) fn decode<'a>(self, frame: &Frame<'a>) -> Result<Inbound<'a>, Fault> {
        let body = frame.body;
        match frame.header {
            header if header >> 4 == 3 => Ok(Inbound::Publish(self.publish(header, body)?)),
            0x40 => Ok(Inbound::PubAck(id(body)?.0)),
            0x50 | 0x70 => Ok(Inbound::Idle),
            0x62 => Ok(Inbound::PubRel(id(body)?.0)),
            0x82 => {
                id(body)?;
                match self.read(frame.whole)? {
                    Packet::Subscribe(subscribe, properties) => {
                        let number = properties.and_then(|properties| properties.id);
                        if number == Some(0) {
                            return Err(Fault::Protocol("subscription identifier 0"));
                        }
                        Ok(Inbound::Subscribe(subscribe, number))
                    }
                    _ => Err(Fault::Malformed("subscribe")),
                }
            }
            0xa2 => {
                id(body)?;
                match self.read(frame.whole)? {
                    Packet::Unsubscribe(packet, _) if packet.filters.is_empty() => {
                        Err(Fault::Protocol("unsubscribe without filters"))
                    }
                    Packet::Unsubscribe(packet, _) => Ok(Inbound::Unsubscribe(packet)),
                    _ => Err(Fault::Malformed("unsubscribe")),
                }
            }
            0xc0 if body.is_empty() => Ok(Inbound::Ping),
            0xe0 => self.disconnect(frame),
            header if header >> 4 == 1 => Err(Fault::Protocol("second connect")),
            header if matches!(header >> 4, 2 | 9 | 11 | 13 | 15) => {
                Err(Fault::Protocol("a packet that only a broker sends"))
            }
            _ => Err(Fault::Malformed("header")),
        }
    }

    fn publish(self, header: u8, body: &[u8]) -> Result<Published<'_>, Fault> {
        let qos = (header >> 1) & 3;
        if qos == 3 || (qos == 0 && header & 8 != 0) {
            return Err(Fault::Malformed("quality of service"));
        }
        let (topic, mut rest) = text(body)?;
        let mut number = 0;
        if qos > 0 {
            (number, rest) = id(rest)?;
        }
        let mut properties = None;
        if self == Self::V5 {
            let Some((length, digits)) = variable(rest)? else {
                return Err(Fault::Malformed("properties"));
            };
            let Some((block, payload)) = rest.split_at_checked(digits + length) else {
                return Err(Fault::Malformed("properties"));
            };
            rest = payload;
            if length > 0 {
                properties = Some(checked(read_properties(block)?)?);
            }
        }
        Ok(Published { topic, payload: rest, qos, retain: header & 1 != 0, id: number, properties })
    }

    fn disconnect<'a>(self, frame: &Frame<'_>) -> Result<Inbound<'a>, Fault> {
        let Some((&reason, properties)) = frame.body.split_first() else {
            return Ok(Inbound::Disconnect { will: false, expiry: None });
        };
        if self == Self::V3 {
            return Err(Fault::Malformed("disconnect"));
        }
        let mut expiry = None;
        if !properties.is_empty()
            && let Packet::Disconnect(_, Some(properties)) = self.read(frame.whole)?
        {
            expiry = properties.session_expiry_interval;
        }
        // Only the normal reason keeps the will back (MQTT 5, 3.14.4).
        Ok(Inbound::Disconnect { will: reason != 0, expiry })
    }

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

    /// Writes a CONNACK. Reasons that 3.1.1 has no number for become its nearest.
    pub(super) fn connack(
        self,
        code: ConnectReturnCode,
        session_present: bool,
        properties: Option<ConnAckProperties>,
        to: &mut BytesMut,
    ) {
        use ConnectReturnCode as Code;
        let (code, properties) = match (self, code) {
            (Self::V5, Code::ServiceUnavailable) => (Code::ServerUnavailable, properties),
            (Self::V5, Code::RefusedProtocolVersion) => {
                (Code::UnsupportedProtocolVersion, properties)
            }
            (Self::V5, code) => (code, properties),
            (
                Self::V3,
                code @ (Code::Success
                | Code::RefusedProtocolVersion
                | Code::ClientIdentifierNotValid
                | Code::ServiceUnavailable
                | Code::BadUserNamePassword
                | Code::NotAuthorized),
            ) => (code, None),
            (Self::V3, Code::Banned | Code::BadAuthenticationMethod | Code::TopicNameInvalid) => {
                (Code::NotAuthorized, None)
            }
            (Self::V3, _) => (Code::ServiceUnavailable, None),
        };
        self.write(Packet::ConnAck(ConnAck { session_present, code }, properties), to);
    }

    /// Writes a SUBACK. 3.1.1 knows only one way to fail.
    pub(super) fn suback(
        self,
        pkid: u16,
        mut return_codes: Vec<SubscribeReasonCode>,
        to: &mut BytesMut,
    ) {
        use SubscribeReasonCode as Code;
        if self == Self::V3 {
            for code in &mut return_codes {
                if !matches!(code, Code::QoS0 | Code::QoS1) {
                    *code = Code::Failure;
                }
            }
        }
        self.write(Packet::SubAck(SubAck { pkid, return_codes }, None), to);
    }

    /// Writes an UNSUBACK; `known` says of each filter whether there was a subscription.
    pub(super) fn unsuback(self, pkid: u16, known: &[bool], to: &mut BytesMut) {
        let reasons = known
            .iter()
            .map(|known| match known {
                true => UnsubAckReason::Success,
                false => UnsubAckReason::NoSubscriptionExisted,
            })
            .collect();
        self.write(Packet::UnsubAck(UnsubAck { pkid, reasons }, None), to);
    }

    /// Writes the answer to a PUBLISH of QoS 1. `reason` is left out for 3.1.1, which has none.
    pub(super) fn puback(self, id: u16, reason: u8, to: &mut BytesMut) {
        self.ack(PUBACK, id, reason, to);
    }

    /// Writes the first answer to a PUBLISH of QoS 2.
    pub(super) fn pubrec(self, id: u16, reason: u8, to: &mut BytesMut) {
        self.ack(PUBREC, id, reason, to);
    }

    /// Writes the last answer to a PUBLISH of QoS 2.
    pub(super) fn pubcomp(self, id: u16, reason: u8, to: &mut BytesMut) {
        self.ack(PUBCOMP, id, reason, to);
    }

    fn ack(self, header: u8, id: u16, reason: u8, to: &mut BytesMut) {
        let told = self == Self::V5 && reason != 0;
        to.put_u8(header);
        to.put_u8(if told { 3 } else { 2 });
        to.put_u16(id);
        if told {
            to.put_u8(reason);
        }
    }

    /// Tells an MQTT 5 client why it is closed; 3.1.1 has no such packet.
    pub(super) fn farewell(self, reason: DisconnectReasonCode, to: &mut BytesMut) {
        use DisconnectReasonCode as Code;
        if self == Self::V3 {
            return;
        }
        let reason = match reason {
            Code::MalformedPacket => 0x81,
            Code::ProtocolError => 0x82,
            Code::NotAuthorized => 0x87,
            Code::ServerShuttingDown => 0x8b,
            Code::KeepAliveTimeout => 0x8d,
            Code::SessionTakenOver => 0x8e,
            Code::TopicNameInvalid => 0x90,
            Code::TopicAliasInvalid => 0x94,
            Code::PacketTooLarge => 0x95,
            Code::QuotaExceeded => 0x97,
            _ => 0x80,
        };
        // The property length could be left out, but rumqttc waits for it.
        to.put_slice(&[0xe0, 2, reason, 0]);
    }

    /// Writes a PUBLISH, unless it is larger than the client takes: `false` then.
    pub(super) fn outgoing(
        self,
        message: &Outgoing<'_>,
        packet_max: usize,
        to: &mut BytesMut,
    ) -> bool {
        let block = match (self, message.properties) {
            (Self::V3, _) => Bytes::new(),
            (Self::V5, None) => Bytes::from_static(&[0]),
            (Self::V5, Some(properties)) => write_properties(properties),
        };
        let id_length = if message.id.is_some() { 2 } else { 0 };
        let length = 2 + message.topic.len() + id_length + block.len() + message.payload.len();
        let Ok(topic_length) = u16::try_from(message.topic.len()) else { return false };
        if length > PACKET_MAX || length + 5 > packet_max {
            return false;
        }
        to.reserve(length + 5);
        to.put_u8(0x30 | if message.id.is_some() { 2 } else { 0 } | u8::from(message.retain));
        put_variable(length, to);
        to.put_u16(topic_length);
        to.put_slice(message.topic.as_bytes());
        if let Some(id) = message.id {
            to.put_u16(id);
        }
        to.put_slice(&block);
        to.put_slice(message.payload);
        true
    }
}

/// Reads an MQTT 5 property block of a PUBLISH, its length in front.
pub(super) fn read_properties(block: &[u8]) -> Result<PublishProperties, Fault> {
    let mut packet = BytesMut::with_capacity(block.len() + 7);
    packet.put_u8(0x30);
    put_variable(2 + block.len(), &mut packet);
    packet.put_u16(0);
    packet.put_slice(block);
    match V5.read_mut(&mut packet, PACKET_MAX) {
        Ok(Packet::Publish(publish, properties)) if publish.payload.is_empty() => {
            Ok(properties.unwrap_or_default())
        }
        _ => Err(Fault::Malformed("properties")),
    }
}

/// Writes an MQTT 5 property block of a PUBLISH, its length in front.
pub(super) fn write_properties(properties: &PublishProperties) -> Bytes {
    let mut packet = BytesMut::new();
    let carrier = Publish::new(Bytes::new(), Bytes::new(), false);
    Version::V5.write(Packet::Publish(carrier, Some(properties.clone())), &mut packet);
    match frame(&packet, PACKET_MAX) {
        // The block follows the empty topic.
        Ok(Some(frame)) if frame.body.len() > 2 => Bytes::copy_from_slice(&frame.body[2..]),
        _ => Bytes::from_static(&[0]),
    }
}

/// The packet id and quality of service that the router gave a message, which its type keeps to itself.
pub(super) fn router_id(publish: &Publish, scratch: &mut BytesMut) -> Option<u16> {
    let mut bare = publish.clone();
    bare.topic = Bytes::new();
    bare.payload = Bytes::new();
    scratch.clear();
    V4.write(Packet::Publish(bare, None), scratch).ok()?;
    // Header, length, two bytes of an empty topic, then the id where the quality of service has one.
    let id = scratch.get(4..6)?;
    Some(u16::from_be_bytes([id[0], id[1]]))
}

fn checked(mut properties: PublishProperties) -> Result<PublishProperties, Fault> {
    if properties.topic_alias.is_some() {
        return Err(Fault::Alias);
    }
    if !properties.subscription_identifiers.is_empty() {
        return Err(Fault::Protocol("subscription identifier in a publish"));
    }
    if properties.response_topic.as_ref().is_some_and(|topic| topic.contains(['+', '#'])) {
        return Err(Fault::Protocol("wildcard in a response topic"));
    }
    // The slice would keep the whole packet alive.
    properties.correlation_data =
        properties.correlation_data.map(|data| Bytes::copy_from_slice(&data));
    Ok(properties)
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
