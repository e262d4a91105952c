//! Alarms for the end of a remote check's timeout.

use std::{collections::HashMap, future, time::Duration};

use chrono::{DateTime, Utc};
use fletchck_shared::CheckName;
use futures_util::StreamExt;
use tokio_util::time::{DelayQueue, delay_queue};

/// Longest wait of one alarm. The timers do not know when the wall clock is set or the machine sleeps, so a far one is
/// looked at in between.
const LONGEST: Duration = Duration::from_secs(60);

/// Alarms, at most one for each check. One may come early; whoever set it looks at the clock and sets it again.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    queue: DelayQueue<CheckName>,
    keys: HashMap<CheckName, delay_queue::Key>,
}

impl Alarms {
    /// Sets an alarm, in place of the one before.
    pub(super) fn set(&mut self, name: CheckName, at: DateTime<Utc>, now: DateTime<Utc>) {
        self.remove(&name);
        let wait = (at - now).to_std().unwrap_or_default().min(LONGEST);
        let key = self.queue.insert(name.clone(), wait);
        self.keys.insert(name, key);
    }

    pub(super) fn contains(&self, name: &CheckName) -> bool {
        self.keys.contains_key(name)
    }

    pub(super) fn remove(&mut self, name: &CheckName) {
        if let Some(key) = self.keys.remove(name) {
            self.queue.remove(&key);
        }
    }

    /// Waits for the next alarm; for ever where none is set.
    pub(super) async fn next(&mut self) -> CheckName {
        match self.queue.next().await {
            Some(expired) => {
                let name = expired.into_inner();
                self.keys.remove(&name);
                name
            }
            None => future::pending().await,
        }
    }
}
