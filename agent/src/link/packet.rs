//! Packets of MQTT 3.1.1 and 5 in one form. rumqttc's codecs do the reading and writing; its two versions are separate
//! type trees, which end here.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use fletchck_shared::{Secret, config::Protocol, time};
use rumqttc::{mqttbytes as v4, v5::mqttbytes as v5};

use super::settings::Will;

/// Name of the user property that carries the time of the connection a status message belongs to.
const CONNECTED: &str = "connected";

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Incoming {
    /// The session begins.
    Accepted { session_present: bool, limits: Limits },
    /// It does not, by this code.
    Refused(u8),
    /// A message.
    Publish(Publish),
    /// A message of ours with QoS 1 arrived, or was refused by this code.
    PubAck(u16, u8),
    /// A message of ours with QoS 2 arrived, or was refused by this code.
    PubRec(u16, u8),
    /// The broker knows that we have a message with QoS 2.
    PubRel(u16),
    /// A message of ours with QoS 2 is done.
    PubComp(u16),
    /// Answers to the filters of the one SUBSCRIBE, in its order.
    SubAck(Vec<u8>),
    /// The answer to a ping.
    PingResp,
    /// The session ends, by this code.
    Disconnect(u8),
}

/// A message, in either direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// Sent before.
    pub(crate) again: bool,
    /// Packet id; 0 with QoS 0.
    pub(crate) id: u16,
    /// Time of the connection that a status message belongs to. MQTT 5 only.
    pub(crate) connected: Option<DateTime<Utc>>,
    /// Seconds until the broker forgets it, in one that was heard. MQTT 5 only.
    pub(crate) expiry: Option<u32>,
}

/// What a client says of itself in CONNECT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hello<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a Secret>,
    /// Longest silence of the client, in whole seconds.
    pub(crate) keep_alive: Duration,
    /// Whether the broker forgets what it has of this client, so that a new session begins.
    pub(crate) clean: bool,
    /// Seconds that the broker keeps the session afterwards; `None`: not at all. With MQTT 3.1.1 `clean` decides.
    pub(crate) expiry: Option<u32>,
    /// What the broker publishes once the client is gone without a word, and the time of the connection that is in it.
    pub(crate) will: Option<(&'a Will, DateTime<Utc>)>,
}

/// A filter to hear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) text: &'a str,
    /// Highest QoS.
    pub(crate) qos: u8,
    /// Whether what the client itself publishes comes back. MQTT 5 only.
    pub(crate) own: bool,
}

/// What a broker takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Unacknowledged messages at once.
    pub(crate) receive_max: u16,
    /// Bytes of a packet.
    pub(crate) packet_max: Option<u32>,
    /// Highest QoS.
    pub(crate) qos_max: u8,
    /// Whether messages may be retained.
    pub(crate) retain: bool,
    /// Seconds of keep-alive that the broker wants instead of ours.
    pub(crate) keep_alive: Option<u16>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { receive_max: u16::MAX, packet_max: None, qos_max: 2, retain: true, keep_alive: None }
    }
}

/// Reads one whole packet.
///
/// # Errors
/// What is wrong with it, in words for the log.
pub(crate) fn read(protocol: Protocol, frame: BytesMut) -> Result<Incoming, String> {
    let kind = frame.first().copied().unwrap_or(0) >> 4;
    let body = body(&frame).ok_or("no length")?;
    match kind {
        2 => connack(protocol, frame),
        13 => Ok(Incoming::PingResp),
        // A reason alone is legal, and so is none; the codec wants properties too.
        14 if protocol == Protocol::V5 => {
            Ok(Incoming::Disconnect(body.first().copied().unwrap_or(0)))
        }
        9 => suback(protocol, body),
        3..=7 => match protocol {
            Protocol::V5 => read_v5(frame),
            Protocol::V311 => read_v4(frame),
        },
        kind => Err(format!("a packet of type {kind}")),
    }
}

