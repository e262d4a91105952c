//! What must hold of the reader of clients' packets, whatever it is given. See [`fletchck_agent::checks::properties`].

use bytes::BytesMut;
use fletchck_shared::topic::Topic;
use rumqttd::protocol::Packet;

use super::{
    codec::{self, Fault, Frame, Inbound, Outgoing, Published, Version},
    will::Will,
};

/// Largest packet here, in bytes.
const MAX: usize = 64 * 1024;

/// All that a client sends. The first byte says which version it speaks.
pub fn broker_packets(bytes: &[u8]) {
    let Some((how, mut stream)) = bytes.split_first() else { return };
    let version = if how & 1 == 0 { Version::V3 } else { Version::V5 };
    loop {
        let whole = match codec::frame(stream, MAX) {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(fault) => return told(&fault),
        };
        // Every beginning of a packet is waited for, and found to be none no sooner than the whole.
        for end in 0..whole.whole.len().min(8) {
            assert!(matches!(codec::frame(&stream[..end], MAX), Ok(None)));
        }
        assert_eq!(whole.whole.len() - whole.body.len(), head(whole.whole));
        packet(version, &whole);
        stream = &stream[whole.whole.len()..];
    }
}

/// One packet, of a client that is connected, and of one that is not yet.
fn packet(version: Version, frame: &Frame<'_>) {
    match version.decode(frame) {
        Ok(Inbound::Publish(read)) => written_again(version, &read),
        Ok(_) => {}
        Err(fault) => told(&fault),
    }
    if codec::level(frame).is_some()
        && let Ok(Packet::Connect(_, _, Some(will), properties, _)) = version.connect(frame)
        && let Some(will) = Will::new(will, properties)
    {
        assert!(Topic::try_from(will.topic()).is_ok());
    }
}

/// A message as a subscriber gets it says the same.
fn written_again(version: Version, read: &Published<'_>) {
    let mut bytes = BytesMut::new();
    let message = Outgoing {
        topic: read.topic,
        payload: read.payload,
        id: (read.qos > 0).then_some(read.id),
        retain: read.retain,
        properties: read.properties.as_ref(),
    };
    assert!(version.outgoing(&message, usize::MAX, &mut bytes));
    let frame = codec::frame(&bytes, MAX * 2).expect("framed").expect("whole");
    assert_eq!(frame.whole.len(), bytes.len());
    let Ok(Inbound::Publish(again)) = version.decode(&frame) else { panic!("no publish") };
    let said = |message: &Published<'_>| {
        (message.topic.to_owned(), message.payload.to_vec(), message.id, message.retain)
    };
    assert_eq!(said(&again), said(read));
    let none = Default::default();
    let [again, read] = [&again, read].map(|message| message.properties.as_ref().unwrap_or(&none));
    assert_eq!(again, read);
}

fn told(fault: &Fault) {
    assert!(!fault.to_string().is_empty());
    _ = fault.reason();
}

/// Bytes before the body, counted anew.
fn head(packet: &[u8]) -> usize {
    let digits = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    1 + digits
}
