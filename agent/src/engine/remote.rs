//! Checks that run elsewhere: which of them a message is about, whether it is taken, and when silence is a failure.

use std::{collections::HashMap, num::NonZeroU32};

use chrono::TimeDelta;
use fletchck_shared::{
    AgentId, CheckName, Outcome, State,
    config::Check,
    state::{Cover, Seen},
    time,
    wire::order::{Order, order},
};
use serde_json::Map;
use tracing::{info, warn};

use super::{Heard, Refused, core::Core, entry::Entry};
use crate::{checks::Plan, store::RemoteRow};

/// Silence after which a name that is heard on another topic, too, is given over to that one: a day and an hour, so that
/// checks which run once a day do not change hands.
const GIVEN_OVER: TimeDelta = TimeDelta::hours(25);

/// Type of the checks that stand for the presence of an agent.
const PRESENCE: &str = "agent";

/// Which check a message is about.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// By agent and the name there.
    by_agent: HashMap<(AgentId, String), CheckName>,
    /// By the name on version 1 topics.
    by_id: HashMap<String, CheckName>,
}

impl Directory {
    /// Enters a remote check. `configured`: its owner wrote it into the file, so that its name, and its remoteId before
    /// it, stand for it on version 1 topics.
    pub(super) fn enter(&mut self, name: &CheckName, check: &Check, row: &RemoteRow) {
        let id = row.remote_id.as_deref().or(check.remote_id.as_deref());
        if let Some(agent) = &row.agent {
            let there = id.unwrap_or(name.as_str()).to_owned();
            self.by_agent.insert((agent.clone(), there), name.clone());
        }
        if !row.added || row.agent.is_none() {
            self.by_id.entry(name.as_str().to_owned()).or_insert_with(|| name.clone());
            if let Some(id) = id {
                self.by_id.insert(id.to_owned(), name.clone());
            }
        }
    }

    /// Strikes a check out.
    pub(super) fn strike(&mut self, name: &CheckName) {
        self.by_agent.retain(|_, entered| entered != name);
        self.by_id.retain(|_, entered| entered != name);
    }
}

impl Core {
    /// Takes a message about a check that runs elsewhere, or leaves it.
    pub(super) fn hear(&mut self, heard: Heard) {
        let id = heard.message.name.as_str();
        let agent = heard.agent.as_ref().or(heard.message.agent.as_ref());
        let by_agent = || {
            let agent = agent?.clone();
            self.directory.by_agent.get(&(agent, id.to_owned())).cloned()
        };
        let name = match &heard.agent {
            Some(_) => by_agent(),
            None => self.directory.by_id.get(id).cloned().or_else(by_agent),
        };
        let Some(name) = name.or_else(|| self.add(&heard)) else { return };
        // On its fleet topics an agent speaks for itself alone; on version 1 topics anyone could speak for it.
        let row = self.entries.get(&name).and_then(|entry| entry.remote.as_ref());
        if heard.agent.is_none() && row.is_some_and(|row| row.fleet) {
            return;
        }
        self.report(&name, &heard);
    }

