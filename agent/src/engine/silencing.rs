//! What people decide about alerts while the site runs: to take a failure on, or not to hear of some checks for a while.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId, CheckName,
    policy::{Ack, Silence},
};
use tracing::info;

use super::{Refused, core::Core};
use crate::store::SilenceId;

/// Most silences at once.
const SILENCES_MAX: usize = 1000;

impl Core {
    /// Takes a failure on in somebody's name: nobody is reminded of it, and no further ones are told.
    pub(super) fn acknowledge(&mut self, name: &CheckName, ack: Ack) -> Result<(), Refused> {
        let now = self.now();
        let entry = self.entries.get_mut(name).ok_or_else(|| Refused::NoSuchCheck(name.clone()))?;
        if !entry.state.condition.failing() {
            return Err(Refused::NotNow(format!(
                "`{name}` does not fail: there is nothing to take on"
            )));
        }
        if ack.until.is_some_and(|until| until <= now) {
            return Err(Refused::NotNow("this acknowledgement is over before it begins".into()));
        }
        info!(check.name = %name, by = %ack.by, "acknowledged");
        entry.state.alert.ack = Some(ack);
        self.touched.insert(name.clone());
        self.tell_acknowledged(name);
        self.tell(name, false);
        Ok(())
    }

    /// Takes an acknowledgement back.
    pub(super) fn take_back(&mut self, name: &CheckName) -> Result<(), Refused> {
        let entry = self.entries.get_mut(name).ok_or_else(|| Refused::NoSuchCheck(name.clone()))?;
        if entry.state.alert.ack.take().is_none() {
            return Err(Refused::NotNow(format!("nobody has acknowledged `{name}`")));
        }
        info!(check.name = %name, "the acknowledgement was taken back");
        self.touched.insert(name.clone());
        self.tell(name, false);
        Ok(())
    }

    /// Begins a silence.
    pub(super) fn silence(&mut self, silence: Silence) -> Result<(), Refused> {
        let now = self.now();
        self.sweep(now);
        if silence.over(now, self.identity.zone) {
            return Err(Refused::NotNow("it is over before it begins: name a later end".into()));
        }
        if let Some(name) = &silence.pattern.name
            && let Ok(name) = CheckName::try_from(name.as_str())
            && !self.entries.contains_key(&name)
        {
            return Err(Refused::NoSuchCheck(name));
        }
        if self.silences.len() >= SILENCES_MAX {
            let why = format!("there are {SILENCES_MAX} silences already; end some first");
            return Err(Refused::NotNow(why));
        }
        let id = self.next_silence;
        self.next_silence += 1;
        info!(silence = id, by = %silence.by, "silenced");
        self.batch.silences.push((id, silence.clone()));
        self.silences.insert(id, silence);
        self.silences_changed = true;
        self.tell_all();
        Ok(())
    }

    /// Ends a silence before its time.
    pub(super) fn end_silence(&mut self, id: SilenceId) -> Result<(), Refused> {
        if self.silences.remove(&id).is_none() {
            return Err(Refused::NotNow(format!("there is no silence {id}; it may be over")));
        }
        info!(silence = id, "the silence was ended");
        self.batch.ended.push(id);
        self.silences_changed = true;
        self.tell_all();
        Ok(())
    }

    /// An agent has these labels now, which silences may be made by.
    pub(super) fn label(&mut self, agent: AgentId, labels: BTreeMap<String, String>) {
        let same = match self.labels.get(&agent) {
            Some(known) => *known == labels,
            None => labels.is_empty(),
        };
        if same {
            return;
        }
        self.batch.labels.insert(agent.clone(), labels.clone());
        if labels.is_empty() {
            self.labels.remove(&agent);
        } else {
            self.labels.insert(agent, labels);
        }
        if !(self.silences.is_empty() && self.site.maintenance.is_empty()) {
            self.tell_all();
        }
    }

    /// Forgets silences that are over.
    pub(super) fn sweep(&mut self, now: DateTime<Utc>) {
        let zone = self.identity.zone;
        let over: Vec<_> =
            self.silences.iter().filter(|(_, s)| s.over(now, zone)).map(|(id, _)| *id).collect();
        for id in over {
            self.silences.remove(&id);
            self.batch.ended.push(id);
            self.silences_changed = true;
        }
    }
}
