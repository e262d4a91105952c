//! What a worker does next: what it tells, or how long it waits.

use std::{collections::HashSet, time::Duration};

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Severity};
use tokio::time::Instant;
use tracing::error;

use super::{
    held::Wait,
    memory::Unstored,
    parts::Turn,
    worker::{FIRST_PAUSE, Work},
};
use crate::{
    actions::TellError,
    chain,
    store::{Pending, PendingDelivery},
};

/// Most notices in one letter: enough that a site's checks, which fail as its uplink does and recover with it, fit in one
/// with their failures.
const TOGETHER: usize = 5000;

/// What a worker does next.
pub(super) enum Next {
    /// Tell these.
    Tell(Vec<PendingDelivery>),
    /// Tell these, which were sent in this letter before.
    TellAgain(String, Vec<PendingDelivery>),
    /// Give these up, for this reason.
    GiveUp(Vec<PendingDelivery>, TellError),
    /// Wait for this long, or for something new, and for what, as far as people want to know.
    Wait(Duration, Option<Wait>),
    /// Wait for something new.
    Rest,
}

impl Work {
    /// Looks for what there is to tell.
    pub(super) async fn next(&mut self) -> Next {
        let mut unread = false;
        // One for all, so that what was sent before is not in time for any letter but its own.
        let (now, instant) = (self.office.clock.now(), Instant::now());
        let quiet = self.rules.quiet.as_ref();
        let quiet =
            quiet.and_then(|quiet| Some((quiet.except, quiet.until(now, self.office.zone)?)));
        if let Some(next) = self.sent_before(quiet.map(|(except, _)| except), instant).await {
            return next;
        }
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
            return Next::Wait(FIRST_PAUSE, None);
        }
        let (pending, quiet) = match quiet {
            Some((except, until)) => (disturbing(pending, except), Some(until)),
            None => (pending, None),
        };
        if pending.is_empty() {
            // Looked at now and then, for the timers do not know when the clock is set.
            let wait = |until: DateTime<Utc>| (until - now).to_std().unwrap_or_default();
            return quiet.map_or(Next::Rest, |until| {
                Next::Wait(wait(until).min(Duration::from_secs(60)), None)
            });
        }
        self.choose(pending, now, instant)
    }

    /// A letter that was sent when the program ended, or the worker, where it may be told in quiet hours with these
    /// exceptions: it may have been taken, and is sent as it was, so that whoever was told sees that it is the same.
    async fn sent_before(
        &mut self,
        quiet: Option<Option<Severity>>,
        instant: Instant,
    ) -> Option<Next> {
        if !self.cut_off {
            return None;
        }
        let letters = match self.office.store.cut_off(&self.name, &self.group).await {
            Ok(letters) => letters,
            Err(reason) => {
                error!(action.name = %self.name, error = chain(&reason), "what was sent last cannot be read");
                return None;
            }
        };
        self.cut_off = !letters.is_empty();
        let disturbs = |pending: &PendingDelivery| {
            quiet.is_none_or(|except| except.is_some_and(|except| pending.notice.about >= except))
        };
        let (letter, pending) = letters.into_iter().find_map(|(letter, mut pending)| {
            pending.retain(|pending| !self.memory.knows_told(pending.id));
            // Where each check is told of alone, one that failed holds up no other.
            let now = pending.iter().any(disturbs) && self.whose_turn(&pending, instant).is_ok();
            now.then_some((letter, pending))
        })?;
        let wait = self.pace.wait();
        Some(if wait.is_zero() {
            Next::TellAgain(letter, pending)
        } else {
            Next::Wait(wait, Some(Wait::Rate))
        })
    }

    /// Chooses the next letter of what there is to tell.
    fn choose(
        &mut self,
        pending: Vec<PendingDelivery>,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Next {
        let letter = match self.parts.turn(&pending) {
            Some(Turn::Part(part)) => {
                if let Some(failure) = self.parts.hopeless() {
                    return Next::GiveUp(part, failure);
                }
                part
            }
            Some(Turn::Aside(aside)) => {
                let gathering = self.gathering(&aside, now);
                if !gathering.is_zero() {
                    return Next::Wait(gathering, Some(Wait::More));
                }
                aside
            }
            None => {
                let gathering = self.gathering(&pending, now);
                if !gathering.is_zero() {
                    return Next::Wait(gathering, Some(Wait::More));
                }
                match self.whose_turn(&pending, instant) {
                    Ok(None) => pending,
                    Ok(Some(check)) => pending
                        .into_iter()
                        .filter(|pending| pending.notice.check == check)
                        .collect(),
                    Err(pause) => return Next::Wait(pause, Some(Wait::Retry)),
                }
            }
        };
        // A try that failed has cost nothing, so that another one need not wait for itself.
        let wait = self.pace.wait();
        if wait.is_zero() { Next::Tell(letter) } else { Next::Wait(wait, Some(Wait::Rate)) }
    }

    /// How long to wait for more than these. What failed once has been waited for already.
    fn gathering(&mut self, pending: &[PendingDelivery], now: DateTime<Utc>) -> Duration {
        let fresh = pending.first().filter(|first| first.tries == 0);
        fresh.map_or(Duration::ZERO, |first| self.pace.gathering(first.id, first.made, now))
    }

    /// The check that is told of next, where each is told of alone; or else how long all of them wait.
    fn whose_turn(
        &self,
        pending: &[PendingDelivery],
        now: Instant,
    ) -> Result<Option<CheckName>, Duration> {
        if !self.pace.alone() {
            return Ok(None);
        }
        let checks = pending.iter().map(|pending| &pending.notice.check);
        self.holdups.turn(checks, now).cloned().map(Some)
    }
}

/// What is stored and what could not be, in the order it came.
fn in_order(stored: Vec<PendingDelivery>, unstored: Vec<Unstored>) -> Vec<PendingDelivery> {
    let mut all = Vec::with_capacity(stored.len() + unstored.len());
    let mut stored = stored.into_iter().peekable();
    for Unstored { after, delivery } in unstored {
        all.extend(std::iter::from_fn(|| stored.next_if(|stored| stored.id <= after)));
        all.push(delivery);
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
