//! One worker: it tells one group of an action's recipients what there is to tell.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use fletchck_shared::{ActionName, CheckName, Severity, config};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, warn};

use super::{
    Office, Roster,
    holdups::Holdups,
    memory::{Memory, UNSTORED},
    pace::Pace,
};
use crate::{
    actions::{Action, Letter, Notice, TellError, To},
    chain,
    store::{NewDelivery, Pending, PendingDelivery, Tried},
};

/// Pause after the first failure to tell; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Longest time for which the other side may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);

/// Tries that are made whatever the clock says: it may have been set.
const LEAST_TRIES: u32 = 5;

/// Of what was tried before the program was started, this part of the time that it is tried for must pass anew before it is
/// given up.
const PART: u32 = 12;

/// Most notices in one letter: enough that a site's checks, which fail as its uplink does and recover with it, fit in one
/// with their failures.
const TOGETHER: usize = 5000;

/// How long one that is telling when the program ends may go on.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// How long one that is telling when another takes its place may go on.
const HANDOVER: Duration = Duration::from_secs(120);

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
    /// What the workers of groups knew that are no more, where this one takes over from them.
    pub(super) orphans: Vec<Arc<Memory>>,
    pub(super) roster: Arc<Roster>,
    /// The workers before this one.
    pub(super) before: Option<TaskTracker>,
    /// Ends this worker.
    pub(super) stop: CancellationToken,
    /// Ends all of them, with the program.
    pub(super) end: CancellationToken,
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
    /// Begins once the workers before it have ended, and tells until it is told to end. Should it fail over something, it
    /// is said and it goes on: nobody else would tell what it does not.
    pub(super) async fn stay(mut self) {
        if let Some(before) = self.before.take() {
            before.wait().await;
        }
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
        self.adopt().await;
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
            let pause = match self.next().await {
                Next::Tell(pending) => match self.tell(pending).await {
                    // What fails is not tried sooner because there is more of it, stored or not.
                    Some(pause) => {
                        tokio::select! {
                            () = self.stop.cancelled() => {}
                            () = nudge => self.holdups.clear(),
                            () = sleep(pause) => {}
                        }
                        continue;
                    }
                    None => continue,
                },
                Next::Wait(pause) => pause,
                Next::Rest => Duration::MAX,
            };
            let noted = memory.to_note().is_empty();
            let pause = if noted { pause } else { pause.min(FIRST_PAUSE) };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = woken => {}
                () = nudge => self.holdups.clear(),
                () = memory.added.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// Takes over what was meant for groups that this action no longer has.
    async fn adopt(&mut self) {
        for orphan in self.orphans.drain(..) {
            let lost = self.memory.take_over(&orphan);
            if lost > 0 {
                error!(action.name = %self.name, "{lost} alerts are lost: more than {UNSTORED} wait that could not be stored");
            }
        }
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
        let mut unread = false;
        let now = self.office.clock.now();
        let quiet = self.rules.quiet.as_ref();
        let quiet =
            quiet.and_then(|quiet| Some((quiet.except, quiet.until(now, self.office.zone)?)));
        let (told, unstored) = (self.memory.to_note(), self.memory.unstored());
        let asked =
            Pending { most: TOGETHER + told.len(), grave: quiet.and_then(|(except, _)| except) };
        let stored = self.office.store.pending_deliveries(&self.name, &self.group, asked).await;
        let stored = stored.unwrap_or_else(|reason| {
            error!(action.name = %self.name, error = chain(&reason), "what is to be told cannot be read");
            unread = true;
            Vec::new()
        });
        let mut pending = in_order(stored, unstored);
        pending.retain(|pending| !self.memory.knows_told(pending.id));
        if unread && pending.is_empty() {
            return Next::Wait(FIRST_PAUSE);
        }
        let (pending, quiet) = match quiet {
            Some((except, until)) => (disturbing(pending, except), Some(until)),
            None => (pending, None),
        };
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
            let checks = pending.iter().map(|pending| &pending.notice.check);
            return match self.holdups.turn(checks).cloned() {
                Ok(check) => Next::Tell(
                    pending.into_iter().filter(|pending| pending.notice.check == check).collect(),
                ),
                Err(pause) => Next::Wait(pause),
            };
        }
        Next::Tell(pending)
    }

    /// Tells these, with what was given up of the same checks, and notes what became of it. The pause to make, where that
    /// failed.
    async fn tell(&mut self, pending: Vec<PendingDelivery>) -> Option<Duration> {
        let given_up = self.given_up_before(&pending).await;
        let mut told: Vec<i64> = pending.iter().map(|pending| pending.id).collect();
        let mut answer = self.send(&self.letter(&given_up, &pending)?).await?;
        match &answer {
            // It may be what was given up that the other side cannot take.
            Err(failure) if failure.permanent && !given_up.is_empty() => {
                answer = self.send(&self.letter(&[], &pending)?).await?;
            }
            Err(_) => {}
            Ok(_) => told.extend(given_up.iter().map(|given_up| given_up.id)),
        }
        match answer {
            Ok(answer) => {
                self.pace.sent();
                self.holdups.done(&pending.first()?.notice.check);
                debug!(action.name = %self.name, "told: {answer}");
                self.memory.told(told);
                self.note_told().await;
                None
            }
            Err(failure) => Some(self.note_failed(&pending, &failure).await),
        }
    }

    /// What was given up of these checks before, so that nobody hears of an end without its beginning.
    async fn given_up_before(&self, pending: &[PendingDelivery]) -> Vec<PendingDelivery> {
        let mut first: HashMap<&CheckName, i64> = HashMap::new();
        for PendingDelivery { id, notice, .. } in pending {
            // What could not be stored came after what was given up.
            let id = if *id > 0 { *id } else { i64::MAX };
            first.entry(&notice.check).and_modify(|first| *first = id.min(*first)).or_insert(id);
        }
        let checks = first.keys().map(|check| (*check).clone()).collect();
        let given_up = self.office.store.given_up(&self.name, &self.group, checks).await;
        let mut given_up = given_up.unwrap_or_else(|reason| {
            error!(action.name = %self.name, error = chain(&reason), "what was given up cannot be read");
            Vec::new()
        });
        given_up.retain(|one| {
            let before = first.get(&one.notice.check).is_some_and(|first| one.id < *first);
            before && !self.memory.knows_told(one.id)
        });
        given_up
    }

    /// A letter of these, each with what was given up of its check.
    fn letter(&self, given_up: &[PendingDelivery], pending: &[PendingDelivery]) -> Option<Letter> {
        let mut seen = HashSet::new();
        let notices = pending.iter().flat_map(|pending| {
            let check = &pending.notice.check;
            let before = given_up.iter().filter(move |one| one.notice.check == *check);
            let first = seen.insert(check);
            before.filter(move |_| first).chain([pending]).map(|one| one.notice.clone())
        });
        Letter::of(notices, &self.address(), self.link())
    }

    /// Tells, whatever becomes of this worker meanwhile. `None`: it had to end before there was an answer.
    async fn send(&self, letter: &Letter) -> Option<Result<String, TellError>> {
        let to = To { group: &self.group, store: &self.office.store, trial: false };
        let telling = AssertUnwindSafe(self.action.tell(letter, &to)).catch_unwind();
        let farewell = async {
            self.end.cancelled().await;
            sleep(FAREWELL).await;
        };
        let handover = async {
            self.stop.cancelled().await;
            sleep(HANDOVER).await;
        };
        tokio::select! {
            answer = telling => Some(answer.unwrap_or_else(|_| {
                error!(action.name = %self.name, "the program failed over an alert; please report what the log says above");
                Err(TellError::passing("the program failed over it; its log says where"))
            })),
            () = farewell => None,
            () = handover => None,
        }
    }

    /// Notes what was told. What the store refuses to note is noted later, is not told again until then, and holds up
    /// nothing else.
    async fn note_told(&mut self) {
        let told = self.memory.to_note();
        if told.is_empty() {
            return;
        }
        match self.office.store.delivered(told.clone()).await {
            Ok(()) => self.memory.noted(&told),
            Err(reason) => {
                error!(action.name = %self.name, error = chain(&reason), "that an alert was told cannot be noted, trying again");
            }
        }
    }

    async fn note_failed(&mut self, pending: &[PendingDelivery], failure: &TellError) -> Duration {
        let now = self.office.clock.now();
        let hopeless = |pending: &PendingDelivery| {
            let outlived = self.outlived(pending, now);
            failure.permanent || (outlived && pending.tries + 1 >= LEAST_TRIES)
        };
        let (given_up, again): (Vec<_>, Vec<_>) = pending.iter().partition(|one| hopeless(one));
        self.memory.forget(given_up.iter().map(|pending| pending.id));
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
        for lost in given_up.iter().filter(|pending| !pending.stored()) {
            self.give_up_unstored(&lost.notice, heir.as_ref(), now);
        }
        // Of what is tried together the oldest counts: more that comes does not shorten the pauses.
        let tries = again.iter().map(|pending| pending.tries).max().unwrap_or(0);
        let nothing_left = again.is_empty();
        let ids = |list: &[&PendingDelivery]| {
            list.iter().filter(|pending| pending.stored()).map(|pending| pending.id).collect()
        };
        let tried = Tried {
            again: ids(&again),
            given_up: ids(&given_up),
            heir,
            error: failure.text.clone(),
            at: now,
        };
        let nothing_stored = tried.again.is_empty() && tried.given_up.is_empty();
        let noted = nothing_stored || self.note_tried(tried).await;
        let check = pending.first().map(|pending| &pending.notice.check);
        if let Some(check) = check.filter(|_| noted && nothing_left) {
            self.holdups.done(check);
            return Duration::ZERO;
        }
        let wish = failure.retry_after.unwrap_or_default().min(LONGEST_WISH);
        match check.filter(|_| self.pace.alone()) {
            None => pause(tries).max(wish),
            // The others of this action are tried meanwhile, unless they fail as well.
            Some(check) => self
                .holdups
                .failed(check, pause(tries))
                .map_or(wish, |failed| pause(failed).max(wish)),
        }
    }

    /// Whether this, which failed once more, was tried for as long as it may be. Only time that has really passed counts,
    /// for the clock may have been set; of what the program tried before it was started, a good part of it.
    fn outlived(&self, pending: &PendingDelivery, now: DateTime<Utc>) -> bool {
        let longest = self.rules.retry_for;
        let (waited, earlier) = self.memory.failed(pending);
        let old = (now - pending.made).to_std().is_ok_and(|age| age >= longest);
        waited >= longest || (earlier && old && waited >= longest / PART)
    }

    /// What could neither be stored nor told goes to whoever stands in, or is at least in the log.
    fn give_up_unstored(
        &self,
        notice: &Notice,
        heir: Option<&(ActionName, Vec<String>)>,
        now: DateTime<Utc>,
    ) {
        let Some((heir, groups)) = heir else {
            error!(action.name = %self.name, "an alert is lost, for it could neither be stored nor told: `{}` {}: {}", notice.check, notice.word(), notice.text);
            return;
        };
        for group in groups {
            let (action, group, notice) = (heir.clone(), group.clone(), notice.clone());
            self.roster.tell_unstored(NewDelivery { action, group, notice, made: now });
        }
    }

    /// Whether the store took what became of deliveries.
    async fn note_tried(&self, tried: Tried) -> bool {
        let noted = self.office.store.not_delivered(tried).await;
        if let Err(reason) = &noted {
            error!(action.name = %self.name, error = chain(reason), "what became of a delivery cannot be noted");
        }
        noted.is_ok()
    }

    fn address(&self) -> String {
        format!("{}/{}", self.name, self.group)
    }

    fn link(&self) -> Option<&str> {
        self.office.link.as_deref()
    }
}

/// What is stored and what could not be, each in its order, by the time it was made.
fn in_order(stored: Vec<PendingDelivery>, unstored: Vec<PendingDelivery>) -> Vec<PendingDelivery> {
    let mut all = Vec::with_capacity(stored.len() + unstored.len());
    let mut stored = stored.into_iter().peekable();
    for one in unstored {
        all.extend(std::iter::from_fn(|| stored.next_if(|stored| stored.made <= one.made)));
        all.push(one);
    }
    all.extend(stored);
    all
}

/// What is grave enough for quiet hours, with all that is to be told of the same checks, so that its order stays.
fn disturbing(pending: Vec<PendingDelivery>, except: Option<Severity>) -> Vec<PendingDelivery> {
    let Some(except) = except else { return Vec::new() };
    let grave: HashSet<_> = pending
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
