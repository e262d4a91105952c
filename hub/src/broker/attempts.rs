//! Failed logins, counted by address and user so that guessing is slow.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Failures of one user from one address before further tries wait.
const USER_BURST: u32 = 5;
/// Failures of all users from one address before further tries wait. Wide, as a site may hide behind one address.
const PEER_BURST: u32 = 50;
/// Time in which one failure is forgiven.
const FORGIVE: Duration = Duration::from_secs(2);
/// Entries kept; beyond, the forgiven ones go, and if none is, all do.
const KEPT: usize = 20_000;

/// Counts failures. Empty at the start and after a quiet time.
#[derive(Default)]
pub(super) struct Attempts {
    failures: Mutex<HashMap<(IpAddr, u64), Failures>>,
}

struct Failures {
    count: u32,
    at: Instant,
}

impl Failures {
    /// Failures not forgiven yet.
    fn now(&self, now: Instant) -> u32 {
        let forgiven = now.saturating_duration_since(self.at).as_secs() / FORGIVE.as_secs();
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

impl Attempts {
    /// Whether a login may be tried now.
    pub(super) fn allowed(&self, peer: IpAddr, user: Option<&str>) -> bool {
        let (peer, now, failures) = (network(peer), Instant::now(), self.failures.lock());
        let count = |key| failures.get(&key).map_or(0, |failures| failures.now(now));
        count((peer, key(user))) < USER_BURST && count((peer, 0)) < PEER_BURST
    }

    /// Counts one failure. Answers how long the refusal is to be held back.
    pub(super) fn failed(&self, peer: IpAddr, user: Option<&str>) -> Duration {
        let (peer, now, mut failures) = (network(peer), Instant::now(), self.failures.lock());
        if failures.len() >= KEPT {
            failures.retain(|_, failures| failures.now(now) > 0);
            if failures.len() >= KEPT {
                failures.clear();
            }
        }
        let mut add = |key| {
            let entry = failures.entry(key).or_insert(Failures { count: 0, at: now });
            *entry = Failures { count: entry.now(now) + 1, at: now };
            entry.count
        };
        add((peer, 0));
        Duration::from_millis(200) * add((peer, key(user))).min(USER_BURST)
    }
}

/// One household has a whole /64 of IPv6 addresses.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(peer) => IpAddr::V6((peer.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

/// Never 0, which stands for the whole address.
fn key(user: Option<&str>) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    hasher.finish() | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn guessing_one_user_is_stopped_and_forgiven_later() {
        let attempts = Attempts::default();
        let peer = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..USER_BURST {
            assert!(attempts.allowed(peer, Some("a")));
            attempts.failed(peer, Some("a"));
        }
        assert!(!attempts.allowed(peer, Some("a")));
        assert!(attempts.allowed(peer, Some("b")), "another user of the same site");
        tokio::time::advance(FORGIVE).await;
        assert!(attempts.allowed(peer, Some("a")));
    }

    #[tokio::test(start_paused = true)]
    async fn many_users_from_one_address_are_stopped_too() {
        let attempts = Attempts::default();
        let peer = IpAddr::from([192, 0, 2, 1]);
        for user in 0..PEER_BURST {
            attempts.failed(peer, Some(&user.to_string()));
        }
        assert!(!attempts.allowed(peer, Some("x")));
        assert!(attempts.allowed(IpAddr::from([192, 0, 2, 2]), Some("x")));
    }
}
