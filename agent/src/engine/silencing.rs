//! Silences: what people decide not to hear of for a while, as the site runs or in its configuration.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId, CheckName,
    policy::{Hidden, Silence, Subject},
};
use tracing::info;

use super::{Refused, core::Core};
use crate::store::SilenceId;

/// Most silences at once.
const SILENCES_MAX: usize = 1000;

impl Core {
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

    /// The silence or maintenance window that a check lies in now.
    pub(super) fn silencing(&self, name: &CheckName, now: DateTime<Utc>) -> Option<Hidden> {
        if self.silences.is_empty() && self.site.maintenance.is_empty() {
            return None;
        }
        let entry = self.entries.get(name)?;
        let agent = entry.remote.as_ref().and_then(|row| row.agent.as_ref());
        let labels = match agent {
            Some(agent) => self.labels.get(agent),
            None => Some(&self.site.agent.labels),
        };
        let nothing = BTreeMap::new();
        let subject = Subject {
            check: name.as_str(),
            agent: agent.unwrap_or(&self.identity.agent).as_str(),
            labels: labels.unwrap_or(&nothing),
        };
        let all = self.silences.values().chain(self.site.maintenance.values());
        let hides = all.filter_map(|silence| silence.hides(subject, now, self.identity.zone));
        // The one that lasts longest says when to look again.
        hides.max_by_key(|hidden| hidden.until)
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
