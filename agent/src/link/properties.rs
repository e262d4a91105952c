//! What must hold of the reader of a broker's packets, whatever it is given. See [`crate::checks::properties`].

use bytes::BytesMut;
use fletchck_shared::config::Protocol;

use super::{
    frame::{Frame, Frames},
    packet::{self, Incoming, PUBLISH_OVERHEAD},
};

/// All that a broker sends. The first byte says which protocol it is, and how long the pieces are that the rest comes in.
pub fn link_packets(bytes: &[u8]) {
    let Some((how, stream)) = bytes.split_first() else { return };
    let protocol = if how & 1 == 0 { Protocol::V311 } else { Protocol::V5 };
    let whole = frames(stream, stream.len());
    assert_eq!(whole, frames(stream, usize::from(how >> 1)));
    for frame in whole.0 {
        let Frame::Whole(frame) = frame else { continue };
        let Ok(Incoming::Publish(read)) = packet::read(protocol, frame) else { continue };
        let mut written = BytesMut::new();
        packet::publish(protocol, &read, &mut written).expect("what was read can be written");
        assert!(written.len() <= read.topic.len() + read.payload.len() + PUBLISH_OVERHEAD);
        assert_eq!(packet::read(protocol, written), Ok(Incoming::Publish(read)));
    }
}

/// The cuts of a stream that comes in such pieces, and whether it is found to be no MQTT.
fn frames(stream: &[u8], piece: usize) -> (Vec<Frame>, bool) {
    let (mut frames, mut all) = (Frames::default(), Vec::new());
    for piece in stream.chunks(piece.max(1)) {
        frames.buffer.extend_from_slice(piece);
        loop {
            match frames.next() {
                Ok(Some(frame)) => all.push(frame),
                Ok(None) => break,
                Err(_) => return (all, true),
            }
        }
    }
    (all, false)
}
