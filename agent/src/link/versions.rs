//! Which version of MQTT to try next.

use fletchck_shared::config::Protocol;

use super::failure::Failure;

/// Connections closed without an answer after which a version that once worked is doubted. Fewer are a broker that
/// restarts behind a proxy.
const DOUBT: u32 = 4;

/// Remembers what worked. MQTT 5 comes first; old brokers refuse it or just hang up, and then 3.1.1 is tried.
#[derive(Debug, Default)]
pub(super) struct Versions {
    worked: Option<Protocol>,
    /// The other version than `worked`, or than 5, is next.
    other: bool,
    unanswered: u32,
    refused: u32,
}

impl Versions {
    /// The version to try, unless the configuration names one.
    pub(super) fn next(&self, configured: Option<Protocol>) -> Protocol {
        let preferred = self.worked.unwrap_or(Protocol::V5);
        let tried = if self.other { other(preferred) } else { preferred };
        configured.unwrap_or(tried)
    }

    /// A session was opened.
    pub(super) fn worked(&mut self, protocol: Protocol) {
        *self = Self { worked: Some(protocol), ..Self::default() };
    }

    /// A try failed. Answers whether the other version is worth a try at once.
    pub(super) fn failed(
        &mut self,
        configured: Option<Protocol>,
        tried: Protocol,
        failure: &Failure,
    ) -> bool {
        if configured.is_some() {
            return false;
        }
        match failure {
            Failure::Version(_) => {
                self.refused += 1;
                self.try_after(tried);
                self.refused % 2 == 1
            }
            Failure::ClosedUnanswered(_) | Failure::Malformed(_) => {
                self.unanswered += 1;
                if self.worked.is_some() && self.unanswered < DOUBT {
                    return false;
                }
                self.try_after(tried);
                self.worked.is_none() && self.unanswered == 1
            }
            // An answer, even a refusal, was in a version that the broker speaks.
            Failure::Login
            | Failure::NotAuthorised
            | Failure::ClientId(_)
            | Failure::Refused(_) => {
                self.unanswered = 0;
                self.refused = 0;
                false
            }
            _ => false,
        }
    }

    fn try_after(&mut self, tried: Protocol) {
        self.other = other(tried) != self.worked.unwrap_or(Protocol::V5);
    }
}

fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::V5 => Protocol::V311,
        Protocol::V311 => Protocol::V5,
    }
}

#[cfg(test)]
mod tests {
    use Protocol::{V5, V311};

    use super::*;

    #[test]
    fn an_old_broker_is_spoken_to_in_its_own_version_from_then_on() {
        for failure in [Failure::Version(V5), Failure::ClosedUnanswered(V5)] {
            let mut versions = Versions::default();
            assert_eq!(versions.next(None), V5);
            assert!(versions.failed(None, V5, &failure), "at once");
            assert_eq!(versions.next(None), V311);
            versions.worked(V311);
            assert_eq!(versions.next(None), V311);
        }
    }

    #[test]
    fn a_broker_that_answers_nobody_is_tried_in_turn_and_not_at_once() {
        let mut versions = Versions::default();
        let mut tried = Vec::new();
        for n in 0..5 {
            let protocol = versions.next(None);
            tried.push(protocol);
            let at_once = versions.failed(None, protocol, &Failure::ClosedUnanswered(protocol));
            assert_eq!(at_once, n == 0);
        }
        assert_eq!(tried, [V5, V311, V5, V311, V5]);
    }

    #[test]
    fn what_worked_is_not_doubted_for_a_restart_behind_a_proxy() {
        let mut versions = Versions::default();
        versions.worked(V5);
        for _ in 0..3 {
            assert!(!versions.failed(None, V5, &Failure::ClosedUnanswered(V5)));
            assert_eq!(versions.next(None), V5);
        }
        versions.failed(None, V5, &Failure::ClosedUnanswered(V5));
        assert_eq!(versions.next(None), V311);
    }

    #[test]
    fn the_configured_version_is_the_only_one() {
        let mut versions = Versions::default();
        assert!(!versions.failed(Some(V5), V5, &Failure::Version(V5)));
        assert_eq!(versions.next(Some(V5)), V5);
        assert_eq!(versions.next(Some(V311)), V311);
    }
}