    fn report(&mut self, name: &CheckName, heard: &Heard) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let Some(row) = &mut entry.remote else { return };
        if let Some(clash) = clash(row, &entry.state, heard) {
            if entry.notice.as_ref() != Some(&clash) {
                warn!(check.name = %name, topic = %heard.topic, "{clash}");
                entry.notice = Some(clash);
                self.touched.insert(name.clone());
            }
            return;
        }
        let newest = if entry.state.last_update.is_some() { entry.state.last_check } else { None };
        let stale = matches!(entry.state.cover, Some(Cover::Stale(_)));
        match order(newest, heard.message.report.last_check, heard.retained) {
            Order::Newer => {}
            Order::Same if stale => {}
            Order::Same | Order::Older => return,
            Order::ClockSetBack => {
                info!(check.name = %name, "its agent's clock was set back, its messages are taken all the same");
            }
        }
        let mut bound = row.clone();
        bound.fleet |= heard.agent.is_some();
        bound.quiet = !heard.message.alerts;
        bound.kind = Some(heard.message.kind.clone());
        bound.remote_id = Some(heard.message.name.as_str().to_owned());
        if let Some(agent) = heard.agent.as_ref().or(heard.message.agent.as_ref()) {
            bound.agent = Some(agent.clone());
        }
        if heard.agent.is_none() {
            bound.topic = Some(heard.topic.to_string());
        }
        if bound != *row {
            *row = bound.clone();
            entry.notice = None;
            let check = entry.check.clone();
            self.directory.enter(name, &check, &bound);
            self.batch.remotes.insert(name.clone(), bound);
        }
        self.see(name, Seen::Reported(&heard.message.report, heard.at));
        self.watch(name);
    }

    /// Adds a remote check for a message that no check stands for; `None` where that is not allowed.
    fn add(&mut self, heard: &Heard) -> Option<CheckName> {
        // Whether an agent lives is the hub's own finding, not something that others send.
        if !self.identity.auto_add && heard.message.kind != PRESENCE {
            return None;
        }
        let id = heard.message.name.as_str();
        let agent = heard.agent.as_ref().or(heard.message.agent.as_ref());
        let agent = agent.filter(|_| self.identity.hub);
        let name = match agent {
            Some(_) if heard.message.kind == PRESENCE => heard.message.name.clone(),
            Some(agent) => CheckName::try_from(format!("{agent}/{id}")).ok()?,
            None => heard.message.name.clone(),
        };
        if self.entries.contains_key(&name) || self.site.left_out.contains(&name) {
            // A check of this site's own is never overwritten by what others send.
            warn!(topic = %heard.topic, "a message for `{name}` is left: a check of this site has that name");
            return None;
        }
        let added = self.entries.values().filter(|entry| entry.added()).count();
        if added >= self.site.limits.remotes {
            warn!(
                topic = %heard.topic,
                "`{name}` is not added: {added} remote checks were already; raise limits.remotes for more"
            );
            return None;
        }
        let row = RemoteRow {
            added: true,
            fleet: heard.agent.is_some(),
            quiet: !heard.message.alerts,
            kind: Some(heard.message.kind.clone()),
            agent: agent.cloned(),
            remote_id: Some(id.to_owned()),
            topic: heard.agent.is_none().then(|| heard.topic.to_string()),
        };
        self.enter_remote(name.clone(), row.clone(), State::default());
        self.batch.remotes.insert(name.clone(), row);
        self.touched.insert(name.clone());
        Some(name)
    }

    /// Enters a remote check that lies in the store, not in the file.
    pub(super) fn enter_remote(&mut self, name: CheckName, row: RemoteRow, state: State) {
        let check = Check {
            kind: "remote".into(),
            sub_kind: row.kind.clone(),
            trigger: None,
            threshold: NonZeroU32::MIN,
            retries: NonZeroU32::MIN,
            priority: 0,
            paused: false,
            fail_action: true,
            pass_action: true,
            publish: None,
            remote_id: row.remote_id.clone(),
            timezone: None,
            options: Map::new(),
            actions: self.site.fleet.actions.clone(),
            depends: Vec::new(),
            seed: None,
        };
        self.directory.enter(&name, &check, &row);
        self.generation += 1;
        let entry = Entry {
            name: name.clone(),
            check,
            plan: Plan::Remote { timeout: None },
            zone: self.identity.zone,
            state,
            generation: self.generation,
            running: None,
            waiting: Vec::new(),
            suspect: false,
            mark: None,
            unheard: false,
            remote: Some(row),
            silent_since: self.now(),
            notice: None,
        };
        self.entries.insert(name, entry);
    }

    /// Sets the alarm for the end of a remote check's timeout, where none is set. An alarm that comes too early, because
    /// the check was heard since, is set anew then: that is cheaper than moving it with every message.
    pub(super) fn watch(&mut self, name: &CheckName) {
        let Some(deadline) = self.entries.get(name).and_then(Entry::deadline) else { return };
        if !self.alarms.contains(name) {
            let now = self.now();
            self.alarms.set(name.clone(), deadline, now);
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

    /// A topic was cleared by whoever published to it.
    pub(super) fn cleared(&mut self, topic: &str) -> Result<(), Refused> {
        let fleet = fletchck_shared::topic::FleetTopic::parse(&self.identity.prefix, topic);
        if let Some(fletchck_shared::topic::FleetTopic::Check(agent, id)) = fleet {
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
                fletchck_shared::topic::Topic::status(&self.identity.prefix, &agent),
                fletchck_shared::topic::Topic::info(&self.identity.prefix, &agent),
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
            entry.remote.is_some() && !stale && entry.shown_kind() != PRESENCE
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
    }

    /// The broker is back: what was stale for its sake alone no longer is, and silence counts from now on.
    pub(super) fn broker_back(&mut self) {
        let now = self.now();
        let remotes = self.entries.values_mut().filter(|entry| entry.remote.is_some());
        let names: Vec<_> = remotes
            .map(|entry| {
                entry.silent_since = now;
                if std::mem::take(&mut entry.unheard)
                    && matches!(entry.state.cover, Some(Cover::Stale(_)))
                {
                    entry.state.cover = None;
                    self.touched.insert(entry.name.clone());
                }
                entry.name.clone()
            })
            .collect();
        for name in names {
            self.watch(&name);
        }
    }
}

/// Why a message is another agent's although its name is this check's.
fn clash(row: &RemoteRow, state: &State, heard: &Heard) -> Option<String> {
    if heard.agent.is_some() {
        return None;
    }
    let topic = row.topic.as_deref().filter(|topic| *topic != &*heard.topic);
    let agent = row.agent.as_ref().zip(heard.message.agent.as_ref()).filter(|(was, is)| was != is);
    let silent = state.last_update.is_none_or(|at| heard.at - at > GIVEN_OVER);
    let who = match (topic, agent) {
        _ if silent => return None,
        (_, Some((was, is))) => format!("agents {was} and {is}"),
        (Some(topic), None) => format!("topics `{topic}` and `{}`", heard.topic),
        (None, None) => return None,
    };
    Some(format!(
        "two checks named `{}` are heard, from {who}; the first is shown, give the other a name of its own",
        heard.message.name
    ))
}
