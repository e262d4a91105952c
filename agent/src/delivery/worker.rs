//! One worker: it tells one group of an action's recipients what there is to tell.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{ActionName, CheckName, config, policy::QuietHours};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{Office, Roster, Unstored, pace::Pace};
use crate::{
    actions::{Action, Letter, TellError, To},
    chain,
    store::{PendingDelivery, Tried},
};

/// Pause after the first failure to tell; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Longest time for which the other side may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);

/// Tries that are made whatever the clock says: it may have been set.
const LEAST_TRIES: u32 = 5;

/// Most notices in one letter: enough that a site's checks, which fail as its uplink does and recover with it, fit in one
/// with their failures.
const TOGETHER: usize = 5000;

/// How long one that is telling when the program ends may go on.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// One worker.
pub(super) struct Work {
    pub(super) name: ActionName,
    pub(super) group: String,
    pub(super) action: Arc<dyn Action>,
    pub(super) pace: Pace,
    pub(super) rules: config::Delivery,
    pub(super) office: Office,
    pub(super) unstored: Arc<Unstored>,
    /// Stored deliveries that were made, which is not noted yet.
    pub(super) told: Vec<i64>,
    pub(super) roster: Arc<Roster>,
    pub(super) stop: CancellationToken,
}

/// What a worker does next.
enum Next {
    /// Tell these.
    Tell(Vec<PendingDelivery>),
    /// Wait for this long, or for something new.
    Wait(Duration),
    /// Wait for something new.
    Rest,
}

