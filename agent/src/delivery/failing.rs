//! What becomes of what could not be told: it is tried again, given up, or handed over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use fletchck_shared::ActionName;
use tracing::{error, warn};

use super::worker::{FIRST_PAUSE, LONGEST_PAUSE, Work};
use crate::{
    actions::{Notice, TellError},
    chain,
    store::{NewDelivery, PendingDelivery, Tried},
};

/// Longest time for which the other side may ask to be left alone.
const LONGEST_WISH: Duration = Duration::from_secs(24 * 3600);

/// Tries that are made whatever the clock says: it may have been set.
const LEAST_TRIES: u32 = 5;

/// Of what was tried before the program was started, this part of the time that it is tried for must pass anew before it is
/// given up.
const PART: u32 = 12;

/// How what could not be told is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// With all else there is to tell by then.
    Together,
    /// As it was: it may have been taken when it was sent before.
    AsItWas,
    /// Each check apart from the others.
    Apart,
}

impl Work {
    /// Notes that these were not told, and are tried again like this, or given up. The pause to make.
    pub(super) async fn note_failed(
        &mut self,
        pending: &[PendingDelivery],
        failure: &TellError,
        how: Again,
    ) -> Duration {
        let now = self.office.clock.now();
        let apart = how == Again::Apart;
        let hopeless = |pending: &PendingDelivery| {
            let outlived = self.outlived(pending, now);
            !apart && (failure.permanent || (outlived && pending.tries + 1 >= LEAST_TRIES))
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
            (None, true) if apart => "trying them apart".into(),
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
            as_it_was: how == Again::AsItWas,
            given_up: ids(&given_up),
            heir,
            error: failure.text.clone(),
            at: now,
        };
        let nothing_stored = tried.again.is_empty() && tried.given_up.is_empty();
        let noted = nothing_stored || self.note_tried(tried).await;
        if !noted {
            // What the store still takes for one letter must not stand before all else again and again.
            self.cut_off = false;
        }
        if apart {
            return if noted { Duration::ZERO } else { pause(0) };
        }
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
}

/// The pause after so many failures, with jitter so that a fleet does not come back as one.
fn pause(tries: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
