//! Which of two messages of one check is the newer.

use chrono::{DateTime, TimeDelta, Utc};

/// Messages that arrive live but look older by more than this come from a clock that was set back; younger ones were
/// overtaken on their way.
pub const OVERTAKEN: TimeDelta = TimeDelta::minutes(5);

/// How a message stands to the newest one of its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It is newer, or nothing can be said: take it.
    Newer,
    /// It is the same run again.
    Same,
    /// It is older: leave it.
    Older,
    /// It looks older, but only since the sender's clock was set back: take it.
    ClockSetBack,
}

/// Compares the time of a message with the newest one taken before, both by the sender's clock. A retained message was
/// kept by the broker, so that an old one is nothing but old.
pub fn order(
    newest: Option<DateTime<Utc>>,
    message: Option<DateTime<Utc>>,
    retained: bool,
) -> Order {
    let (Some(newest), Some(message)) = (newest, message) else { return Order::Newer };
    match message.cmp(&newest) {
        std::cmp::Ordering::Greater => Order::Newer,
        std::cmp::Ordering::Equal => Order::Same,
        std::cmp::Ordering::Less if !retained && newest - message > OVERTAKEN => {
            Order::ClockSetBack
        }
        std::cmp::Ordering::Less => Order::Older,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_message_never_overwrites_a_newer_one_unless_the_clock_went_back() {
        let at = |minutes: i64| Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes));
        assert_eq!(order(None, at(0), true), Order::Newer);
        assert_eq!(order(at(9), at(10), false), Order::Newer);
        assert_eq!(order(at(9), at(9), false), Order::Same);
        assert_eq!(order(at(10), at(9), false), Order::Older);
        assert_eq!(order(at(10), at(1), true), Order::Older);
        assert_eq!(order(at(10), at(1), false), Order::ClockSetBack);
        assert_eq!(order(at(10), None, false), Order::Newer);
    }
}
