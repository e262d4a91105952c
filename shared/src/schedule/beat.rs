//! One check keeping time.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Schedule, Trigger};

/// From loading a check to the first run of an interval, or to a run that was missed while nothing was running.
pub const FIRST_RUN_DELAY: TimeDelta = TimeDelta::seconds(1);

/// How far a run may lie from its point in either direction, unless its trigger says otherwise.
pub const DEFAULT_JITTER: TimeDelta = TimeDelta::seconds(5);

/// A run this close before the next point is taken for that point's run too.
const NEAR: TimeDelta = TimeDelta::seconds(10);

/// The beat of one running check: which point comes next, when exactly its run is due, what was missed.
///
/// The points come from the trigger alone. A run is due at its point plus a jitter that is drawn for it and forgotten
/// after it, so runs spread without drifting: every 10 s stays every 10 s on average. The jitter is at most
/// [`Trigger::jitter`] or [`DEFAULT_JITTER`], and at most a tenth of the distance to either neighbouring point, so the
/// runs of a check keep their order and at least four fifths of their distance.
///
/// An interval without a history begins [`FIRST_RUN_DELAY`] after its load, and that first run, which has no jitter,
/// anchors its grid. A cron trigger without a history waits for its first point.
///
/// Missed points, be it by a restart, a suspended machine or a clock put forward, are made up by one run, and then the
/// beat is back on its points. A point that follows such a late run almost at once counts as made up too.
///
/// Nothing here asks a clock or rolls dice: `now` and `sample`, a random number from 0 to 1, are passed in. A check that
/// is still running when it falls due is its caller's to skip; [`Beat::fired`] is told in either case.
///
/// ```
/// use std::sync::Arc;
/// use chrono::TimeDelta;
/// use fletchck_shared::schedule::{Beat, Trigger};
///
/// let trigger: Arc<Trigger> = Arc::new("10 min".parse()?);
/// let loaded = "2026-11-23T10:00:00Z".parse()?;
/// let mut beat = Beat::start(trigger.clone(), chrono_tz::UTC, loaded, None, 0.5);
/// assert_eq!(beat.due(), Some(loaded + TimeDelta::seconds(1)));
/// beat.fired(loaded + TimeDelta::seconds(1), 1.0);
/// assert_eq!(beat.due(), Some(loaded + TimeDelta::seconds(601 + 5)));
///
/// // The mark is what to store: with it a later process goes on where this one ended.
/// let later = loaded + TimeDelta::minutes(3);
/// let resumed = Beat::start(trigger, chrono_tz::UTC, later, Some(beat.mark()), 0.5);
/// assert_eq!(resumed.due(), Some(loaded + TimeDelta::seconds(601)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Beat {
    trigger: Arc<Trigger>,
    zone: Tz,
    /// Points up to here are done with. A point of the grid, where the trigger is an interval.
    mark: DateTime<Utc>,
    /// The point that comes next, or the first one missed. None when the trigger has ended.
    point: Option<DateTime<Utc>>,
    due: Option<DateTime<Utc>>,
}

impl Beat {
    /// Starts a beat at its check's load. `zone` is for a trigger without a zone of its own.
    ///
    /// `resumed` is the [`Beat::mark`] stored last, for a check that ran before under the same trigger; after a change of
    /// its trigger a check begins anew, with none.
    pub fn start(
        trigger: Arc<Trigger>,
        zone: Tz,
        now: DateTime<Utc>,
        resumed: Option<DateTime<Utc>>,
        sample: f64,
    ) -> Beat {
        let mut beat = Beat { trigger, zone, mark: now.trunc_subsecs(3), point: None, due: None };
        if beat.has_ended(now) {
            return beat;
        }
        let soon = now.trunc_subsecs(3) + FIRST_RUN_DELAY;
        match (resumed, beat.period()) {
            (Some(mark), _) if mark <= now + beat.widest_jitter() => {
                beat.mark = mark;
                match beat.next_after(mark) {
                    Some(missed) if missed <= now => {
                        (beat.point, beat.due) = (Some(missed), Some(soon));
                    }
                    next => beat.arm(next, now.max(mark), sample),
                }
            }
            // A mark further in the future is one of a clock since put back: only its grid is still of use.
            (Some(mark), Some(period)) => {
                beat.mark = mark;
                beat.arm(beat.next_after(now), now, sample);
                beat.mark = beat.point.map_or(mark, |point| point - period);
            }
            (None, Some(period)) => {
                beat.mark = soon - period;
                (beat.point, beat.due) = (Some(soon), Some(soon));
            }
            (_, None) => beat.arm(beat.next_after(now), now, sample),
        }
        beat
    }

