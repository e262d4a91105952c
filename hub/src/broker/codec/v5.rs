//! What only MQTT 5 has: properties, and a reason for everything.

use bytes::{BufMut, Bytes, BytesMut};
use rumqttd::protocol::v5::V5;
use rumqttd::protocol::{
    ConnectReturnCode, DisconnectReasonCode, Packet, Protocol, Publish, PublishProperties,
};

use super::{Fault, PACKET_MAX, Version, frame, put_variable};

/// Reads an MQTT 5 property block of a PUBLISH, its length in front.
pub(in crate::broker) fn read_properties(block: &[u8]) -> Result<PublishProperties, Fault> {
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
pub(in crate::broker) fn write_properties(properties: &PublishProperties) -> Bytes {
    let mut packet = BytesMut::new();
    let carrier = Publish::new(Bytes::new(), Bytes::new(), false);
    Version::V5.write(Packet::Publish(carrier, Some(properties.clone())), &mut packet);
    match frame(&packet, PACKET_MAX) {
        // The block follows the empty topic.
        Ok(Some(frame)) if frame.body.len() > 2 => Bytes::copy_from_slice(&frame.body[2..]),
        _ => Bytes::from_static(&[0]),
    }
}

/// Properties of a PUBLISH, if a client may send them.
///
/// # Errors
/// What it may not.
pub(super) fn checked(mut properties: PublishProperties) -> Result<PublishProperties, Fault> {
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

/// A CONNACK's code, where the two versions have different names for the same.
pub(super) fn connack(code: ConnectReturnCode) -> ConnectReturnCode {
    use ConnectReturnCode as Code;
    match code {
        Code::ServiceUnavailable => Code::ServerUnavailable,
        Code::RefusedProtocolVersion => Code::UnsupportedProtocolVersion,
        code => code,
    }
}

/// The number of a reason to end a connection.
pub(super) fn reason(reason: DisconnectReasonCode) -> u8 {
    use DisconnectReasonCode as Code;
    match reason {
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
    }
}
