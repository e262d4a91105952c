//! Whether this site does what it is there for.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Refused, core::Core, entry::Running};
use crate::checks::Plan;

/// How late a run may begin, or end after all its tries have had their time. A moment of a busy machine is none.
const LATE: Duration = Duration::from_secs(60);

impl Core {
    /// Whether checks run on time.
    ///
    /// # Errors
    /// [`Refused::Late`], with how many do not.
    pub(super) fn on_time(&self) -> Result<(), Refused> {
        let (now, passed) = (self.now(), self.identity.clock.passed());
        let latest = now - TimeDelta::from_std(LATE).unwrap_or_default();
        let mut late = self.entries.values().filter(|entry| {
            let waits = self.scheduler.next_run(&entry.name).is_some_and(|due| due < latest);
            let hangs = match (&entry.running, &entry.plan) {
                (Some(Running::Probe { since }), Plan::Probe(probe)) => {
                    let longest = probe.limit() * entry.check.retries.get();
                    passed > *since + longest + LATE
                }
                // A sequence is as late as the member it waits for.
                _ => false,
            };
            waits || hangs
        });
        let Some(first) = late.next() else { return Ok(()) };
        let more = match late.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(Refused::Late(format!("`{}`{more} should have run by now and did not", first.name)))
    }
}
