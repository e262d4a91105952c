//! One check keeping time.

use std::sync::Arc;

use crate::Tz;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{Schedule, Trigger};

/// From loading a check to the first run of an interval, or to a run that was missed while nothing was running. Where many
/// are loaded at once, some come later.
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
/// An interval without a history begins when its caller says, [`FIRST_RUN_DELAY`] after its load as a rule, and that first
/// run, which has no jitter, anchors its grid. A cron trigger without a history waits for its first point.
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
/// use fletchck_shared::{Tz, schedule::{Beat, FIRST_RUN_DELAY, Trigger}};
///
/// let trigger: Arc<Trigger> = Arc::new("10 min".parse()?);
/// let loaded = "2026-11-23T10:00:00Z".parse()?;
/// let first = loaded + FIRST_RUN_DELAY;
/// let mut beat = Beat::start(trigger.clone(), Tz::UTC, loaded, None, first, 0.5);
/// assert_eq!(beat.due(), Some(loaded + TimeDelta::seconds(1)));
/// beat.fired(loaded + TimeDelta::seconds(1), 1.0);
/// assert_eq!(beat.due(), Some(loaded + TimeDelta::seconds(601 + 5)));
///
/// // The mark is what to store: with it a later process goes on where this one ended.
/// let later = loaded + TimeDelta::minutes(3);
/// let first = later + FIRST_RUN_DELAY;
/// let resumed = Beat::start(trigger, Tz::UTC, later, Some(beat.mark()), first, 0.5);
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
    ///
    /// `first` is when a first run is due, or one that makes up for missed ones.
    pub fn start(
        trigger: Arc<Trigger>,
        zone: Tz,
        now: DateTime<Utc>,
        resumed: Option<DateTime<Utc>>,
        first: DateTime<Utc>,
        sample: f64,
    ) -> Beat {
        let mut beat = Beat { trigger, zone, mark: now.trunc_subsecs(3), point: None, due: None };
        if beat.has_ended(now) {
            return beat;
        }
        match (resumed, beat.period()) {
            (Some(mark), _) if mark <= now + beat.widest_jitter() => {
                beat.mark = mark;
                match beat.next_after(mark) {
                    Some(missed) if missed <= now => {
                        (beat.point, beat.due) = (Some(missed), Some(first));
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
                beat.mark = first - period;
                (beat.point, beat.due) = (Some(first), Some(first));
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
            let off = widest.num_milliseconds() as f64 * 1000.0 * share;
            point + TimeDelta::microseconds(off.round() as i64)
        });
    }

    fn widest_jitter(&self) -> TimeDelta {
        self.trigger.jitter().unwrap_or(DEFAULT_JITTER)
    }

    fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.trigger.end(self.zone).is_some_and(|end| end < now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn start(text: &str, now: &str, mark: Option<&str>) -> Beat {
        let trigger = Arc::new(text.parse::<Trigger>().expect(text));
        let now = at(now);
        Beat::start(trigger, Tz::UTC, now, mark.map(at), now + FIRST_RUN_DELAY, 0.5)
    }

    #[test]
    fn a_start_finds_its_first_run() {
        let table = [
            ("without a history", "3 hr", None, Some("2026-11-23T10:00:01Z")),
            (
                "still on its grid",
                "3 hr",
                Some("2026-11-23T08:30:00Z"),
                Some("2026-11-23T11:30:00Z"),
            ),
            ("one missed", "3 hr", Some("2026-11-23T06:30:00Z"), Some("2026-11-23T10:00:01Z")),
            ("many missed", "3 hr", Some("2020-01-01T00:30:00Z"), Some("2026-11-23T10:00:01Z")),
            (
                "ran early for its point",
                "10 min",
                Some("2026-11-23T10:00:04Z"),
                Some("2026-11-23T10:10:04Z"),
            ),
            (
                "marked by a clock ahead",
                "3 hr",
                Some("2099-01-01T01:30:00Z"),
                Some("2026-11-23T10:30:00Z"),
            ),
            ("ended", "3 hr 2026-11-23 end", Some("2026-11-22T23:00:00Z"), None),
            ("cron without a history", "cron 3 hr", None, Some("2026-11-24T03:00:00Z")),
            (
                "cron on time",
                "cron 3 hr",
                Some("2026-11-23T03:00:00Z"),
                Some("2026-11-24T03:00:00Z"),
            ),
            (
                "cron missed",
                "cron 3 hr",
                Some("2026-11-22T03:00:00Z"),
                Some("2026-11-23T10:00:01Z"),
            ),
            (
                "cron marked by a clock ahead",
                "cron 3 hr",
                Some("2099-01-01T03:00:00Z"),
                Some("2026-11-24T03:00:00Z"),
            ),
            ("cron over", "cron 2025 year", None, None),
        ];
        for (what, trigger, mark, due) in table {
            let beat = start(trigger, "2026-11-23T10:00:00Z", mark);
            assert_eq!(beat.due(), due.map(at), "{what}");
        }
    }

    #[test]
    fn a_first_run_that_has_to_wait_anchors_the_grid_where_it_is() {
        let trigger = Arc::new("10 sec".parse::<Trigger>().expect("an interval"));
        let (now, first) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:00:03.500Z"));
        // What was missed is made up for at its turn as well, and moves no grid.
        let missed = Some(at("2026-11-23T09:00:00Z"));
        for (mark, next) in [(None, "2026-11-23T10:00:13.500Z"), (missed, "2026-11-23T10:00:10Z")] {
            let mut beat = Beat::start(trigger.clone(), Tz::UTC, now, mark, first, 0.5);
            assert_eq!(beat.due(), Some(first));
            beat.fired(first, 0.5);
            assert_eq!(beat.due(), Some(at(next)));
        }
    }

    #[test]
    fn a_late_run_is_followed_by_the_next_point_unless_that_is_near() {
        let mut beat = start("3 hr", "2026-11-23T10:00:00Z", Some("2026-11-22T23:00:00Z"));
        beat.fired(at("2026-11-23T10:00:01Z"), 0.5);
        assert_eq!(
            (beat.mark(), beat.due()),
            (at("2026-11-23T08:00:00Z"), Some(at("2026-11-23T11:00:00Z")))
        );

        let mut beat = start("3 hr", "2026-11-23T10:59:53Z", Some("2026-11-22T23:00:00Z"));
        beat.fired(at("2026-11-23T10:59:54Z"), 0.5);
        assert_eq!(
            (beat.mark(), beat.due()),
            (at("2026-11-23T11:00:00Z"), Some(at("2026-11-23T14:00:00Z")))
        );

        let mut beat = start("cron */10 min", "2026-11-23T10:00:00Z", None);
        beat.fired(at("2026-11-23T13:34:56Z"), 0.5);
        assert_eq!(beat.due(), Some(at("2026-11-23T13:40:00Z")));
    }

    #[test]
    fn points_close_to_each_other_are_both_run() {
        let mut beat = start("cron 0 min 0,1 sec", "2026-11-23T10:30:00Z", None);
        beat.fired(at("2026-11-23T11:00:00.100Z"), 1.0);
        assert_eq!(beat.due(), Some(at("2026-11-23T11:00:01.090Z")));
    }

    #[test]
    fn a_clock_put_back_moves_intervals_and_repeats_points_only_if_silence_would_be_long() {
        let hour = TimeDelta::hours(1);
        let mut beat = start("10 min", "2026-11-23T10:00:00Z", None);
        beat.fired(at("2026-11-23T10:00:01Z"), 0.5);
        beat.clock_put_back(at("2026-11-23T09:05:00Z"), hour, 0.5);
        assert_eq!(beat.due(), Some(at("2026-11-23T09:10:01Z")));

        let mut beat = start("cron */10 min", "2026-11-23T10:55:00Z", None);
        beat.fired(at("2026-11-23T11:00:00Z"), 0.5);
        beat.clock_put_back(at("2026-11-23T10:05:00Z"), hour, 0.5);
        assert_eq!(beat.due(), Some(at("2026-11-23T10:10:00Z")));

        let mut beat = start("cron 3 hr", "2026-11-23T02:00:00Z", None);
        beat.fired(at("2026-11-23T03:00:00Z"), 0.5);
        beat.clock_put_back(at("2026-11-23T02:30:00Z"), hour, 0.5);
        assert_eq!(beat.due(), Some(at("2026-11-24T03:00:00Z")), "not a second time today");
    }

    #[test]
    fn jitter_has_its_limits() {
        for (trigger, widest) in [
            ("10 sec", 1_000),
            ("10 min", 5_000),
            ("10 min 30 jitter", 30_000),
            ("10 min 0 jitter", 0),
            ("1 min 3600 jitter", 6_000),
        ] {
            let mut beat = start(trigger, "2026-11-23T10:00:00Z", None);
            for sample in [0.0, 1.0, 7.0, f64::NAN] {
                let point = beat.point().expect("a point");
                beat.fired(point, sample);
                let off = beat.due().expect("due") - beat.point().expect("a point");
                let share = if sample.is_nan() { 0 } else { 1 };
                assert_eq!(off.num_milliseconds().abs(), widest * share, "{trigger} {sample}");
            }
        }
    }

    proptest! {
        /// Whatever the samples and small delays, run n lies at its point, runs keep their order and distance, and a
        /// restart in between changes no point.
        #[test]
        fn runs_keep_to_their_grid(
            seconds in 1i64..100_000,
            runs in prop::collection::vec((0.0..1.0, 0.0..0.05, prop::bool::ANY), 1..50),
        ) {
            let begin = at("2026-11-23T10:00:00Z");
            let trigger: Arc<Trigger> = Arc::new(format!("{seconds} sec").parse().expect("an interval"));
            let period = TimeDelta::seconds(seconds);
            let first = begin + FIRST_RUN_DELAY;
            let mut beat = Beat::start(trigger.clone(), Tz::UTC, begin, None, first, 0.5);
            let mut before: Option<DateTime<Utc>> = None;
            for (run, (sample, delay, restart)) in runs.into_iter().enumerate() {
                let point = begin + FIRST_RUN_DELAY + period * run as i32;
                prop_assert_eq!(beat.point(), Some(point));
                let due = beat.due().expect("due");
                prop_assert!((due - point).abs() <= DEFAULT_JITTER.min(period / 10));
                let now = due + TimeDelta::milliseconds((delay * seconds as f64 * 1000.0) as i64);
                if let Some(before) = before {
                    prop_assert!(now - before >= period * 3 / 4);
                }
                before = Some(now);
                beat.fired(now, sample);
                prop_assert_eq!(beat.mark(), point);
                if restart {
                    let (mark, first) = (Some(beat.mark()), now + FIRST_RUN_DELAY);
                    beat = Beat::start(trigger.clone(), Tz::UTC, now, mark, first, sample);
                }
            }
        }
    }
}
