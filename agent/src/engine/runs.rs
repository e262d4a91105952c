//! Runs of local checks: how they begin, how sequences move on, how they end.

use std::collections::VecDeque;

use fletchck_shared::{
    CheckName, Outcome, Verdict,
    sequence::{self, Member},
    state::Seen,
};

use super::{Learned, core::Core, entry::Running, event::RunId};
use crate::{
    checks::Plan,
    scheduler::Due,
    store::Mark,
    turn::{Ended, Turn},
};

impl Core {
    /// The trigger of a check has fired.
    pub(super) fn due(&mut self, due: Due<CheckName>) {
        let trigger = self.trigger_key(&due.key);
        if let Some(entry) = self.entries.get_mut(&due.key) {
            entry.mark = Some(Mark { at: due.mark, trigger });
        }
        self.begun.insert(due.key.clone());
        self.begin(&due.key);
    }

    /// Begins a run, unless one is going on already: that one serves.
    pub(super) fn begin(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get(name) else { return };
        if entry.running.is_some() {
            return;
        }
        if let Plan::Remote { .. } | Plan::Push(_) = entry.plan {
            self.missed(name);
            self.store_mark(name);
            self.finished.push_back(name.clone());
            return;
        }
        if entry.check.paused {
            self.see(name, Seen::Paused(now));
            self.finished.push_back(name.clone());
            return;
        }
        if let Some(by) = self.blocking(name) {
            self.see(name, Seen::Blocked(by.as_str(), now));
            self.finished.push_back(name.clone());
            return;
        }
        self.begun.insert(name.clone());
        let since = self.identity.clock.passed();
        let Some(entry) = self.entries.get_mut(name) else { return };
        match &entry.plan {
            Plan::Remote { .. } | Plan::Push(_) => {}
            Plan::Probe(probe) => {
                entry.running = Some(Running::Probe { since });
                let turn = Turn {
                    name: name.clone(),
                    probe: probe.clone(),
                    retries: entry.check.retries.get(),
                    zone: entry.zone,
                    before: (&entry.state).into(),
                    suspect: entry.suspect,
                };
                let run = RunId { name: name.clone(), generation: entry.generation };
                let (places, clock) = (self.places.clone(), self.identity.clock.clone());
                let ended = self.ended.clone();
                tokio::spawn(async move {
                    let result = turn.run(&places, &|| clock.now()).await;
                    // At the end of the program nobody waits for it any more.
                    _ = ended.send((run, Box::new(result)));
                });
            }
            Plan::Sequence(_) => {
                let left = self.members_in_order(name);
                if let Some(entry) = self.entries.get_mut(name) {
                    let running = Running::Members { left, current: None, tried: 1, at: now };
                    entry.running = Some(running);
                }
                self.next_member(name);
            }
        }
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, run: &RunId, ended: Ended) {
        let Some(entry) = self.entries.get_mut(&run.name) else { return };
        if entry.generation != run.generation {
            return;
        }
        entry.running = None;
        entry.suspect = ended.hung;
        if let Some((option, value)) = ended.outcome.learned.clone() {
            // Nobody may want to know it; the check itself keeps what it needs.
            _ = self.learned.send(Learned { check: run.name.clone(), option, value });
        }
        self.see(&run.name, Seen::Ran(&ended.outcome));
        self.finished.push_back(run.name.clone());
    }

    /// Moves on every sequence whose member has finished, until nothing more follows. A loop, not a recursion: a
    /// sequence may have thousands of members that finish at once.
    pub(super) fn move_sequences_on(&mut self) {
        loop {
            let waiting = if !self.orphaned.is_empty() {
                std::mem::take(&mut self.orphaned)
            } else if let Some(name) = self.finished.pop_front() {
                let entry = self.entries.get_mut(&name);
                let mut waiting =
                    entry.map(|entry| std::mem::take(&mut entry.waiting)).unwrap_or_default();
                // One that was begun anew since may be further on, or not so far.
                waiting.retain(|sequence| self.waits_for(sequence, &name));
                waiting
            } else {
                return;
            };
            for sequence in waiting {
                self.next_member(&sequence);
            }
        }
    }

    fn waits_for(&self, sequence: &CheckName, member: &CheckName) -> bool {
        let running = self.entries.get(sequence).and_then(|entry| entry.running.as_ref());
        matches!(running, Some(Running::Members { current: Some(current), .. }) if current == member)
    }

    /// Begins the next member of a running sequence, or judges it after the last.
    fn next_member(&mut self, name: &CheckName) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(Running::Members { left, current, tried, at }) = &mut entry.running else {
            return;
        };
        if let Some(member) = left.pop_front() {
            *current = Some(member.clone());
            match self.entries.get_mut(&member) {
                Some(entry) => {
                    if !entry.waiting.contains(name) {
                        entry.waiting.push(name.clone());
                    }
                    self.begin(&member);
                }
                // It is gone since the sequence began.
                None => self.orphaned.push(name.clone()),
            }
            return;
        }
        *current = None;
        let (tried, at) = (*tried, *at);
        let mut outcome = self.judge(name);
        let Some(entry) = self.entries.get_mut(name) else { return };
        let retries = entry.check.retries.get();
        if outcome.verdict == Verdict::Fail && tried < retries {
            let left = self.members_in_order(name);
            if let Some(entry) = self.entries.get_mut(name) {
                entry.running =
                    Some(Running::Members { left, current: None, tried: tried + 1, at });
            }
            self.next_member(name);
            return;
        }
        if tried > 1 && outcome.verdict == Verdict::Fail {
            outcome.log.push(format!("Failed after {tried} tries"));
        }
        entry.running = None;
        outcome.at = at;
        outcome.took =
            self.identity.clock.now().signed_duration_since(at).to_std().unwrap_or_default();
        self.see(name, Seen::Ran(&outcome.bounded()));
        self.finished.push_back(name.clone());
    }

    fn judge(&self, name: &CheckName) -> Outcome {
        let members = self.members_in_order(name);
        let found = members.iter().filter_map(|member| self.entries.get(member));
        sequence::judge(found.map(|entry| Member {
            name: &entry.name,
            kind: entry.shown_kind(),
            state: &entry.state,
        }))
    }

    /// The members of a sequence in the order they run: by priority, lower first, then as its owner listed them.
    fn members_in_order(&self, name: &CheckName) -> VecDeque<CheckName> {
        let Some(Plan::Sequence(members)) = self.entries.get(name).map(|entry| &entry.plan) else {
            return VecDeque::new();
        };
        let mut members: Vec<_> =
            members.iter().filter(|member| self.entries.contains_key(*member)).collect();
        members.sort_by_key(|member| self.entries.get(*member).map(|entry| entry.check.priority));
        members.into_iter().cloned().collect()
    }
}
