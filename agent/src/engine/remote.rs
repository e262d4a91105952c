//! Checks that run elsewhere: which of them a message is about, whether it is taken, and when silence is a failure.

use std::num::NonZeroU32;

use chrono::TimeDelta;
use fletchck_shared::{
    CheckName, State,
    config::Check,
    state::{Cover, Seen},
    wire::{
        PRESENCE,
        order::{Order, order},
    },
};
use serde_json::Map;
use tracing::{info, warn};

use super::{Heard, core::Core, entry::Entry};
use crate::{checks::Plan, store::RemoteRow};

/// Silence after which a name that is heard on another topic, too, is given over to that one: a day and an hour, so that
/// checks which run once a day do not change hands.
const GIVEN_OVER: TimeDelta = TimeDelta::hours(25);

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
            Order::Same if stale || entry.state.held != heard.message.report.held => {}
            Order::Same | Order::Older => {
                // It says nothing new, and all the same that its agent lives: its clock may have been set back.
                if !heard.retained {
                    entry.silent_since = heard.at;
                }
                return;
            }
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
        entry.silent_since = heard.at;
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
            let why = format!("a message for `{name}` is left: a check of this site has that name");
            self.leave(heard, why);
            return None;
        }
        // Whatever is not in the configuration was added.
        let added = self.entries.len().saturating_sub(self.site.checks.len());
        if added >= self.site.limits.remotes {
            let why = format!(
                "`{name}` is not added: {added} remote checks were already; raise limits.remotes for more"
            );
            self.leave(heard, why);
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

    /// Leaves a message, and says why as often as it helps: whoever sends it once a second shall not fill the log.
    fn leave(&mut self, heard: &Heard, why: String) {
        if let Some(before) = self.left.leave(&heard.topic, heard.at) {
            warn!(topic = %heard.topic, left_since_last_told = before, "{why}");
        }
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
            window: None,
            recover: NonZeroU32::MIN,
            uplink: false,
            policy: self.site.defaults.clone(),
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
            awaits: None,
            waited_for: None,
        };
        self.entries.insert(name.clone(), entry);
        self.remember_told(&name);
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
