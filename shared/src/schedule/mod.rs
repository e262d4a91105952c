//! When a check runs: triggers, their two written forms, and the beat that a running check keeps.
//!
//! A [`Trigger`] says which points in time it asks for ([`Trigger::next_after`]): equal intervals, or a calendar with
//! the meaning APScheduler 3 gives its cron triggers, which the tests prove against APScheduler itself. A [`Beat`] is
//! one check keeping time: its points, the jitter around them, and what becomes of points that were missed.

mod beat;
mod bound;
mod cron;
mod error;
mod field;
mod interval;
mod json;
mod keys;
mod text;
mod zone;

use crate::Tz;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

pub use beat::{Beat, DEFAULT_JITTER, FIRST_RUN_DELAY};
pub use cron::Cron;
pub use error::{FieldProblem, TriggerError};
pub use interval::Interval;
pub use zone::zone;

/// When a check runs, as its owner wrote it.
///
/// Two triggers are equal when they mean the same, however they are written. `Display` and `FromStr` are the text form
/// (`interval 5 min`), `Serialize` and `Deserialize` the form in the config (`{"interval": {"minutes": 5}}`), which
/// keeps every value as it was written.
#[derive(Clone, Debug)]
pub struct Trigger {
    schedule: Schedule,
    /// The values as written, in their order.
    given: Map<String, Value>,
}

/// The two kinds of trigger.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Equal lengths of time.
    Interval(Interval),
    /// Fields of the calendar.
    Cron(Box<Cron>),
}

impl Trigger {
    /// The compiled trigger.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The first point after `after`, which itself does not count. `None` when the trigger has ended.
    ///
    /// An interval's points lie whole periods from `anchor`, before it too; a cron trigger takes no notice of it. `zone`
    /// is the one to use if the trigger has none of its own.
    pub fn next_after(
        &self,
        after: DateTime<Utc>,
        anchor: DateTime<Utc>,
        zone: Tz,
    ) -> Option<DateTime<Utc>> {
        match &self.schedule {
            Schedule::Interval(interval) => interval.next_after(after, anchor, zone),
            Schedule::Cron(cron) => cron.next_after(after, zone),
        }
    }

    /// The trigger's own time zone.
    pub fn zone(&self) -> Option<Tz> {
        match &self.schedule {
            Schedule::Interval(interval) => interval.zone,
            Schedule::Cron(cron) => cron.zone,
        }
    }

    /// The last time that may still be a point, if the trigger says so.
    fn end(&self, zone: Tz) -> Option<DateTime<Utc>> {
        let end = match &self.schedule {
            Schedule::Interval(interval) => interval.end.as_ref(),
            Schedule::Cron(cron) => cron.end.as_ref(),
        };
        end.map(|end| end.instant(self.zone().unwrap_or(zone)))
    }

    /// How far a run may lie from its point, if the trigger says so. See [`Beat`].
    pub fn jitter(&self) -> Option<TimeDelta> {
        match &self.schedule {
            Schedule::Interval(interval) => interval.jitter,
            Schedule::Cron(cron) => cron.jitter,
        }
    }
}

impl PartialEq for Trigger {
    fn eq(&self, other: &Trigger) -> bool {
        self.schedule == other.schedule
    }
}
