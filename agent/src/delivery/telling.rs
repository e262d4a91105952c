//! Telling: a letter on its way to the action, and the note that it was told.

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    time::Duration,
};

use fletchck_shared::CheckName;
use futures_util::FutureExt;
use tokio::time::sleep;
use tracing::{debug, error};

use super::{failing::Again, worker::Work};
use crate::{
    actions::{Letter, TellError, To},
    chain,
    store::PendingDelivery,
};

/// How long one that is telling when the program ends may go on.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

impl Work {
    /// Tells these, with what was given up of the same checks, and notes what became of it. Where they were sent before in
    /// a letter of which nobody knows what became of it, it is that letter again. The pause to make, where it failed.
    pub(super) async fn tell(
        &mut self,
        pending: Vec<PendingDelivery>,
        again: Option<String>,
    ) -> Option<Duration> {
        let given_up = self.given_up_before(&pending).await;
        let mut letter = self.letter(&given_up, &pending)?;
        let mut alone = if given_up.is_empty() { None } else { self.letter(&[], &pending) };
        if let Some(id) = &again {
            // It was refused with what was given up already.
            if let Some(alone) = alone.take_if(|alone| alone.id == *id) {
                letter = alone;
            }
            letter.id.clone_from(id);
        } else {
            self.note_letter(&pending, &letter).await;
        }
        let mut told: Vec<i64> = pending.iter().map(|pending| pending.id).collect();
        let mut answer = self.send(&letter).await?;
        match (&answer, alone) {
            // It may be what was given up that the other side cannot take.
            (Err(failure), Some(alone)) if failure.permanent => {
                self.note_letter(&pending, &alone).await;
                answer = self.send(&alone).await?;
            }
            (Ok(_), Some(_)) => told.extend(given_up.iter().map(|given_up| given_up.id)),
            _ => {}
        }
        match answer {
            Ok(answer) => {
                self.pace.sent();
                self.pace.told(letter.entries.len());
                self.parts.taken();
                self.holdups.done(&pending.first()?.notice.check);
                debug!(action.name = %self.name, "told: {answer}");
                self.memory.told(told);
                self.note_told().await;
                None
            }
            Err(failure) => {
                let how = if failure.permanent {
                    // It was a message all the same.
                    self.pace.sent();
                    let apart = self.parts.refused(&pending, &failure);
                    if apart { Again::Apart } else { Again::Together }
                } else if again.is_some() {
                    Again::AsItWas
                } else {
                    Again::Together
                };
                Some(self.note_failed(&pending, &failure, how).await)
            }
        }
    }

    /// Notes what is sent in this letter, so that it is the same one should the program end before it is known what becomes
    /// of it. An alert does not wait for a store that refuses.
    async fn note_letter(&self, pending: &[PendingDelivery], letter: &Letter) {
        let stored = pending.iter().filter(|pending| pending.stored()).map(|pending| pending.id);
        let stored: Vec<_> = stored.collect();
        if stored.is_empty() {
            return;
        }
        if let Err(reason) = self.office.store.note_letter(stored, letter.id.clone()).await {
            error!(action.name = %self.name, error = chain(&reason), "what is sent in one letter cannot be noted");
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

    /// Tells, although this worker may have to end meanwhile: the action has a limit of its own. `None`: the program ended
    /// before there was an answer.
    async fn send(&self, letter: &Letter) -> Option<Result<String, TellError>> {
        let to = To { group: &self.group, store: &self.office.store, trial: false };
        let telling = AssertUnwindSafe(self.action.tell(letter, &to)).catch_unwind();
        let farewell = async {
            self.end.cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            answer = telling => Some(answer.unwrap_or_else(|_| {
                error!(action.name = %self.name, "the program failed over an alert; please report what the log says above");
                Err(TellError::passing("the program failed over it; its log says where"))
            })),
            () = farewell => None,
        }
    }

    /// Notes what was told. What the store refuses to note is noted later, is not told again until then, and holds up
    /// nothing else.
    pub(super) async fn note_told(&mut self) {
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

    fn address(&self) -> String {
        format!("{}/{}", self.name, self.group)
    }

    fn link(&self) -> Option<&str> {
        self.office.link.as_deref()
    }
}
