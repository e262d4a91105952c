//! Messages that were not taken: told once for each topic, then counted.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Topics told of by name. A sender that makes up topics fills the log with no more.
const TOPICS: usize = 256;

/// Time between two summaries.
const SUMMARY: Duration = Duration::from_secs(60);

/// Messages that were not taken.
#[derive(Debug)]
pub(super) struct Rejections {
    told: HashSet<Arc<str>>,
    untold: u64,
    summary: Instant,
}

impl Default for Rejections {
    fn default() -> Self {
        Self { told: HashSet::new(), untold: 0, summary: Instant::now() + SUMMARY }
    }
}

impl Rejections {
    /// Tells of one if its topic is new here, and else counts it.
    pub(super) fn add(&mut self, topic: &Arc<str>, why: &str) {
        if self.told.len() < TOPICS && self.told.insert(topic.clone()) {
            tracing::warn!(%topic, "a message is not taken: {why}");
        } else {
            self.untold += 1;
        }
        if self.untold > 0 && Instant::now() >= self.summary {
            tracing::warn!(count = self.untold, %topic, "more messages are not taken, the last: {why}");
            self.untold = 0;
            self.summary = Instant::now() + SUMMARY;
        }
    }
}
