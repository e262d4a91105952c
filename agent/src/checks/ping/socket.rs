//! A socket for echo requests to one address: one that needs no privilege where the system allows it, a raw one otherwise.
//!
//! The system hands out what routers say of a request through the socket's queue of errors (ip(7), `IP_RECVERR`), to
//! both kinds alike. A connected socket hears of one address alone, so that looks at many hosts do not hear each other.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, SystemTime},
};

use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn,
        SockaddrIn6, connect, getsockname, recvmsg, send, setsockopt, socket, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use super::{
    echo::{self, Icmp},
    trouble::{From, Trouble, Wrong},
};

/// Origins of an error (`sock_extended_err`, ip(7)): a message of ICMP, or one of ICMPv6.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Room for the system's notes beside a packet, in bytes: a time, or an error and who told it.
const NOTES: usize = 256;

/// Ids of raw sockets, from a random one on: no two of this program are the same, and those of other programs are told
/// apart by what the echo carries. Sockets without privilege get theirs from the system.
static IDS: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));

/// A socket that is connected to one address.
#[derive(Debug)]
pub(super) struct Socket {
    /// Not one of UDP, which has the type for any socket of datagrams.
    fd: UdpSocket,
    icmp: Icmp,
    raw: bool,
    /// The id that its echoes have.
    pub(super) id: u16,
    /// The address it sends from.
    here: IpAddr,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Neither kind is allowed to this program.
    #[error(
        "this machine does not let fletchck ping: allow it to every program with `sysctl -w \
         net.ipv4.ping_group_range=\"0 2147483647\"`, or give this one the capability CAP_NET_RAW"
    )]
    NotAllowed,
    /// There is no way to the address.
    #[error("there is no route to {0} from this machine")]
    NoRoute(IpAddr),
    /// The system does not send to it.
    #[error(
        "this machine does not send to {0}: it is a broadcast address, or a route of this machine prohibits it"
    )]
    Prohibited(IpAddr),
    /// Anything else.
    #[error("no socket for {0}: {1}")]
    Other(IpAddr, #[source] io::Error),
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// So many bytes of a packet, which is ICMP from its first on, in the buffer from `start`.
    Packet {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
        /// When the system had it, by the clock that people set.
        at: Option<SystemTime>,
    },
    /// What was said of a request instead of an answer; `None` where it cannot be told of which.
    Trouble(Option<u16>, Trouble),
}

impl Socket {
    /// Opens one and connects it. No packet is sent for that.
    pub(super) fn open(to: SocketAddr) -> Result<Self, OpenError> {
        let address = to.ip();
        let other = |error: Errno| OpenError::Other(address, error.into());
        let icmp = if to.is_ipv6() { Icmp::Six } else { Icmp::Four };
        let (fd, raw) = create(icmp).map_err(|error| match error {
            Errno::EACCES | Errno::EPERM => OpenError::NotAllowed,
            // IPv6 is switched off.
            Errno::EAFNOSUPPORT => OpenError::NoRoute(address),
            error => other(error),
        })?;
        let noted = match icmp {
            Icmp::Four => setsockopt(&fd, sockopt::Ipv4RecvErr, &true),
            Icmp::Six => setsockopt(&fd, sockopt::Ipv6RecvErr, &true),
        };
        noted.map_err(other)?;
        // Answers are waited for among many other things: the time is the system's, not that of their reading.
        setsockopt(&fd, sockopt::ReceiveTimestampns, &true).map_err(other)?;
        let connected = match to {
            SocketAddr::V4(to) => connect(fd.as_raw_fd(), &SockaddrIn::from(to)),
            SocketAddr::V6(to) => connect(fd.as_raw_fd(), &SockaddrIn6::from(to)),
        };
        connected.map_err(|error| match error {
            // The last is a link-local address on an interface that there is not, or a route to nowhere.
            Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::EADDRNOTAVAIL
            | Errno::ENODEV
            | Errno::EINVAL => OpenError::NoRoute(address),
            Errno::EACCES => OpenError::Prohibited(address),
            error => other(error),
        })?;
        let (here, port) = match icmp {
            Icmp::Four => {
                let name: SockaddrIn = getsockname(fd.as_raw_fd()).map_err(other)?;
                (IpAddr::V4(name.ip()), name.port())
            }
            Icmp::Six => {
                let name: SockaddrIn6 = getsockname(fd.as_raw_fd()).map_err(other)?;
                (IpAddr::V6(name.ip()), name.port())
            }
        };
        let id = if raw { IDS.fetch_add(1, Ordering::Relaxed) } else { port };
        let fd =
            UdpSocket::from_std(fd.into()).map_err(|error| OpenError::Other(address, error))?;
        Ok(Self { fd, icmp, raw, id, here })
    }

    /// Which protocol it speaks.
    pub(super) fn icmp(&self) -> Icmp {
        self.icmp
    }

