//! What the network says instead of an answer, in plain words.

use std::{fmt, net::IpAddr};

use super::echo::Icmp;

/// Something said instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// What is wrong.
    pub(super) wrong: Wrong,
    /// Who says so.
    pub(super) from: Option<From>,
}

/// Who says that something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// This machine itself.
    Here,
    /// A machine on the way, or the one that was asked.
    There(IpAddr),
}

/// What can be wrong with a packet on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Nobody knows the way.
    NoRoute,
    /// The way is known, and nobody answers at its end.
    NoHost,
    /// It is not allowed through.
    Forbidden,
    /// It is larger than a network on the way can carry.
    TooLarge,
    /// It went from router to router until its time was over.
    Loop,
    /// The system could not send it.
    NotSent,
    /// Anything else, by type and code.
    Other(u8, u8),
}

impl Wrong {
    /// What a message of ICMP means (RFC 792, RFC 1812 section 5.2.7, RFC 4443 section 3).
    pub(super) fn of(icmp: Icmp, kind: u8, code: u8) -> Self {
        match (icmp, kind, code) {
            (Icmp::Four, 3, 0 | 6 | 11) | (Icmp::Six, 1, 0 | 2) => Self::NoRoute,
            (Icmp::Four, 3, 1 | 7 | 8 | 12) | (Icmp::Six, 1, 3) => Self::NoHost,
            (Icmp::Four, 3, 9 | 10 | 13) | (Icmp::Six, 1, 1 | 5 | 6) => Self::Forbidden,
            (Icmp::Four, 3, 4) | (Icmp::Six, 2, _) => Self::TooLarge,
            (Icmp::Four, 11, 0) | (Icmp::Six, 3, 0) => Self::Loop,
            (_, kind, code) => Self::Other(kind, code),
        }
    }
}

/// As the end of a sentence.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            Some(From::There(address)) => write!(f, "{address} says that ")?,
            Some(From::Here) => f.write_str("this machine says that ")?,
            None => {}
        }
        match self.wrong {
            Wrong::NoRoute => f.write_str("there is no route to it"),
            Wrong::NoHost if self.from == Some(From::Here) => {
                f.write_str("nobody on its network has this address (is the machine up?)")
            }
            Wrong::NoHost => f.write_str("the host cannot be reached (is the machine up?)"),
            Wrong::Forbidden => {
                f.write_str("it is not let through (administratively prohibited: a firewall?)")
            }
            Wrong::TooLarge => f.write_str("it is too large for the way: choose a smaller `size`"),
            Wrong::Loop => f.write_str(
                "its time to live ran out on the way (do two routers send it in circles?)",
            ),
            Wrong::NotSent => f.write_str("it could not be sent (a firewall on this machine?)"),
            Wrong::Other(kind, code) => {
                write!(f, "it cannot be delivered (ICMP type {kind}, code {code})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_network_says_is_told_in_words() {
        let router = Some(From::There(IpAddr::from([192, 0, 2, 1])));
        for (icmp, kind, code, from, words) in [
            (Icmp::Four, 3, 0, router, "192.0.2.1 says that there is no route to it"),
            (Icmp::Six, 1, 0, None, "there is no route to it"),
            (
                Icmp::Four,
                3,
                1,
                router,
                "192.0.2.1 says that the host cannot be reached (is the machine up?)",
            ),
            (
                Icmp::Six,
                1,
                3,
                Some(From::Here),
                "this machine says that nobody on its network has this address (is the machine up?)",
            ),
            (
                Icmp::Four,
                3,
                13,
                router,
                "192.0.2.1 says that it is not let through (administratively prohibited: a firewall?)",
            ),
            (Icmp::Six, 2, 0, None, "it is too large for the way: choose a smaller `size`"),
            (
                Icmp::Four,
                11,
                0,
                router,
                "192.0.2.1 says that its time to live ran out on the way (do two routers send it in circles?)",
            ),
            (Icmp::Four, 12, 1, None, "it cannot be delivered (ICMP type 12, code 1)"),
        ] {
            let trouble = Trouble { wrong: Wrong::of(icmp, kind, code), from };
            assert_eq!(trouble.to_string(), words, "{icmp:?} {kind} {code}");
        }
    }
}