/// Writes CONNECT.
///
/// # Errors
/// What is said makes no packet.
pub(crate) fn connect(
    protocol: Protocol,
    hello: &Hello<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    let keep_alive = u16::try_from(hello.keep_alive.as_secs()).unwrap_or(u16::MAX).max(1);
    let username = hello.username.unwrap_or_default().to_owned();
    let password = hello.password.map(|p| p.reveal().to_owned()).unwrap_or_default();
    let login = !username.is_empty() || !password.is_empty();
    match protocol {
        Protocol::V5 => {
            let will = hello.will.map(|(will, connected)| v5::v5::LastWill {
                topic: Bytes::copy_from_slice(will.topic.as_str().as_bytes()),
                message: will.payload.clone(),
                qos: v5::QoS::AtLeastOnce,
                retain: true,
                properties: Some(v5::v5::LastWillProperties {
                    delay_interval: None,
                    payload_format_indicator: None,
                    message_expiry_interval: None,
                    content_type: None,
                    response_topic: None,
                    correlation_data: None,
                    user_properties: vec![property(connected)],
                }),
            });
            let mut properties = v5::v5::ConnectProperties::new();
            properties.session_expiry_interval = hello.expiry;
            let connect = v5::v5::Connect {
                keep_alive,
                client_id: hello.client_id.into(),
                clean_start: hello.clean,
                properties: Some(properties),
            };
            let login = login.then(|| v5::v5::Login::new(username, password));
            write_v5(&v5::v5::Packet::Connect(connect, will, login), out)
        }
        Protocol::V311 => {
            let mut connect = v4::v4::Connect::new(hello.client_id);
            connect.keep_alive = keep_alive;
            connect.clean_session = hello.clean;
            connect.last_will = hello.will.map(|(will, _)| v4::v4::LastWill {
                topic: will.topic.as_str().to_owned(),
                message: will.payload.clone(),
                qos: v4::QoS::AtLeastOnce,
                retain: true,
            });
            connect.login = login.then(|| v4::v4::Login::new(username, password));
            write_v4(&v4::v4::Packet::Connect(connect), out)
        }
    }
}