    /// What kind of socket it is, in words.
    pub(super) fn words(&self) -> &'static str {
        if self.raw { "a raw socket" } else { "a socket without privilege" }
    }

    /// Bytes of a buffer for packets that carry so much.
    pub(super) fn room(&self, payload: usize) -> usize {
        let head = if self.raw && self.icmp == Icmp::Four { 60 } else { 0 };
        head + echo::HEAD + payload
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: &[u8]) -> Result<(), Trouble> {
        let once = || send(self.fd.as_raw_fd(), packet, MsgFlags::MSG_DONTWAIT);
        // The first error may be the one that an earlier packet met. That one is in the queue of errors as well.
        let Err(error) = once().or_else(|_| once()) else { return Ok(()) };
        Err(Trouble { wrong: of_errno(error), from: Some(From::Here) })
    }

    /// Waits for a packet, or for what is said instead of one. Nothing is lost when this is dropped.
    pub(super) async fn hear(&self, buffer: &mut [u8]) -> io::Result<Heard> {
        loop {
            let ready = self.fd.ready(Interest::READABLE | Interest::ERROR).await?;
            // One at a time, for `try_io` takes two at once for neither.
            let one = if ready.is_readable() { Interest::READABLE } else { Interest::ERROR };
            match self.fd.try_io(one, || self.receive(buffer)) {
                // It was not ready after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                heard => return heard,
            }
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Heard> {
        if let Some((seq, trouble)) = self.trouble(buffer)? {
            return Ok(Heard::Trouble(seq, trouble));
        }
        let mut notes = cmsg_space!([u8; NOTES]);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let got = match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut notes), flags) {
            Ok(got) => got,
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
            // One that is told here is in the queue of errors too, where it says more.
            Err(error) => {
                let known = self.trouble(buffer)?;
                let bare = || (None, Trouble { wrong: of_errno(error), from: None });
                let (seq, trouble) = known.unwrap_or_else(bare);
                return Ok(Heard::Trouble(seq, trouble));
            }
        };
        let mut at = None;
        for note in got.cmsgs()? {
            if let ControlMessageOwned::ScmTimestampns(time) = note {
                at = since_epoch(time.tv_sec(), time.tv_nsec());
            }
        }
        let end = got.bytes;
        let whole = &buffer[..end];
        let inner =
            if self.raw && self.icmp == Icmp::Four { echo::inside(whole) } else { Some(whole) };
        // What is no packet has no bytes.
        let start = end - inner.map_or(0, <[u8]>::len);
        Ok(Heard::Packet { start, end, at })
    }

    /// Takes one from the queue of errors.
    fn trouble(&self, buffer: &mut [u8]) -> io::Result<Option<(Option<u16>, Trouble)>> {
        let mut notes = cmsg_space!([u8; NOTES]);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_ERRQUEUE;
        let got = match recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, Some(&mut notes), flags) {
            Ok(got) => got,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut trouble = Trouble { wrong: Wrong::NotSent, from: None };
        for note in got.cmsgs()? {
            let (error, from) = match note {
                ControlMessageOwned::Ipv4RecvErr(error, from) => {
                    let from = from.map(|from| Ipv4Addr::from(from.sin_addr.s_addr.to_ne_bytes()));
                    (error, from.map(IpAddr::V4))
                }
                ControlMessageOwned::Ipv6RecvErr(error, from) => {
                    let from = from.map(|from| Ipv6Addr::from(from.sin6_addr.s6_addr));
                    (error, from.map(IpAddr::V6))
                }
                _ => continue,
            };
            // A router knows a shorter way; what was sent is delivered all the same.
            if matches!((error.ee_origin, error.ee_type), (ORIGIN_ICMP, 5) | (ORIGIN_ICMP6, 137)) {
                return self.trouble(buffer);
            }
            let wrong = match error.ee_origin {
                ORIGIN_ICMP => Wrong::of(Icmp::Four, error.ee_type, error.ee_code),
                ORIGIN_ICMP6 => Wrong::of(Icmp::Six, error.ee_type, error.ee_code),
                _ => of_errno(Errno::from_raw(error.ee_errno as i32)),
            };
            let here = |from: IpAddr| from == self.here || from.is_unspecified();
            let from = from.map(|from| if here(from) { From::Here } else { From::There(from) });
            trouble = Trouble { wrong, from };
        }
        let bytes = got.bytes;
        let returned = self.icmp.returned(&buffer[..bytes]).filter(|echo| echo.id == self.id);
        Ok(Some((returned.map(|echo| echo.seq), trouble)))
    }
}

/// A socket without privilege, or a raw one where that is not to be had.
fn create(icmp: Icmp) -> Result<(OwnedFd, bool), Errno> {
    let (family, protocol) = match icmp {
        Icmp::Four => (AddressFamily::Inet, SockProtocol::Icmp),
        Icmp::Six => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    let of =
        |kind| socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol);
    match of(SockType::Datagram) {
        Ok(fd) => Ok((fd, false)),
        // Forbidden, or a system that does not have them.
        Err(
            Errno::EACCES
            | Errno::EPERM
            | Errno::EPROTONOSUPPORT
            | Errno::ESOCKTNOSUPPORT
            | Errno::EOPNOTSUPP,
        ) => of(SockType::Raw).map(|fd| (fd, true)),
        Err(error) => Err(error),
    }
}

fn of_errno(error: Errno) -> Wrong {
    match error {
        Errno::ENETUNREACH => Wrong::NoRoute,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Wrong::NoHost,
        Errno::EMSGSIZE => Wrong::TooLarge,
        _ => Wrong::NotSent,
    }
}

fn since_epoch(seconds: i64, nanos: i64) -> Option<SystemTime> {
    let (seconds, nanos) = (u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}
