//! What the engine holds, and how it moves from one event to the next commit.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId, CheckName, Tz,
    config::{Fault, Site},
    policy::Silence,
    state::Seen,
};
use indexmap::{IndexMap, IndexSet};
use tokio::sync::{mpsc, oneshot};

use super::{
    Board, CheckView, Identity, Learned, Refused, Request,
    alarm::Alarms,
    broker::Away,
    directory::Directory,
    entry::Entry,
    event::{Event, RunId},
    left::Left,
    listening::Listening,
    refusing::Refusing,
};
use crate::{
    delivery::Delivery,
    scheduler::Scheduler,
    store::{Batch, CheckRow, RemoteRow, SilenceId, Store},
    turn::{Ended, Places},
};

/// What was asked and is answered once all that follows from it is stored.
#[derive(Debug)]
pub(super) struct Answer {
    asker: oneshot::Sender<Result<(), Refused>>,
    answer: Result<(), Refused>,
    /// Whether it is no unless the store takes what follows.
    needs_store: bool,
}

/// What the engine holds. Only its own task touches it, so nothing here needs a lock.
pub(super) struct Core {
    pub(super) site: Site,
    pub(super) identity: Identity,
    pub(super) host_zone: Tz,
    pub(super) entries: IndexMap<CheckName, Entry>,
    pub(super) directory: Directory,
    pub(super) left: Left,
    pub(super) scheduler: Scheduler<CheckName>,
    /// When silence becomes a failure.
    pub(super) alarms: Alarms,
    /// When there may be something to tell although nothing happens.
    pub(super) reminders: Alarms,
    /// Runs that were asked for while something else was going on.
    pub(super) to_begin: Vec<CheckName>,
    /// The broker, while it is away.
    pub(super) broker_away: Option<Away>,
    /// Whether it was ever there since the start.
    pub(super) broker_seen: bool,
    /// For how long others could be heard, over all lives.
    pub(super) listening: Listening,
    /// Silences that people made while the site ran.
    pub(super) silences: BTreeMap<SilenceId, Silence>,
    /// Number of the next of them.
    pub(super) next_silence: SilenceId,
    /// Whether they changed since the last commit.
    pub(super) silences_changed: bool,
    /// Labels of agents, for silences.
    pub(super) labels: HashMap<AgentId, BTreeMap<String, String>>,
    pub(super) store: Store,
    pub(super) board: Arc<Board>,
    pub(super) delivery: Delivery,
    pub(super) places: Places,
    pub(super) ended: mpsc::UnboundedSender<(RunId, Box<Ended>)>,
    pub(super) learned: mpsc::UnboundedSender<Learned>,
    /// Checks whose run has ended, and whose sequences are still to be moved on.
    pub(super) finished: VecDeque<CheckName>,
    /// Checks that are told of once the one they depend on was looked at, by its name.
    pub(super) awaiting: HashMap<CheckName, Vec<CheckName>>,
    /// Sequences whose running member is gone.
    pub(super) orphaned: Vec<CheckName>,
    /// Members of sequences.
    pub(super) members: HashSet<CheckName>,
    /// Checks that changed since the last commit.
    pub(super) touched: IndexSet<CheckName>,
    /// Checks whose run began since the last commit: that is shown, and nothing of it is worth storing.
    pub(super) begun: IndexSet<CheckName>,
    pub(super) removed: Vec<CheckName>,
    pub(super) batch: Batch,
    /// Faults to show with all checks anew, once all this is stored.
    pub(super) reloaded: Option<Vec<Fault>>,
    /// What is kept of checks that stand in the configuration and do not run for a fault in them.
    pub(super) aside: HashMap<CheckName, (CheckRow, Option<RemoteRow>)>,
    /// Answers to give once all this is stored.
    pub(super) answers: Vec<Answer>,
    /// Since when the store refuses, and until when what it refused is not said again.
    pub(super) refused: Refusing,
    pub(super) generation: u64,
}

