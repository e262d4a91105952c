//! Messages that are left, and how often that is said.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

/// How long it takes until the same is said again.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// Most topics that are told apart. Anyone could invent more.
const TOPICS: usize = 1000;

/// Topics of messages that were left: when that was last said, and how many came since.
#[derive(Debug, Default)]
pub(super) struct Left {
    topics: HashMap<String, (DateTime<Utc>, u64)>,
}

impl Left {
    /// Counts a message on a topic. With the number that came since it was last said, if it is to be said now.
    pub(super) fn leave(&mut self, topic: &str, at: DateTime<Utc>) -> Option<u64> {
        if let Some((said, since)) = self.topics.get_mut(topic) {
            if (at - *said).abs() < AGAIN {
                *since += 1;
                return None;
            }
            *said = at;
            return Some(std::mem::take(since));
        }
        if self.topics.len() >= TOPICS {
            self.topics.retain(|_, (said, _)| (at - *said).abs() < AGAIN);
            if self.topics.len() >= TOPICS {
                return None;
            }
        }
        self.topics.insert(topic.into(), (at, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_comes_every_second_is_told_of_every_hour() {
        let (mut left, begin) = (Left::default(), DateTime::UNIX_EPOCH);
        let told: Vec<_> = (0..7300)
            .filter_map(|second| left.leave("a", begin + TimeDelta::seconds(second)))
            .collect();
        assert_eq!(told, [0, 3599, 3599]);
        assert_eq!(left.leave("b", begin), Some(0));
    }

    #[test]
    fn endless_topics_take_no_endless_memory() {
        let (mut left, begin) = (Left::default(), DateTime::UNIX_EPOCH);
        let told = (0..5000).filter(|n| left.leave(&n.to_string(), begin).is_some()).count();
        assert_eq!((told, left.topics.len()), (TOPICS, TOPICS));
        assert_eq!(left.leave("later", begin + TimeDelta::hours(2)), Some(0));
    }
}