/// Writes SUBSCRIBE for all filters.
///
/// # Errors
/// The codec's own.
pub(crate) fn subscribe(
    protocol: Protocol,
    id: u16,
    filters: &[Filter<'_>],
    out: &mut BytesMut,
) -> Result<(), String> {
    match protocol {
        Protocol::V5 => {
            let filters = filters.iter().map(|filter| v5::v5::Filter {
                nolocal: !filter.own,
                ..v5::v5::Filter::new(filter.text, qos_v5(filter.qos))
            });
            let mut subscribe = v5::v5::Subscribe::new_many(filters, None);
            subscribe.pkid = id;
            write_v5(&v5::v5::Packet::Subscribe(subscribe), out)
        }
        Protocol::V311 => {
            let filters = filters.iter().map(|filter| v4::v4::SubscribeFilter {
                path: filter.text.to_owned(),
                qos: qos_v4(filter.qos),
            });
            let mut subscribe = v4::v4::Subscribe::new_many(filters);
            subscribe.pkid = id;
            write_v4(&v4::v4::Packet::Subscribe(subscribe), out)
        }
    }
}

/// Writes PUBLISH and answers with the bytes written.
///
/// # Errors
/// The codec's own.
pub(crate) fn publish(
    protocol: Protocol,
    publish: &Publish,
    out: &mut BytesMut,
) -> Result<(), String> {
    match protocol {
        Protocol::V5 => {
            let properties = publish.connected.map(|connected| v5::v5::PublishProperties {
                user_properties: vec![property(connected)],
                ..Default::default()
            });
            let packet = v5::v5::Publish {
                dup: publish.again,
                qos: qos_v5(publish.qos),
                retain: publish.retain,
                topic: Bytes::copy_from_slice(publish.topic.as_bytes()),
                pkid: publish.id,
                payload: publish.payload.clone(),
                properties,
            };
            write_v5(&v5::v5::Packet::Publish(packet), out)
        }
        Protocol::V311 => {
            let packet = v4::v4::Publish {
                dup: publish.again,
                qos: qos_v4(publish.qos),
                retain: publish.retain,
                topic: publish.topic.clone(),
                pkid: publish.id,
                payload: publish.payload.clone(),
            };
            write_v4(&v4::v4::Packet::Publish(packet), out)
        }
    }
}

/// Writes one of the packets that are an id alone: PUBACK (4), PUBREC (5), PUBREL (6) and PUBCOMP (7). Without a reason
/// both versions have them in the same form.
pub(crate) fn answer(kind: u8, id: u16, out: &mut BytesMut) {
    // PUBREL has the flags of QoS 1 for reasons of history.
    let flags = if kind == 6 { 2 } else { 0 };
    let [high, low] = id.to_be_bytes();
    out.extend_from_slice(&[kind << 4 | flags, 2, high, low]);
}

/// Writes PINGREQ.
pub(crate) fn ping(out: &mut BytesMut) {
    out.extend_from_slice(&[12 << 4, 0]);
}

/// Writes DISCONNECT as a normal end, which suppresses the will.
pub(crate) fn disconnect(out: &mut BytesMut) {
    out.extend_from_slice(&[14 << 4, 0]);
}

/// What a message adds to the bytes of its topic and payload, at most.
pub(crate) const PUBLISH_OVERHEAD: usize = 64;

fn connack(protocol: Protocol, mut frame: BytesMut) -> Result<Incoming, String> {
    let Some(&[flags, code, ref properties @ ..]) = body(&frame) else {
        return Err("CONNACK without a code".into());
    };
    let plain = properties.is_empty();
    if code != 0 {
        return Ok(Incoming::Refused(code));
    }
    let mut limits = Limits::default();
    // A broker of version 3.1.1 may accept what it takes for its own version: then there are no properties.
    if protocol == Protocol::V5 && !plain {
        let packet = v5::v5::Packet::read(&mut frame, None).map_err(|e| e.to_string())?;
        let v5::v5::Packet::ConnAck(connack) = packet else { return Err("no CONNACK".into()) };
        if let Some(properties) = connack.properties {
            limits = Limits {
                receive_max: properties.receive_max.unwrap_or(u16::MAX).max(1),
                packet_max: properties.max_packet_size,
                qos_max: properties.max_qos.unwrap_or(2),
                retain: properties.retain_available != Some(0),
                keep_alive: properties.server_keep_alive,
            };
        }
    }
    Ok(Incoming::Accepted { session_present: flags & 1 == 1, limits })
}

/// The codec refuses reason codes that it does not know; a refusal is a refusal, whichever.
fn suback(protocol: Protocol, mut body: &[u8]) -> Result<Incoming, String> {
    if body.len() < 3 {
        return Err("SUBACK without codes".into());
    }
    body.advance(2);
    if protocol == Protocol::V5 {
        let (digits, length) = length(body).ok_or("SUBACK without properties")?;
        body = body.get(digits + length..).ok_or("SUBACK is cut short")?;
    }
    Ok(Incoming::SubAck(body.to_vec()))
}

fn read_v5(mut frame: BytesMut) -> Result<Incoming, String> {
    use v5::v5::Packet;
    // Likewise the codes of PUBACK and PUBREC: taken from the bytes, before the codec refuses one.
    if let Some(answer) = answered(&frame) {
        return Ok(answer);
    }
    match Packet::read(&mut frame, None).map_err(|e| e.to_string())? {
        Packet::Publish(publish) => {
            let topic = String::from_utf8(publish.topic.to_vec()).map_err(|e| e.to_string())?;
            let expiry = publish.properties.as_ref().and_then(|p| p.message_expiry_interval);
            let connected = publish.properties.and_then(|properties| {
                let (_, value) =
                    properties.user_properties.into_iter().find(|(key, _)| key == CONNECTED)?;
                time::parse(&value, fletchck_shared::Tz::UTC)
            });
            Ok(Incoming::Publish(Publish {
                topic,
                payload: publish.payload,
                qos: publish.qos as u8,
                retain: publish.retain,
                again: publish.dup,
                id: publish.pkid,
                connected,
                expiry,
            }))
        }
        _ => Err("an unexpected packet".into()),
    }
}

fn read_v4(mut frame: BytesMut) -> Result<Incoming, String> {
    use v4::v4::Packet;
    if let Some(answer) = answered(&frame) {
        return Ok(answer);
    }
    match Packet::read(&mut frame, usize::MAX).map_err(|e| e.to_string())? {
        Packet::Publish(publish) => Ok(Incoming::Publish(Publish {
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            again: publish.dup,
            id: publish.pkid,
            connected: None,
            expiry: None,
        })),
        _ => Err("an unexpected packet".into()),
    }
}

/// Packets 4 to 7: an id, and in version 5 perhaps a code.
fn answered(frame: &[u8]) -> Option<Incoming> {
    let kind = frame.first()? >> 4;
    let (&[high, low], rest) = body(frame)?.split_first_chunk()?;
    let id = u16::from_be_bytes([high, low]);
    let code = rest.first().copied().unwrap_or(0);
    match kind {
        4 => Some(Incoming::PubAck(id, code)),
        5 => Some(Incoming::PubRec(id, code)),
        6 => Some(Incoming::PubRel(id)),
        7 => Some(Incoming::PubComp(id)),
        _ => None,
    }
}

/// What follows a packet's length.
fn body(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.get(1..)?;
    let (digits, _) = length(rest)?;
    rest.get(digits..)
}

/// A number in MQTT's form of seven bits a byte, and how many bytes it takes. `None` where more bytes are needed, or where
/// there are more than four.
pub(crate) fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((n + 1, value));
        }
    }
    None
}

