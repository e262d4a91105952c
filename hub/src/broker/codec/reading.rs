//! What a connected client may send.

use rumqttd::protocol::{Packet, PublishProperties, Subscribe, Unsubscribe};

use super::{Fault, Frame, Version, id, text, v5, variable};

/// A packet from a connected client.
#[derive(Debug)]
pub(in crate::broker) enum Inbound<'a> {
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
pub(in crate::broker) struct Published<'a> {
    pub(in crate::broker) topic: &'a str,
    pub(in crate::broker) payload: &'a [u8],
    pub(in crate::broker) qos: u8,
    pub(in crate::broker) retain: bool,
    /// Packet id; 0 for QoS 0.
    pub(in crate::broker) id: u16,
    pub(in crate::broker) properties: Option<PublishProperties>,
}

impl Version {
    /// Reads a CONNECT.
    ///
    /// # Errors
    /// It is malformed.
    pub(in crate::broker) fn connect(self, frame: &Frame<'_>) -> Result<Packet, Fault> {
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
    pub(in crate::broker) fn decode<'a>(self, frame: &Frame<'a>) -> Result<Inbound<'a>, Fault> {
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
                properties = Some(v5::checked(v5::read_properties(block)?)?);
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
}
