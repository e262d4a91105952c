//! The configuration: entered at the start, and taken over anew on reload without touching what did not change.

use std::sync::Arc;

use fletchck_shared::{
    CheckName,
    config::{Check, Site},
};
use tracing::{error, info};

use super::{
    Identity,
    core::Core,
    entry::{Entry, Running},
};
use crate::{
    checks::{self, Plan},
    store::{CheckRow, Mark, Past, RemoteRow},
    turn::Places,
};

impl Core {
    /// Enters the whole site with what an earlier run of the program left behind.
    pub(super) fn enter_site(&mut self, mut past: Past) {
        let names: Vec<_> = self.site.checks.keys().cloned().collect();
        for name in names {
            let row = past.checks.remove(&name);
            let remote = past.remotes.remove(&name);
            let mark = row.as_ref().and_then(|row| row.mark.clone());
            self.enter(&name, row, remote);
            self.wait_on(&name);
            self.schedule(&name, mark);
        }
        let added = |(name, row): &(&CheckName, &RemoteRow)| {
            row.added && !self.site.left_out.contains(*name)
        };
        let added: Vec<_> =
            past.remotes.iter().filter(added).map(|(n, r)| (n.clone(), r.clone())).collect();
        for (name, row) in added {
            let state = past.checks.remove(&name).unwrap_or_default().state;
            self.enter_remote(name, row, state);
        }
        self.note_members();
        // What is left was deleted from the file while nothing ran. What is only left out for a fault is kept for when
        // that is mended, and so is everything while a part of the configuration cannot be read.
        for (name, row) in past.checks {
            if self.site.incomplete || self.site.left_out.contains(&name) {
                let remote = past.remotes.remove(&name);
                self.aside.insert(name, (row, remote));
                continue;
            }
            if let Some(topic) = row.topic {
                self.clear(&topic);
            }
            self.clear_fleet(&name);
            self.batch.removed.push(name);
        }
        self.tell_all();
        self.begin_asked();
    }

    /// Makes this the configuration. Checks that did not change keep their beat, their run and their state.
    pub(super) fn reload(&mut self, site: Site) {
        let before = std::mem::replace(&mut self.site, site);
        let zone = self.identity.zone;
        let who = Identity::of(
            &self.site,
            self.identity.agent.clone(),
            self.host_zone,
            self.identity.clock.clone(),
        );
        self.identity = who;
        if self.site.limits.probes != before.limits.probes {
            self.places = Places::new(self.site.limits.probes);
        }
        self.delivery.take_over(&self.site.actions, self.identity.zone, super::link(&self.site));
        let gone: Vec<_> = self
            .entries
            .values()
            .filter(|entry| !entry.added() && !self.site.checks.contains_key(&entry.name))
            .map(|entry| entry.name.clone())
            .collect();
        for name in gone {
            info!(check.name = %name, "deleted");
            if self.site.incomplete || self.site.left_out.contains(&name) {
                // It does not run for a fault in it; its state is kept for when that is mended.
                self.set_aside(&name);
            } else {
                self.clear_check(&name);
                self.forget(&name);
            }
        }
        let names: Vec<_> = self.site.checks.keys().cloned().collect();
        for name in &names {
            let is = self.site.checks.get(name).cloned();
            let same =
                self.entries.get(name).is_some_and(|entry| Some(&entry.check) == is.as_ref());
            if same && zone == self.identity.zone {
                continue;
            }
            self.change(name);
        }
        for (name, entry) in &mut self.entries {
            if entry.added() && entry.check.actions != self.site.fleet.actions {
                entry.check.actions.clone_from(&self.site.fleet.actions);
                self.touched.insert(name.clone());
            }
            if entry.added() && entry.check.policy != self.site.defaults {
                entry.check.policy.clone_from(&self.site.defaults);
                self.touched.insert(name.clone());
            }
        }
        self.note_members();
        // The owner's order, and behind it what was added by itself.
        let order = &self.site.checks;
        self.entries.sort_by_cached_key(|name, _| order.get_index_of(name).unwrap_or(usize::MAX));
        // What fails may have somebody to be told to now, or be in no maintenance any more.
        self.tell_all();
    }

    fn note_members(&mut self) {
        let members = self.entries.values().filter_map(|entry| match &entry.plan {
            Plan::Sequence(members) => Some(members.iter().cloned()),
            Plan::Probe(_) | Plan::Remote { .. } | Plan::Push(_) => None,
        });
        self.members = members.flatten().collect();
    }