impl Core {
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.identity.clock.now()
    }

    pub(super) fn view(&self, entry: &Entry) -> CheckView {
        entry.view(self.scheduler.next_run(&entry.name))
    }

    /// Does what an event asks for, all but the storing.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Due(due) => self.due(due),
            Event::Silence(name) => self.missed(&name),
            Event::Remind(name) => {
                self.sweep(self.now());
                self.tell(&name, false);
            }
            Event::Ended(run, ended) => self.ended(&run, *ended),
            Event::Heard(heard) => heard.into_iter().for_each(|heard| self.hear(heard)),
            Event::Asked(request, asker) => {
                let needs_store = matches!(request, Request::Pulse);
                let answer = self.answer(request);
                self.answers.push(Answer { asker, answer, needs_store });
            }
        }
        // A sequence that is moved on may ask for runs as well.
        loop {
            self.begin_asked();
            self.move_sequences_on();
            if self.to_begin.is_empty() {
                break;
            }
        }
    }

    /// Moves a check on by what was seen of it, and notes what follows: a transition, its deliveries, messages.
    pub(super) fn see(&mut self, name: &CheckName, seen: Seen<'_>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let (mut state, transition) =
            fletchck_shared::state::step(&entry.rule(), &entry.state, seen);
        let publishes = publishes(&entry.state, &state, &seen);
        let failed_before = entry.state.failing();
        let fresh = matches!(seen, Seen::Ran(_) | Seen::Reported(..) | Seen::Expired(_));
        if fresh && state.cover.is_none() {
            state.alert.flapping.ran(state.condition.failing());
        }
        entry.state = state;
        let keep = transition.is_some();
        if let Some(transition) = transition {
            self.batch.transitions.push((name.clone(), transition));
        }
        // That nothing was heard once more says nothing new of it.
        let looked = fresh && !matches!(seen, Seen::Expired(_));
        if publishes {
            self.weigh(name, looked);
        } else {
            self.tell(name, looked);
        }
        if fresh {
            self.release(name, failed_before);
        }
        self.touched.insert(name.clone());
        self.store_mark(name);
        if publishes {
            self.publish(name, keep);
        }
    }

    /// Notes that the point which the present run was due at is done with.
    pub(super) fn store_mark(&mut self, name: &CheckName) {
        if let Some(mark) = self.entries.get_mut(name).and_then(|entry| entry.mark.take()) {
            self.batch.marks.insert(name.clone(), mark);
        }
    }

    /// Stores what has changed in one transaction, and shows it then. A store that refuses is said so, keeps nobody from
    /// being told, and is tried again with the next commit.
    pub(super) async fn commit(&mut self) {
        self.listen();
        for name in &self.touched {
            if let Some(entry) = self.entries.get(name) {
                self.batch.states.insert(name.clone(), entry.state.clone());
            }
        }
        if !self.batch.is_empty() {
            match self.store.commit(std::mem::take(&mut self.batch)).await {
                Ok(()) => self.refused.accepted(),
                Err((mut batch, reason)) => {
                    self.refused.refused(&reason);
                    for new in batch.deliveries.drain(..) {
                        self.delivery.tell_unstored(new);
                    }
                    batch.bound();
                    self.batch = *batch;
                }
            }
        }
        if std::mem::take(&mut self.silences_changed) {
            self.board.show_silences(self.silences.clone());
        }
        if let Some(faults) = self.reloaded.take() {
            let views = self.entries.values().map(|entry| self.view(entry)).collect();
            self.board.replace(views, faults);
        }
        for name in std::mem::take(&mut self.removed) {
            if !self.entries.contains_key(&name) {
                self.board.remove(&name);
            }
        }
        let begun = std::mem::take(&mut self.begun);
        for name in std::mem::take(&mut self.touched).union(&begun) {
            if let Some(entry) = self.entries.get(name) {
                self.board.put(self.view(entry));
            }
        }
        // What was not stored waits in no outbox; a broker hears of it all the same.
        if self.refused.says_again(self.identity.clock.passed()) {
            self.board.say_again();
        }
        for Answer { asker, answer, needs_store } in std::mem::take(&mut self.answers) {
            let answer = match self.refused.why().filter(|_| needs_store) {
                Some(why) => answer.and_then(|()| Err(Refused::Store(why.to_owned()))),
                None => answer,
            };
            // Whoever asked may have given up by now.
            _ = asker.send(answer);
        }
    }
}

/// Whether others are to hear of this: every run is published, a silence is not.
fn publishes(was: &fletchck_shared::State, is: &fletchck_shared::State, seen: &Seen<'_>) -> bool {
    !matches!(seen, Seen::Silent(_)) || was.condition != is.condition
}
