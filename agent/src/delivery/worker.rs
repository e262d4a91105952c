//! One worker: it tells one group of an action's recipients what there is to tell.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use fletchck_shared::{ActionName, config};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

use super::{
    Office, Roster,
    adoption::{Busy, adopt},
    failing::Again,
    held::{Holds, Wait},
    holdups::Holdups,
    memory::Memory,
    next::Next,
    pace::Pace,
    parts::Parts,
};
use crate::actions::Action;

/// Pause after the first failure to tell; it doubles with every further one.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause between two tries.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Pause before the store is asked once more to hand on what others were to be told.
const ADOPTS_AGAIN: Duration = Duration::from_secs(60);

/// One worker.
pub(super) struct Work {
    pub(super) name: ActionName,
    pub(super) group: String,
    pub(super) action: Arc<dyn Action>,
    pub(super) pace: Pace,
    pub(super) rules: config::Delivery,
    pub(super) office: Office,
    pub(super) memory: Arc<Memory>,
    pub(super) holdups: Holdups,
    pub(super) parts: Parts,
    /// Whether there may be letters that were sent, of which nobody knows what became of them.
    pub(super) cut_off: bool,
    pub(super) roster: Arc<Roster>,
    /// That it has not ended.
    pub(super) busy: Busy,
    /// The worker of this group before this one.
    pub(super) before: Option<TaskTracker>,
    /// Ends this worker.
    pub(super) stop: CancellationToken,
    /// Ends all of them, with the program.
    pub(super) end: CancellationToken,
}

impl Work {
    /// Begins once the worker before it has ended, and tells until it is told to end. Where its group is no more by then,
    /// others tell the rest.
    pub(super) async fn stay(mut self) {
        if let Some(before) = self.before.take() {
            before.wait().await;
        }
        self.go_on_whatever_comes().await;
        let Self { name, group, office, roster, busy, end, .. } = self;
        drop(busy);
        let stays = roster.groups(&name).is_some_and(|groups| groups.contains(&group));
        if !stays && !end.is_cancelled() {
            adopt(&name, &office, &roster).await;
        }
    }

    /// Tells until it is told to end. Should it fail over something, it is said and it goes on: nobody else would tell what
    /// it does not.
    async fn go_on_whatever_comes(&mut self) {
        let mut rest = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            if AssertUnwindSafe(self.go_on()).catch_unwind().await.is_ok() {
                return;
            }
            if began.elapsed() > LONGEST_PAUSE {
                rest = FIRST_PAUSE;
            }
            error!(action.name = %self.name, "the program failed over what there is to tell, and goes on in {} s; please report what the log says above", rest.as_secs());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(rest) => {}
            }
            rest = (rest * 2).min(LONGEST_PAUSE);
        }
    }

    async fn go_on(&mut self) {
        self.cut_off = true;
        let groups = self.roster.groups(&self.name);
        let first = groups.is_some_and(|groups| groups.first() == Some(&self.group));
        if first {
            adopt(&self.name, &self.office, &self.roster).await;
        }
        let stored = self.office.store.delivery_stored();
        let nudged = self.roster.nudged(&self.name);
        let memory = self.memory.clone();
        while !self.stop.is_cancelled() {
            // Asked for before looking, so that nothing stored in between is slept over, and nobody's wish to try at once.
            let (woken, nudge) = (stored.notified(), nudged.notified());
            tokio::pin!(woken, nudge);
            woken.as_mut().enable();
            nudge.as_mut().enable();
            self.note_told().await;
            let adopts = first && self.roster.unadopted.lock().contains(&self.name);
            if adopts {
                adopt(&self.name, &self.office, &self.roster).await;
            }
            let failed = match self.next().await {
                Next::Tell(pending) => Err(self.tell(pending, None).await),
                Next::TellAgain(letter, pending) => Err(self.tell(pending, Some(letter)).await),
                Next::GiveUp(pending, failure) => {
                    Err(Some(self.note_failed(&pending, &failure, Again::Together).await))
                }
                Next::Wait(pause, wait) => Ok((pause, wait)),
                Next::Rest => Ok((Duration::MAX, None)),
            };
            let (pause, wait) = match failed {
                Ok(wait) => wait,
                // What fails is not tried sooner because there is more of it, stored or not.
                Err(Some(pause)) => {
                    self.hold(Some((Wait::Retry, pause)));
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = nudge => self.holdups.clear(),
                        () = sleep(pause) => {}
                    }
                    continue;
                }
                Err(None) => continue,
            };
            self.hold(wait.map(|wait| (wait, pause)));
            let noted = memory.to_note().is_empty();
            let pause = if noted { pause } else { pause.min(FIRST_PAUSE) };
            let pause = if adopts { pause.min(ADOPTS_AGAIN) } else { pause };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = woken => {}
                () = nudge => self.holdups.clear(),
                () = memory.added.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Says what it waits for, with everything and with some checks.
    fn hold(&self, wait: Option<(Wait, Duration)>) {
        self.memory.hold(Holds::new(wait, self.holdups.waiting()));
    }
}
