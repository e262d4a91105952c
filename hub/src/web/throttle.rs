//! How often a password may be tried, by user and by address.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Tries that may follow one another without a pause.
const BURST: u32 = 8;

/// After a burst, one more try in this time.
const REFILL: Duration = Duration::from_secs(15);

/// Users and addresses that are remembered. Beyond it those that have tried least are forgotten.
const KEYS_MAX: usize = 10_000;

/// Pairs of user and address that logged in and are remembered.
const KNOWN_MAX: usize = 1_000;

/// Counts tries. A user who logged in from an address before is not kept out by what others try in that user's name.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When all tries of a key are given back.
    full_at: HashMap<Key, Instant>,
    known: HashSet<(String, Net)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    User(String),
    Net(Net),
}

/// An IPv4 address, or the /64 of an IPv6 address: one customer has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Net(IpAddr);

impl Throttle {
    /// Takes one try, before the password is looked at.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn take(&self, user: &str, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let net = Net::of(peer);
        let mut keys = vec![Key::Net(net)];
        if !inner.known.contains(&(user.to_owned(), net)) {
            keys.push(Key::User(user.to_owned()));
        }
        let wait = keys.iter().filter_map(|key| inner.wait(key, now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for key in keys {
            inner.count(key, now);
        }
        Ok(())
    }

    /// Gives the tries back: the password was right.
    pub(super) fn succeeded(&self, user: &str, peer: IpAddr) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let net = Net::of(peer);
        inner.full_at.remove(&Key::Net(net));
        inner.full_at.remove(&Key::User(user.to_owned()));
        if inner.known.len() >= KNOWN_MAX {
            inner.known.clear();
        }
        inner.known.insert((user.to_owned(), net));
    }
}

impl Inner {
    fn wait(&self, key: &Key, now: Instant) -> Option<Duration> {
        let full_at = self.full_at.get(key)?;
        let owed = full_at.saturating_duration_since(now);
        let most = REFILL * (BURST - 1);
        owed.checked_sub(most).filter(|wait| !wait.is_zero())
    }

    fn count(&mut self, key: Key, now: Instant) {
        if self.full_at.len() >= KEYS_MAX && !self.full_at.contains_key(&key) {
            self.forget(now);
        }
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + REFILL;
    }

    /// Makes room: all that have nothing to wait for go, and if that is not half of them, those that are nearest to it.
    fn forget(&mut self, now: Instant) {
        let mut times: Vec<_> = self.full_at.values().copied().collect();
        let (_, middle, _) = times.select_nth_unstable(KEYS_MAX / 2);
        let enough = now.max(*middle);
        self.full_at.retain(|_, full_at| *full_at > enough);
    }
}

impl Net {
    fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V6(peer) => {
                let [a, b, c, d, ..] = peer.segments();
                Self(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
            }
            peer => Self(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_burst_then_one_in_a_while() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for n in 0..BURST {
            assert_eq!(throttle.take("a", HERE, start), Ok(()), "{n}");
        }
        assert_eq!(throttle.take("a", HERE, start), Err(REFILL));
        // The address is known for guessing, whoever it tries next; the user, wherever from.
        assert_eq!(throttle.take("b", HERE, start), Err(REFILL));
        assert_eq!(throttle.take("a", THERE, start), Err(REFILL));
        assert_eq!(throttle.take("a", HERE, start + REFILL), Ok(()));
        assert_eq!(throttle.take("a", HERE, start + REFILL), Err(REFILL));
        let later = start + REFILL * 100;
        assert!((0..BURST).all(|_| throttle.take("a", HERE, later).is_ok()));
    }

    #[test]
    fn guesses_of_others_do_not_lock_a_known_user_out() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.take("a", HERE, now), Ok(()));
        throttle.succeeded("a", HERE);
        while throttle.take("a", THERE, now).is_ok() {}
        assert_eq!(throttle.take("a", HERE, now), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_neighbours_in_one_network_are_one() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..2 * u32::try_from(KEYS_MAX).expect("small") {
            let peer = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, (n >> 16) as u16, n as u16]);
            let first = throttle.take(&n.to_string(), peer, now).is_ok();
            assert_eq!(first, n < BURST, "{n}");
        }
        let other = |n: u32| IpAddr::from([10, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
        for n in 0..20_000 {
            _ = throttle.take(&n.to_string(), other(n), now);
        }
        assert!(throttle.inner.lock().expect("unpoisoned").full_at.len() <= KEYS_MAX);
    }
}
