//! Echo requests and replies as bytes (RFC 792, RFC 4443 section 4).

/// Bytes before what an echo carries.
pub(super) const HEAD: usize = 8;

/// Which protocol the echo is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icmp {
    /// That of IPv4.
    Four,
    /// That of IPv6.
    Six,
}

/// An echo, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    /// Tells askers apart.
    pub(super) id: u16,
    /// Tells the requests of one asker apart.
    pub(super) seq: u16,
    /// What is sent back.
    pub(super) payload: &'a [u8],
}

impl Icmp {
    /// Writes a request. The checksum of IPv6, which covers addresses too, is left to the system.
    pub(super) fn request(self, echo: Echo<'_>) -> Vec<u8> {
        let mut packet = vec![self.request_type(), 0, 0, 0];
        packet.extend_from_slice(&echo.id.to_be_bytes());
        packet.extend_from_slice(&echo.seq.to_be_bytes());
        packet.extend_from_slice(echo.payload);
        if self == Self::Four {
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        packet
    }

    /// Reads a reply; `None` for anything else.
    pub(super) fn reply(self, packet: &[u8]) -> Option<Echo<'_>> {
        let reply = match self {
            Self::Four => 0,
            Self::Six => 129,
        };
        self.read(packet, reply)
    }

    /// Reads the beginning of a request, as a router sends it back with what was wrong; the rest may be missing.
    pub(super) fn returned(self, packet: &[u8]) -> Option<Echo<'_>> {
        self.read(packet, self.request_type())
    }

    fn request_type(self) -> u8 {
        match self {
            Self::Four => 8,
            Self::Six => 128,
        }
    }

    fn read(self, packet: &[u8], wanted: u8) -> Option<Echo<'_>> {
        let (&[kind, code, _, _, i, d, s, q], payload) = packet.split_first_chunk::<HEAD>()?;
        let echo =
            Echo { id: u16::from_be_bytes([i, d]), seq: u16::from_be_bytes([s, q]), payload };
        (kind == wanted && code == 0).then_some(echo)
    }
}

/// What an IPv4 packet carries, where the system hands out all of it.
pub(super) fn inside(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let head = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && head >= 20).then(|| packet.get(head..)).flatten()
}

/// The checksum of RFC 1071. Over a packet that carries its own it is 0.
fn checksum(packet: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in packet.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_that_of_the_standard() {
        let echo = Echo { id: 0x1234, seq: 2, payload: b"abc" };
        // Type, code, checksum, id, number, payload.
        assert_eq!(Icmp::Four.request(echo), b"\x08\x00\x21\x67\x12\x34\x00\x02abc");
        assert_eq!(Icmp::Six.request(echo), b"\x80\x00\x00\x00\x12\x34\x00\x02abc");
    }

    proptest! {
        #[test]
        fn what_was_sent_is_known_again(
            id: u16, seq: u16, payload in proptest::collection::vec(any::<u8>(), 0..100)
        ) {
            let echo = Echo { id, seq, payload: &payload };
            for (icmp, reply) in [(Icmp::Four, 0), (Icmp::Six, 129)] {
                let mut packet = icmp.request(echo);
                prop_assert_eq!(icmp.returned(&packet), Some(echo));
                prop_assert_eq!(icmp.reply(&packet), None);
                if icmp == Icmp::Four {
                    prop_assert_eq!(checksum(&packet), 0);
                }
                packet[0] = reply;
                prop_assert_eq!(icmp.reply(&packet), Some(echo));
                let whole = [&[0x46; 24][..], &packet].concat();
                prop_assert_eq!(inside(&whole).and_then(|inner| icmp.reply(inner)), Some(echo));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            for icmp in [Icmp::Four, Icmp::Six] {
                _ = icmp.reply(&bytes);
                _ = icmp.returned(&bytes);
                _ = inside(&bytes).map(|inner| icmp.reply(inner));
            }
        }
    }
}
