//! What the gate writes.

use bytes::{BufMut, Bytes, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::{
    ConnAck, ConnAckProperties, ConnectReturnCode, DisconnectReasonCode, Packet, Protocol, Publish,
    PublishProperties, SubAck, SubscribeReasonCode, UnsubAck, UnsubAckReason,
};

use super::{PACKET_MAX, Version, put_variable, v3, v5};

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBCOMP: u8 = 0x70;

/// What the gate writes as a PUBLISH.
#[derive(Debug)]
pub(in crate::broker) struct Outgoing<'a> {
    pub(in crate::broker) topic: &'a str,
    pub(in crate::broker) payload: &'a [u8],
    /// Packet id for QoS 1; `None` for QoS 0.
    pub(in crate::broker) id: Option<u16>,
    pub(in crate::broker) retain: bool,
    pub(in crate::broker) properties: Option<&'a PublishProperties>,
}

impl Version {
    /// Writes a CONNACK. Reasons that 3.1.1 has no number for become its nearest.
    pub(in crate::broker) fn connack(
        self,
        code: ConnectReturnCode,
        session_present: bool,
        properties: Option<ConnAckProperties>,
        to: &mut BytesMut,
    ) {
        let (code, properties) = match self {
            Self::V3 => (v3::connack(code), None),
            Self::V5 => (v5::connack(code), properties),
        };
        self.write(Packet::ConnAck(ConnAck { session_present, code }, properties), to);
    }

    /// Writes a SUBACK. 3.1.1 knows only one way to fail.
    pub(in crate::broker) fn suback(
        self,
        pkid: u16,
        mut return_codes: Vec<SubscribeReasonCode>,
        to: &mut BytesMut,
    ) {
        if self == Self::V3 {
            return_codes.iter_mut().for_each(v3::suback);
        }
        self.write(Packet::SubAck(SubAck { pkid, return_codes }, None), to);
    }

    /// Writes an UNSUBACK; `known` says of each filter whether there was a subscription.
    pub(in crate::broker) fn unsuback(self, pkid: u16, known: &[bool], to: &mut BytesMut) {
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
    pub(in crate::broker) fn puback(self, id: u16, reason: u8, to: &mut BytesMut) {
        self.ack(PUBACK, id, reason, to);
    }

    /// Writes the first answer to a PUBLISH of QoS 2.
    pub(in crate::broker) fn pubrec(self, id: u16, reason: u8, to: &mut BytesMut) {
        self.ack(PUBREC, id, reason, to);
    }

    /// Writes the last answer to a PUBLISH of QoS 2.
    pub(in crate::broker) fn pubcomp(self, id: u16, reason: u8, to: &mut BytesMut) {
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
    pub(in crate::broker) fn farewell(self, reason: DisconnectReasonCode, to: &mut BytesMut) {
        if self == Self::V3 {
            return;
        }
        // The property length could be left out, but rumqttc waits for it.
        to.put_slice(&[0xe0, 2, v5::reason(reason), 0]);
    }

    /// Writes a PUBLISH, unless it is larger than the client takes: `false` then.
    pub(in crate::broker) fn outgoing(
        self,
        message: &Outgoing<'_>,
        packet_max: usize,
        to: &mut BytesMut,
    ) -> bool {
        let block = match (self, message.properties) {
            (Self::V3, _) => Bytes::new(),
            (Self::V5, None) => Bytes::from_static(&[0]),
            (Self::V5, Some(properties)) => v5::write_properties(properties),
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

/// The packet id and quality of service that the router gave a message, which its type keeps to itself.
pub(in crate::broker) fn router_id(publish: &Publish, scratch: &mut BytesMut) -> Option<u16> {
    let mut bare = publish.clone();
    bare.topic = Bytes::new();
    bare.payload = Bytes::new();
    scratch.clear();
    V4.write(Packet::Publish(bare, None), scratch).ok()?;
    // Header, length, two bytes of an empty topic, then the id where the quality of service has one.
    let id = scratch.get(4..6)?;
    Some(u16::from_be_bytes([id[0], id[1]]))
}
