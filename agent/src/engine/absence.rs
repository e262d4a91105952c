//! Checks that are not heard: when silence is a failure, and when it is somebody else's.

use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId, CheckName, Outcome,
    state::{Cover, Seen},
    time,
    wire::PRESENCE,
};

use super::{core::Core, entry::Entry};
use crate::checks::Plan;

impl Core {
    /// Sets the alarm for when a check will have been silent for too long, where none is set. An alarm that comes too early, because
    /// the check was heard since, is set anew then: that is cheaper than moving it with every message.
    pub(super) fn watch(&mut self, name: &CheckName) {
        let Some(deadline) = self.entries.get(name).and_then(Entry::deadline) else { return };
        if !self.alarms.contains(name) {
            let now = self.now();
            self.alarms.set(name.clone(), deadline, now);
        }
    }

    /// At the start: what was waited for before is waited for since then, however often this site was started anew. Nobody
    /// could be heard while it was away, though, so everyone has a while to be.
    pub(super) fn wait_on(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some((longest, heard)) = entry.patience() else { return };
        // The grace of a job that has reported before is for that.
        if matches!(entry.plan, Plan::Push(_)) && heard.is_some() {
            return;
        }
        let awaited = *entry.state.awaited.get_or_insert(now);
        let last = heard.unwrap_or(awaited).max(awaited);
        let while_away = now - longest + self.listening.grace(last, longest);
        entry.silent_since = last.max(while_away).min(now);
        self.alarms.remove(name);
        self.watch(name);
    }

    /// Its configuration has changed: it is waited for anew, unless what is waited for did not change.
    pub(super) fn wait_anew(&mut self, name: &CheckName, since: Option<DateTime<Utc>>) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if entry.patience().is_none() {
            return;
        }
        match since {
            Some(since) => entry.silent_since = since,
            None => entry.state.awaited = Some(entry.silent_since),
        }
        self.alarms.remove(name);
        self.watch(name);
    }

    /// A check may have been silent for too long.
    pub(super) fn missed(&mut self, name: &CheckName) {
        let Some(entry) = self.entries.get(name) else { return };
        match &entry.plan {
            Plan::Push(_) => self.overdue(name),
            Plan::Remote { .. } if entry.is_broker() => self.broker_missed(name),
            Plan::Remote { .. } => self.expire(name),
            Plan::Probe(_) | Plan::Sequence(_) => {}
        }
    }

    /// Fails a remote check whose updates are older than its timeout allows.
    pub(super) fn expire(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get(name) else { return };
        let Some(deadline) = entry.deadline() else { return };
        // What is silent because its agent or the broker is away has an alert of its own.
        if entry.check.paused || matches!(entry.state.cover, Some(Cover::Stale(_))) {
            return;
        }
        if deadline > now {
            self.alarms.set(name.clone(), deadline, now);
            return;
        }
        let seconds = entry.timeout().unwrap_or_default().as_secs();
        let last = entry.state.last_update.map(|at| time::people(at, entry.zone));
        let last = last.unwrap_or_else(|| "never".into());
        let line = format!("Update timeout {seconds} sec ({last})");
        let text = format!("expected an update every {seconds} s, the last one came: {last}");
        let mut outcome = Outcome::fail(text).log([line]);
        outcome.at = now;
        self.see(name, Seen::Expired(&outcome));
    }

    /// An agent is away: what it runs is stale.
    pub(super) fn silent(&mut self, agent: &AgentId, why: &str) {
        let of_agent = |entry: &&mut Entry| {
            let row = entry.remote.as_ref();
            row.is_some_and(|row| row.agent.as_ref() == Some(agent))
                && entry.shown_kind() != PRESENCE
        };
        let affected = self.entries.values_mut().filter(of_agent);
        let names: Vec<_> = affected
            .map(|entry| {
                // Its agent's absence outlasts the broker's.
                entry.unheard = false;
                entry.name.clone()
            })
            .collect();
        for name in names {
            self.see(&name, Seen::Silent(why));
        }
    }

    /// The broker is away: whatever is heard through it is stale, but for what was so before.
    pub(super) fn broker_away(&mut self, why: &str) {
        let heard = |entry: &&mut Entry| {
            let stale = matches!(entry.state.cover, Some(Cover::Stale(_)));
            entry.remote.is_some() && !stale && !entry.is_broker() && entry.shown_kind() != PRESENCE
        };
        let affected = self.entries.values_mut().filter(heard);
        let names: Vec<_> = affected
            .map(|entry| {
                entry.unheard = true;
                entry.name.clone()
            })
            .collect();
        for name in names {
            self.see(&name, Seen::Silent(why));
        }
        self.miss_broker(why);
    }

    /// The clock was set, or the machine slept: nobody could be heard as long as the clock says, so every agent has its
    /// whole time again, and nobody has more than that.
    pub(super) fn clock_stepped(&mut self) {
        self.listen_anew();
        self.count_silence_anew();
        self.hear_anew();
    }

    /// The broker is back: what was stale for its sake alone no longer is, and silence counts from now on, if this is not the
    /// first that is heard of it since the start.
    pub(super) fn broker_back(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.remote.is_some()) {
            let stale = matches!(entry.state.cover, Some(Cover::Stale(_)));
            if std::mem::take(&mut entry.unheard) && stale {
                entry.state.cover = None;
                self.touched.insert(entry.name.clone());
            }
        }
        if std::mem::replace(&mut self.broker_seen, true) {
            self.count_silence_anew();
        } else {
            // It was not away: it is this site that was.
            let listening = self.listening.clone();
            self.count_silence(|entry, now| {
                let (longest, heard) = entry.patience()?;
                let last = heard.max(entry.state.awaited)?;
                Some(entry.silent_since.max(now - longest + listening.grace(last, longest)))
            });
        }
        self.greet_broker();
    }

    fn count_silence_anew(&mut self) {
        self.count_silence(|_, now| Some(now));
    }

    /// Counts the silence of every check that is heard through the broker since another time.
    fn count_silence(&mut self, since: impl Fn(&Entry, DateTime<Utc>) -> Option<DateTime<Utc>>) {
        let now = self.now();
        let heard = |entry: &&mut Entry| entry.remote.is_some() && !entry.is_broker();
        let remotes = self.entries.values_mut().filter(heard);
        let names: Vec<_> = remotes
            .map(|entry| {
                entry.silent_since = since(entry, now).unwrap_or(now);
                entry.name.clone()
            })
            .collect();
        for name in names {
            self.alarms.remove(&name);
            self.watch(&name);
        }
    }
}