impl Work {
    pub(super) async fn go_on(mut self) {
        self.adopt().await;
        let stored = self.office.store.delivery_stored();
        let nudged = self.roster.nudged(&self.name);
        while !self.stop.is_cancelled() {
            // Asked for before looking, so that nothing stored in between is slept over, and nobody's wish to try at once.
            let (woken, nudge) = (stored.notified(), nudged.notified());
            tokio::pin!(woken, nudge);
            woken.as_mut().enable();
            nudge.as_mut().enable();
            self.tell_unstored().await;
            self.note_told().await;
            let pause = match self.next().await {
                Next::Tell(pending) => match self.tell(pending).await {
                    // What fails is not tried sooner because there is more of it, stored or not.
                    Some(pause) => {
                        tokio::select! {
                            () = self.stop.cancelled() => {}
                            () = nudge => {}
                            () = tokio::time::sleep(pause) => {}
                        }
                        continue;
                    }
                    None => continue,
                },
                Next::Wait(pause) => pause,
                Next::Rest => Duration::MAX,
            };
            let pause = if self.told.is_empty() { pause } else { pause.min(FIRST_PAUSE) };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = woken => {}
                () = nudge => {}
                () = self.unstored.added.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Takes over what was meant for groups that this action no longer has.
    async fn adopt(&self) {
        let Some(groups) = self.roster.groups(&self.name) else { return };
        if groups.first() != Some(&self.group) {
            return;
        }
        match self.office.store.regroup_deliveries(&self.name, groups).await {
            Ok(0) => {}
            Ok(moved) => {
                warn!(action.name = %self.name, "{moved} alerts for recipients who are no more are told to the first of those there are");
            }
            Err(reason) => {
                error!(action.name = %self.name, error = chain(&reason), "what recipients who are no more were to be told cannot be told to others");
            }
        }
    }

    async fn next(&mut self) -> Next {
        let store = &self.office.store;
        let mut pending = match store.pending_deliveries(&self.name, &self.group, TOGETHER).await {
            Ok(pending) => pending,
            Err(reason) => {
                error!(action.name = %self.name, error = chain(&reason), "what is to be told cannot be read");
                return Next::Wait(FIRST_PAUSE);
            }
        };
        pending.retain(|pending| !self.told.contains(&pending.id));
        let now = self.office.clock.now();
        let (pending, quiet) = self.awake(pending, now);
        let Some(first) = pending.first() else {
            // Looked at now and then, for the timers do not know when the clock is set.
            let wait = |until: DateTime<Utc>| (until - now).to_std().unwrap_or_default();
            return quiet
                .map_or(Next::Rest, |until| Next::Wait(wait(until).min(Duration::from_secs(60))));
        };
        let wait = if first.tries > 0 {
            Duration::ZERO
        } else {
            self.pace.gathering(first.made, now).max(self.pace.wait())
        };
        if !wait.is_zero() {
            return Next::Wait(wait);
        }
        if self.pace.alone() {
            let check = first.notice.check.clone();
            return Next::Tell(pending.into_iter().filter(|p| p.notice.check == check).collect());
        }
        Next::Tell(pending)
    }

    /// What may be told at this hour, and the end of the quiet hours if these are any.
    fn awake(
        &self,
        pending: Vec<PendingDelivery>,
        now: DateTime<Utc>,
    ) -> (Vec<PendingDelivery>, Option<DateTime<Utc>>) {
        let quiet = self.rules.quiet.as_ref();
        match quiet.and_then(|quiet| Some((quiet, quiet.until(now, self.office.zone)?))) {
            Some((quiet, until)) => (disturbing(pending, quiet), Some(until)),
            None => (pending, None),
        }
    }

    async fn tell_unstored(&mut self) {
        loop {
            // It stays where it is until it is told: this worker may be replaced in between.
            let Some(notice) = self.unstored.notices.lock().front().cloned() else { return };
            let check = notice.check.clone();
            // What is stored of the same check came before it.
            let before = self.stored_of(&check).await;
            let notices = before.iter().map(|pending| pending.notice.clone()).chain([notice]);
            let Some(letter) = Letter::of(notices, &self.address(), self.link()) else { return };
            match self.send(&letter).await {
                None => return,
                Some(Ok(_)) => {
                    self.told.extend(before.iter().map(|pending| pending.id));
                    self.unstored.notices.lock().pop_front();
                }
                Some(Err(failure)) if failure.permanent => {
                    error!(action.name = %self.name, "an alert for `{check}` is lost, for it could neither be stored nor told: {}", failure.text);
                    self.unstored.notices.lock().pop_front();
                }
                Some(Err(failure)) => {
                    warn!(action.name = %self.name, "alert for `{check}` neither stored nor sent, trying again: {}", failure.text);
                    let pause = failure.retry_after.unwrap_or(FIRST_PAUSE * 10);
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(pause.min(LONGEST_WISH)) => {}
                    }
                }
            }
        }
    }

    /// What is stored of a check and was not told.
    async fn stored_of(&self, check: &CheckName) -> Vec<PendingDelivery> {
        let stored = self.office.store.pending_deliveries(&self.name, &self.group, TOGETHER).await;
        let mut stored = stored.unwrap_or_else(|reason| {
            error!(action.name = %self.name, error = chain(&reason), "what is to be told cannot be read");
            Vec::new()
        });
        stored.retain(|pending| pending.notice.check == *check && !self.told.contains(&pending.id));
        stored
    }

    /// Tells these, and notes what became of it. The pause to make, where that failed.
    async fn tell(&mut self, pending: Vec<PendingDelivery>) -> Option<Duration> {
        let notices = pending.iter().map(|pending| pending.notice.clone());
        let letter = Letter::of(notices, &self.address(), self.link())?;
        match self.send(&letter).await? {
            Ok(answer) => {
                self.pace.sent();
                debug!(action.name = %self.name, "told: {answer}");
                self.told.extend(pending.iter().map(|pending| pending.id));
                self.note_told().await;
                None
            }
            Err(failure) => Some(self.note_failed(&pending, &failure).await),
        }
    }

    /// Tells, whatever becomes of this worker meanwhile. `None`: the program ended before there was an answer.
    async fn send(&self, letter: &Letter) -> Option<Result<String, TellError>> {
        let to = To { group: &self.group, store: &self.office.store };
        let farewell = async {
            self.stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            answer = self.action.tell(letter, &to) => Some(answer),
            () = farewell => None,
        }
    }

    /// Notes what was told. What the store refuses to note is noted later, is not told again until then, and holds up
    /// nothing else.
    async fn note_told(&mut self) {
        if self.told.is_empty() {
            return;
        }
        match self.office.store.delivered(self.told.clone()).await {
            Ok(()) => self.told.clear(),
            Err(reason) => {
                error!(action.name = %self.name, error = chain(&reason), "that an alert was told cannot be noted, trying again");
            }
        }
    }

    async fn note_failed(&self, pending: &[PendingDelivery], failure: &TellError) -> Duration {
        let now = self.office.clock.now();
        let longest = TimeDelta::from_std(self.rules.retry_for).unwrap_or(TimeDelta::MAX);
        let hopeless = |pending: &&PendingDelivery| {
            failure.permanent || (now - pending.made >= longest && pending.tries + 1 >= LEAST_TRIES)
        };
        let (given_up, again): (Vec<_>, Vec<_>) = pending.iter().partition(hopeless);
        let heir = self.rules.failover.as_ref().filter(|_| !given_up.is_empty());
        let heir = heir.and_then(|heir| Some((heir.clone(), self.roster.groups(heir)?)));
        let what = match pending {
            [one] => format!("alert for `{}`", one.notice.check),
            more => format!("{} alerts", more.len()),
        };
        let next = match (&heir, given_up.is_empty()) {
            (Some((heir, _)), _) => format!("handed to `{heir}`"),
            (None, false) => "given up".into(),
            (None, true) => "trying again".into(),
        };
        warn!(action.name = %self.name, "{what} not sent, {next}: {}", failure.text);
        // Of what is tried together the oldest counts: more that comes does not shorten the pauses.
        let tries = again.iter().map(|pending| pending.tries).max().unwrap_or(0);
        let nothing_left = again.is_empty();
        let ids = |list: &[&PendingDelivery]| list.iter().map(|pending| pending.id).collect();
        let tried = Tried {
            again: ids(&again),
            given_up: ids(&given_up),
            heir,
            error: failure.text.clone(),
            at: now,
        };
        if let Err(reason) = self.office.store.not_delivered(tried).await {
            error!(action.name = %self.name, error = chain(&reason), "what became of a delivery cannot be noted");
        } else if nothing_left {
            return Duration::ZERO;
        }
        let wish = failure.retry_after.unwrap_or_default().min(LONGEST_WISH);
        pause(tries).max(wish)
    }

    fn address(&self) -> String {
        format!("{}/{}", self.name, self.group)
    }

    fn link(&self) -> Option<&str> {
        self.office.link.as_deref()
    }
}

/// What is grave enough for quiet hours, with all that is to be told of the same checks, so that its order stays.
fn disturbing(pending: Vec<PendingDelivery>, quiet: &QuietHours) -> Vec<PendingDelivery> {
    let Some(except) = quiet.except else { return Vec::new() };
    let grave: std::collections::HashSet<_> = pending
        .iter()
        .filter(|pending| pending.notice.about >= except)
        .map(|pending| pending.notice.check.clone())
        .collect();
    pending.into_iter().filter(|pending| grave.contains(&pending.notice.check)).collect()
}

/// The pause after so many failures, with jitter so that a fleet does not come back as one.
fn pause(tries: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
