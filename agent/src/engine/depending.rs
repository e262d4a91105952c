//! Checks that depend on others: what that keeps from running, and what it keeps from being told.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use fletchck_shared::{
    CheckName,
    policy::{Hidden, HiddenBy},
    state::Cover,
};

use super::core::Core;
use crate::checks::{self, Plan};

impl Core {
    /// The failing check that keeps this one from running, if its owner wants that.
    pub(super) fn blocking(&self, name: &CheckName) -> Option<CheckName> {
        let entry = self.entries.get(name)?;
        entry.check.policy.skip.then(|| self.failing_dependency(name)).flatten()
    }

    /// A failing check that this one depends on, directly or by others, or the uplink of the site.
    pub(super) fn failing_dependency(&self, name: &CheckName) -> Option<CheckName> {
        self.ancestors(name)
            .into_iter()
            .find(|by| self.entries.get(by).is_some_and(|by| by.state.failing()))
    }

    /// All that a check depends on, the nearest first.
    fn ancestors(&self, name: &CheckName) -> Vec<CheckName> {
        let mut all = Vec::new();
        let mut seen = HashSet::from([name.clone()]);
        let mut next = vec![name.clone()];
        while let Some(at) = next.pop() {
            for by in self.parents(&at) {
                if seen.insert(by.clone()) {
                    all.push(by.clone());
                    next.push(by);
                }
            }
        }
        all
    }

    fn parents(&self, name: &CheckName) -> Vec<CheckName> {
        let Some(entry) = self.entries.get(name) else { return Vec::new() };
        let mut parents = entry.check.depends.clone();
        let asks = checks::kind(&entry.check.kind).is_some_and(|kind| kind.asks_network());
        if let Some(uplink) = &self.site.uplink
            && asks
            && entry.check.uplink
            && uplink != name
            && !self.uplink_needs(name)
        {
            parents.push(uplink.clone());
        }
        parents
    }

    /// Whether the uplink itself depends on this check, or has it as a member.
    fn uplink_needs(&self, name: &CheckName) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<CheckName> = self.site.uplink.iter().cloned().collect();
        while let Some(at) = next.pop() {
            let Some(entry) = self.entries.get(&at).filter(|_| seen.insert(at.clone())) else {
                continue;
            };
            if at == *name {
                return true;
            }
            next.extend(entry.check.depends.iter().cloned());
            if let Plan::Sequence(members) = &entry.plan {
                next.extend(members.iter().cloned());
            }
        }
        false
    }

    /// Why nobody is told of a check now, if that is so.
    pub(super) fn hidden(&mut self, name: &CheckName, now: DateTime<Utc>) -> Option<Hidden> {
        if let Some(silence) = self.silencing(name, now) {
            return Some(silence);
        }
        let entry = self.entries.get(name)?;
        if !entry.state.condition.failing() {
            return None;
        }
        if let Some(why) = &entry.state.held {
            let why = format!("its agent says that {why}");
            return Some(Hidden { by: HiddenBy::Dependency, why, until: None });
        }
        if let Some(by) = self.failing_dependency(name) {
            let why = format!("it depends on `{by}`, which fails");
            return Some(Hidden { by: HiddenBy::Dependency, why, until: None });
        }
        // Nobody knows yet of this failure: perhaps what it depends on fails as well, and was not looked at since.
        let entry = self.entries.get(name)?;
        if !entry.state.alert.told.is_empty() {
            return None;
        }
        let by = self.unsure(name)?;
        let why = format!("it depends on `{by}`, which is looked at first");
        self.await_dependency(name, &by);
        Some(Hidden { by: HiddenBy::Dependency, why, until: None })
    }

    /// What a check depends on and was not looked at since it failed, once for each failure.
    fn unsure(&self, name: &CheckName) -> Option<CheckName> {
        let entry = self.entries.get(name)?;
        let since = entry.state.last_check?;
        if entry.waited_for == entry.state.last_fail && entry.awaits.is_none() {
            return None;
        }
        self.ancestors(name).into_iter().find(|by| {
            let Some(by) = self.entries.get(by) else { return false };
            let runs = matches!(by.plan, Plan::Probe(_) | Plan::Sequence(_));
            let old = by.running.is_some() || by.state.last_check.is_none_or(|at| at < since);
            runs && old && !by.check.paused
        })
    }

    fn await_dependency(&mut self, name: &CheckName, by: &CheckName) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.waited_for = entry.state.last_fail;
        entry.awaits = Some(by.clone());
        self.awaiting.entry(by.clone()).or_default().push(name.clone());
        if !self.to_begin.contains(by) {
            self.to_begin.push(by.clone());
        }
    }

    /// A check has run, or was heard: what waited for that is told, or runs itself.
    pub(super) fn release(&mut self, name: &CheckName, failed_before: bool) {
        let Some(entry) = self.entries.get(name) else { return };
        let well = !entry.state.failing();
        for child in self.awaiting.remove(name).unwrap_or_default() {
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            // Since it has waited, it may have been made anew, or have waited for another.
            if entry.awaits.as_ref() == Some(name) {
                entry.awaits = None;
                self.tell(&child, well);
            }
        }
        if !(failed_before && well) {
            return;
        }
        // Whether what was hidden still fails, a run of its own says at once.
        let hidden: Vec<_> = self
            .entries
            .values()
            .filter(|entry| {
                let hidden = entry.state.alert.hidden.as_ref();
                hidden.is_some_and(|hidden| hidden.by == HiddenBy::Dependency)
                    && entry.state.held.is_none()
            })
            .map(|entry| entry.name.clone())
            .collect();
        let now = self.now();
        for child in hidden {
            if self.failing_dependency(&child).is_some() {
                continue;
            }
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            let runs = matches!(entry.plan, Plan::Probe(_) | Plan::Sequence(_));
            if runs && !entry.check.paused {
                self.to_begin.push(child);
            } else if !matches!(entry.state.cover, Some(Cover::Stale(_))) {
                if let Some(hidden) = &mut entry.state.alert.hidden {
                    hidden.until = Some(now + Hidden::OUTLASTS);
                }
                self.touched.insert(child.clone());
                self.reminders.set(child, now + Hidden::OUTLASTS, now);
            }
        }
    }

    /// Begins the runs that were asked for while something else was going on.
    pub(super) fn begin_asked(&mut self) {
        while let Some(name) = self.to_begin.pop() {
            self.begin(&name);
        }
    }
}
