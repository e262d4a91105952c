//! Checks that were added by themselves and are gone: cleared by their agents, or deleted by a person.

use fletchck_shared::{
    CheckName,
    state::Seen,
    topic::{FleetTopic, Topic},
    wire::PRESENCE,
};
use tracing::info;

use super::{Refused, core::Core, entry::Entry};

impl Core {
    /// A topic was cleared by whoever published to it.
    pub(super) fn cleared(&mut self, topic: &str) -> Result<(), Refused> {
        let fleet = FleetTopic::parse(&self.identity.prefix, topic);
        if let Some(FleetTopic::Check(agent, id)) = fleet {
            let key = (agent, id.as_str().to_owned());
            if let Some(name) = self.directory.by_agent.get(&key).cloned()
                && self.entries.get(&name).is_some_and(Entry::added)
            {
                info!(check.name = %name, "its agent deleted it");
                self.forget(&name);
            }
            return Ok(());
        }
        let bound = |entry: &&mut Entry| {
            entry.remote.as_ref().is_some_and(|row| row.topic.as_deref() == Some(topic))
        };
        let mut silent = Vec::new();
        for entry in self.entries.values_mut().filter(bound) {
            if let Some(row) = &mut entry.remote {
                row.topic = None;
                self.batch.remotes.insert(entry.name.clone(), row.clone());
            }
            entry.notice = None;
            silent.push(entry.name.clone());
        }
        for name in silent {
            self.see(&name, Seen::Silent("whoever published it has cleared its topic"));
        }
        Ok(())
    }

    /// Deletes a remote check that was added by itself, and clears its topics.
    pub(super) fn delete(&mut self, name: &CheckName) -> Result<(), Refused> {
        let entry = self.entries.get(name).ok_or_else(|| Refused::NoSuchCheck(name.clone()))?;
        if !entry.added() {
            let why = format!("`{name}` stands in the configuration file; delete it there");
            return Err(Refused::NotHere(why));
        }
        let agent = entry.remote.as_ref().and_then(|row| row.agent.clone());
        let presence = entry.shown_kind() == PRESENCE;
        let mut names = vec![name.clone()];
        if presence && let Some(agent) = agent {
            let of_agent = |entry: &&Entry| {
                let row = entry.remote.as_ref().filter(|row| row.added);
                row.is_some_and(|row| row.agent.as_ref() == Some(&agent)) && entry.name != *name
            };
            names.extend(self.entries.values().filter(of_agent).map(|entry| entry.name.clone()));
            for topic in [
                Topic::status(&self.identity.prefix, &agent),
                Topic::info(&self.identity.prefix, &agent),
            ] {
                self.clear(topic.as_str());
            }
            self.board.remove_agent(&agent);
        }
        for name in names {
            self.clear_check(&name);
            self.forget(&name);
        }
        Ok(())
    }

    /// Drops a check and everything that is kept of it.
    pub(super) fn forget(&mut self, name: &CheckName) {
        self.scheduler.remove(name);
        self.alarms.remove(name);
        self.reminders.remove(name);
        self.directory.strike(name);
        if let Some(entry) = self.entries.shift_remove(name) {
            self.orphaned.extend(entry.waiting);
        }
        self.batch.states.remove(name);
        self.batch.marks.remove(name);
        self.batch.topics.remove(name);
        self.batch.remotes.remove(name);
        self.batch.removed.push(name.clone());
        self.touched.shift_remove(name);
        self.removed.push(name.clone());
    }
}