    /// When the next run is due: now, if that is past. `None` when the trigger has ended.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        self.due
    }

    /// The point of the next run, without jitter; of a missed run, the first point that was missed.
    pub fn point(&self) -> Option<DateTime<Utc>> {
        self.point
    }

    /// Up to when every point is done with. To be stored after each [`Beat::fired`], for [`Beat::start`].
    pub fn mark(&self) -> DateTime<Utc> {
        self.mark
    }

    /// The trigger it keeps.
    pub fn trigger(&self) -> &Arc<Trigger> {
        &self.trigger
    }

    /// Takes note that the run that was due was started (or skipped, as the one before is still going) at `now`, and
    /// turns to the next point. `sample` decides on its jitter.
    pub fn fired(&mut self, now: DateTime<Utc>, sample: f64) {
        let Some(point) = self.point else { return };
        let from = point.max(now.trunc_subsecs(3));
        let mut next = self.next_after(from);
        let following = next.and_then(|next| self.next_after(next));
        if let (Some(near), Some(after)) = (next, following) {
            let spacing = (near - point).min(after - near);
            if now > point && near - now < NEAR.min(spacing / 2) {
                next = following;
                self.mark = near;
                return self.arm(next, near, sample);
            }
        }
        self.mark = match (self.period(), next) {
            (Some(period), Some(next)) => next - period,
            _ => from,
        };
        self.arm(next, from, sample);
    }

    /// Takes note that the wall clock was put back by `by` and shows `now`.
    ///
    /// An interval keeps its distances: its points move along. A cron trigger keeps its points; only if that would make
    /// it wait much longer than it ever does, points that were passed before the change are run again.
    pub fn clock_put_back(&mut self, now: DateTime<Utc>, by: TimeDelta, sample: f64) {
        let (Some(point), Some(due)) = (self.point, self.due) else { return };
        match self.trigger.schedule() {
            Schedule::Interval(_) => {
                self.mark -= by;
                self.point = Some(point - by);
                self.due = Some(due - by);
            }
            Schedule::Cron(_) if point - now > (point - self.mark) * 3 / 2 => {
                self.mark = now.trunc_subsecs(3);
                self.arm(self.next_after(now), now, sample);
            }
            Schedule::Cron(_) => {}
        }
    }

    fn period(&self) -> Option<TimeDelta> {
        match self.trigger.schedule() {
            Schedule::Interval(interval) => Some(interval.period()),
            Schedule::Cron(_) => None,
        }
    }

    fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.trigger.next_after(after, self.mark, self.zone)
    }

    /// Sets the next point and when its run is due, `before` being the last time that may have seen a run.
    fn arm(&mut self, point: Option<DateTime<Utc>>, before: DateTime<Utc>, sample: f64) {
        self.point = point;
        self.due = point.map(|point| {
            let mut spacing = point - before;
            if let Some(following) = self.next_after(point) {
                spacing = spacing.min(following - point);
            }
            let widest = self.widest_jitter().min(spacing / 10).max(TimeDelta::zero());
            let share = sample.clamp(0.0, 1.0) * 2.0 - 1.0;
            point
                + TimeDelta::microseconds(
                    (widest.num_milliseconds() as f64 * 1000.0 * share) as i64,
                )
        });
    }

    fn widest_jitter(&self) -> TimeDelta {
        self.trigger.jitter().unwrap_or(DEFAULT_JITTER)
    }

    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.trigger.end(self.zone).is_some_and(|end| end < now)
    }
}
