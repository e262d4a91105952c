//! Ports for servers that cannot be told to choose one themselves.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below 32768, where Linux starts to hand out ports to outgoing connections: one of those could hold the port at
/// the moment the server binds it, or while it restarts.
const RANGE: std::ops::Range<u16> = 16_000..32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A TCP port of 127.0.0.1 on which nobody listens, different at every call.
///
/// # Panics
/// Every port of the range is taken.
pub fn free() -> u16 {
    let span = RANGE.end - RANGE.start;
    // Two test programs at once start looking at different places.
    let start = (std::process::id() * 97 % u32::from(span)) as u16;
    (0..span)
        .map(|_| RANGE.start + (start + NEXT.fetch_add(1, Ordering::Relaxed) % span) % span)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("some port between 16000 and 32000 is free")
}