    fn change(&mut self, name: &CheckName) {
        let Some(check) = self.site.checks.get(name) else { return };
        let old = self.entries.get(name);
        let zone = check.timezone.unwrap_or(self.identity.zone);
        let same_trigger =
            old.is_some_and(|old| old.check.trigger == check.trigger && old.zone == zone);
        let kept = old.filter(|old| old.check.kind == check.kind);
        let (row, remote, mark) = match old {
            Some(old) => {
                let state = kept.map(|kept| kept.state.clone()).unwrap_or_default();
                let topic = old.check.publish.as_ref().map(|topic| topic.as_str().to_owned());
                let remote = kept.and_then(|kept| kept.remote.clone());
                (Some(CheckRow { state, mark: None, topic }), remote, None)
            }
            None => match self.aside.remove(name) {
                Some((row, remote)) => (Some(row.clone()), remote, row.mark),
                None => (None, None, None),
            },
        };
        let waits = kept.filter(|old| old.check.options == check.options && !old.check.paused);
        let waits = waits.map(|old| old.silent_since);
        let waiting = self.entries.get_mut(name).map(|old| std::mem::take(&mut old.waiting));
        self.directory.strike(name);
        info!(check.name = %name, "configured");
        self.enter(name, row, remote);
        self.wait_anew(name, waits);
        if !same_trigger {
            self.schedule(name, mark);
        }
        if let Some(waiting) = waiting.filter(|waiting| !waiting.is_empty()) {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.waiting = waiting;
            }
            self.finished.push_back(name.clone());
        }
    }

    /// Enters one check of the configuration, in place of what had its name before.
    fn enter(&mut self, name: &CheckName, row: Option<CheckRow>, remote: Option<RemoteRow>) {
        let Some(check) = self.site.checks.get(name).cloned() else { return };
        let Some(plan) = plan(&check) else {
            error!(check.name = %name, "its options were accepted, but it cannot be built; please report this");
            return;
        };
        let now = self.now();
        let zone = check.timezone.unwrap_or(self.identity.zone);
        let seed = check.seed.clone();
        let known = row.as_ref().is_some_and(|row| row.state != fletchck_shared::State::default());
        let state = if known { row.as_ref().map(|row| row.state.clone()) } else { seed };
        let remote = matches!(plan, Plan::Remote { .. })
            .then(|| RemoteRow { added: false, ..remote.unwrap_or_default() });
        if let Some(remote) = &remote {
            self.directory.enter(name, &check, remote);
        }
        let mut state = state.unwrap_or_default();
        // Of one that runs elsewhere its agent says it.
        if remote.is_none() {
            state.grade = check.policy.severity;
        }
        self.generation += 1;
        let entry = Entry {
            name: name.clone(),
            check,
            plan,
            zone,
            state,
            generation: self.generation,
            running: None::<Running>,
            waiting: Vec::new(),
            suspect: true,
            mark: None,
            unheard: false,
            remote,
            silent_since: now,
            notice: None,
            awaits: None,
            waited_for: None,
        };
        let before = row.as_ref().and_then(|row| row.topic.clone());
        let topic = entry.check.publish.as_ref().map(|topic| topic.as_str().to_owned());
        if let Some(before) = before.clone().filter(|before| Some(before) != topic.as_ref()) {
            self.clear(&before);
        }
        if before != topic {
            self.batch.topics.insert(name.clone(), topic);
        }
        self.alarms.remove(name);
        self.entries.insert(name.clone(), entry);
        self.remember_told(name);
        self.watch(name);
        self.touched.insert(name.clone());
    }

    /// Puts a check on its beat, where it left off if it ran under the same trigger before.
    fn schedule(&mut self, name: &CheckName, mark: Option<Mark>) {
        self.scheduler.remove(name);
        let Some(entry) = self.entries.get(name) else { return };
        let Some(trigger) = entry.check.trigger.clone() else { return };
        let zone = entry.zone;
        let key = self.trigger_key(name);
        let resumed = mark.filter(|mark| mark.trigger == key).map(|mark| mark.at);
        self.scheduler.set(name.clone(), Arc::new(trigger), zone, resumed);
    }

    /// The trigger of a check as it is stored beside its mark.
    pub(super) fn trigger_key(&self, name: &CheckName) -> String {
        let entry = self.entries.get(name);
        let trigger = entry.and_then(|entry| entry.check.trigger.as_ref());
        trigger.map(|trigger| trigger.to_json().to_string()).unwrap_or_default()
    }

    /// Stops a check without forgetting it.
    fn set_aside(&mut self, name: &CheckName) {
        self.scheduler.remove(name);
        self.alarms.remove(name);
        self.reminders.remove(name);
        self.directory.strike(name);
        if let Some(entry) = self.entries.shift_remove(name) {
            self.orphaned.extend(entry.waiting);
            let topic = entry.check.publish.as_ref().map(|topic| topic.as_str().to_owned());
            let row = CheckRow { state: entry.state, mark: None, topic };
            self.aside.insert(name.clone(), (row, entry.remote));
        }
        self.removed.push(name.clone());
    }

    fn clear_fleet(&mut self, name: &CheckName) {
        if self.identity.publish.as_ref().is_some_and(|rules| rules.fleet) {
            let topic = fletchck_shared::topic::Topic::check(
                &self.identity.prefix,
                &self.identity.agent,
                name,
            );
            self.clear(topic.as_str());
        }
    }
}

fn plan(check: &Check) -> Option<Plan> {
    checks::kind(&check.kind)?.plan(&check.options).0
}