fn property(connected: DateTime<Utc>) -> (String, String) {
    (CONNECTED.into(), time::iso(connected, fletchck_shared::Tz::UTC))
}

fn write_v5(packet: &v5::v5::Packet, out: &mut BytesMut) -> Result<(), String> {
    packet.write(out, None).map(drop).map_err(|e| e.to_string())
}

fn write_v4(packet: &v4::v4::Packet, out: &mut BytesMut) -> Result<(), String> {
    packet.write(out, usize::MAX).map(drop).map_err(|e| e.to_string())
}

fn qos_v5(qos: u8) -> v5::QoS {
    match qos {
        0 => v5::QoS::AtMostOnce,
        1 => v5::QoS::AtLeastOnce,
        _ => v5::QoS::ExactlyOnce,
    }
}

fn qos_v4(qos: u8) -> v4::QoS {
    match qos {
        0 => v4::QoS::AtMostOnce,
        1 => v4::QoS::AtLeastOnce,
        _ => v4::QoS::ExactlyOnce,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Protocol; 2] = [Protocol::V311, Protocol::V5];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn no_packet_makes_the_reader_panic(
            first: u8, body in proptest::collection::vec(any::<u8>(), 0..120)
        ) {
            for protocol in BOTH {
                let mut frame = BytesMut::from(&[first, body.len() as u8][..]);
                frame.extend_from_slice(&body);
                let _read = read(protocol, frame);
            }
        }

        #[test]
        fn messages_round_trip(
            topic in "[a-zä/]{1,40}", payload in proptest::collection::vec(any::<u8>(), 0..300),
            qos in 0..3u8, retain: bool, again: bool, id in 1..u16::MAX
        ) {
            for protocol in BOTH {
                let id = if qos == 0 { 0 } else { id };
                let connected = (protocol == Protocol::V5).then_some(DateTime::UNIX_EPOCH);
                let message = Publish {
                    topic: topic.clone(), payload: payload.clone().into(), qos, retain, again, id, connected,
                    expiry: None,
                };
                let mut out = BytesMut::new();
                publish(protocol, &message, &mut out).expect("written");
                prop_assert!(out.len() <= topic.len() + payload.len() + PUBLISH_OVERHEAD);
                prop_assert_eq!(read(protocol, out), Ok(Incoming::Publish(message)));
            }
        }
    }

    #[test]
    fn codes_that_the_codec_does_not_know_are_read() {
        let read = |protocol, bytes: &[u8]| read(protocol, BytesMut::from(bytes));
        for (protocol, bytes, want) in [
            (Protocol::V5, &[0x20, 2, 0, 1][..], Incoming::Refused(1)),
            (Protocol::V5, &[0x20, 3, 0, 0xee, 0], Incoming::Refused(0xee)),
            (Protocol::V5, &[0x40, 3, 0, 7, 0x95], Incoming::PubAck(7, 0x95)),
            (Protocol::V5, &[0x90, 5, 0, 1, 0, 1, 0x87], Incoming::SubAck(vec![1, 0x87])),
            (Protocol::V311, &[0x90, 4, 0, 1, 1, 0x80], Incoming::SubAck(vec![1, 0x80])),
            (Protocol::V5, &[0xe0, 1, 0x8b], Incoming::Disconnect(0x8b)),
            (Protocol::V5, &[0xe0, 0], Incoming::Disconnect(0)),
        ] {
            assert_eq!(read(protocol, bytes), Ok(want), "{bytes:x?}");
        }
        assert!(read(Protocol::V311, &[0xe0, 0]).is_err(), "brokers of 3.1.1 send no DISCONNECT");
    }
}
