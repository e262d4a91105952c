//! Whom the state of a check is told to: what the alert policy decides, put into deliveries.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use chrono::{DateTime, Utc};
use fletchck_shared::{
    ActionName, CheckName, Severity,
    policy::{self, Decision, News, Standing, Told},
    state::{Condition, Failure},
    wire,
};

use super::{core::Core, entry::Entry};
use crate::{
    actions::{FailingMember, Notice},
    store::NewDelivery,
};

impl Core {
    /// As [`Core::weigh`], and publishes what has changed of that: what has just run or was heard is published in any case.
    /// Otherwise a hub would not hear that it is to be told after all.
    pub(super) fn tell(&mut self, name: &CheckName, fresh: bool) {
        let held = |core: &Self| {
            let entry = core.entries.get(name)?;
            wire::held(&entry.state).map(Cow::into_owned)
        };
        let before = held(self);
        self.weigh(name, fresh);
        if !fresh && held(self) != before {
            self.publish(name, true);
        }
    }

    /// Holds what was told of a check against how it stands, and notes what is to be told now. `fresh`: it has just run, or
    /// was heard.
    pub(super) fn weigh(&mut self, name: &CheckName, fresh: bool) {
        let now = self.now();
        let Some(entry) = self.entries.get(name) else { return };
        let quiet = entry.added() && entry.quiet();
        let idle = !entry.state.condition.failing() && entry.state.alert.is_quiet();
        if idle || (quiet && entry.state.alert.told.is_empty()) {
            return;
        }
        let hidden = self.hidden(name, now);
        let policy = self.policy_of(name);
        let least = self.least();
        let away = self.away(name);
        let Some(entry) = self.entries.get_mut(name) else { return };
        let before = entry.state.alert.clone();
        let is = Standing {
            condition: &entry.state.condition,
            grade: entry.state.grade,
            covered: entry.state.cover.is_some(),
            fresh,
            hidden,
            actions: if quiet { &[] } else { &entry.check.actions },
            least: &least,
            away: &away,
        };
        let Decision { tell, again } = policy::decide(&policy, &mut entry.state.alert, &is, now);
        if entry.state.alert != before {
            self.touched.insert(name.clone());
        }
        match again {
            Some(at) => self.reminders.set(name.clone(), at, now),
            None => self.reminders.remove(name),
        }
        for (action, news, about) in tell {
            let known = before.told.get(&action);
            self.deliver(name, &action, (news, about), known, now);
        }
    }

    /// Looks again at every check of which something is, or could be, to tell: what hides it may have changed.
    pub(super) fn tell_all(&mut self) {
        let open =
            |entry: &&Entry| entry.state.condition.failing() || !entry.state.alert.is_quiet();
        let names: Vec<_> =
            self.entries.values().filter(open).map(|entry| entry.name.clone()).collect();
        for name in names {
            self.tell(&name, false);
        }
    }

    /// Puts what there is to tell an action into deliveries to its recipients. `known`: what it was told of this failure
    /// before.
    pub(super) fn deliver(
        &mut self,
        name: &CheckName,
        action: &ActionName,
        (news, about): (News, Severity),
        known: Option<&Told>,
        now: DateTime<Utc>,
    ) {
        // What does not run is told nothing now, and whatever is left to tell once it does.
        let Some(groups) = self.delivery.roster().groups(action) else { return };
        let Some(notice) = self.notice(name, news, about, now) else { return };
        let Some(entry) = self.entries.get_mut(name) else { return };
        let groups = match entry.state.alert.told.get_mut(action) {
            Some(told) => {
                told.groups.extend(groups.iter().filter(|group| !group.is_empty()).cloned());
                groups
            }
            None => match known {
                Some(told) => told.who_hears_of_the_end(groups),
                None => groups,
            },
        };
        for group in groups {
            let (action, notice) = (action.clone(), notice.clone());
            self.batch.deliveries.push(NewDelivery { action, group, notice, made: now });
        }
    }

    fn notice(
        &self,
        name: &CheckName,
        news: News,
        about: Severity,
        now: DateTime<Utc>,
    ) -> Option<Notice> {
        let entry = self.entries.get(name)?;
        let state = &entry.state;
        let failing = state.condition.failing();
        let at = match news {
            News::Failed | News::Changed => state.last_fail,
            News::Recovered => state.last_pass,
            News::Acknowledged => state.alert.ack.as_ref().map(|ack| ack.at),
            News::Reminder | News::Escalated | News::Flapping | News::Steady | News::Test => None,
        };
        Some(Notice {
            site: self.identity.site.clone(),
            check: name.clone(),
            agent: entry.agent().map(String::from),
            kind: entry.shown_kind().to_owned(),
            news,
            severity: if failing { about } else { Severity::Ok },
            about,
            at: at.unwrap_or(now),
            since: state.failing_since,
            last_good: state.last_good,
            text: state.text.clone(),
            level: state.level.clone(),
            log: state.log.clone(),
            members: self.failing_members(entry),
            zone: entry.zone,
        })
    }

    fn failing_members(&self, entry: &Entry) -> Vec<FailingMember> {
        let Condition::Fail(Failure::Members(members)) = &entry.state.condition else {
            return Vec::new();
        };
        let failing = members.split(',').map(|name| {
            let state = self.entries.get(name).map(|member| &member.state);
            FailingMember {
                name: name.to_owned(),
                soft: state.and_then(|state| state.soft_fail.clone()),
                level: state.and_then(|state| state.level.clone()),
            }
        });
        failing.collect()
    }

    fn policy_of(&self, name: &CheckName) -> policy::Policy {
        let entry = self.entries.get(name);
        entry.map(|entry| entry.check.policy.clone()).unwrap_or_default()
    }

    /// Actions that are to be told of a check, or were, and that do not run: they are no longer configured, or there is a
    /// fault in them.
    fn away(&self, name: &CheckName) -> HashSet<ActionName> {
        let Some(entry) = self.entries.get(name) else { return HashSet::new() };
        let steps = entry.check.policy.escalate.iter().flat_map(|step| &step.actions);
        let all = entry.state.alert.told.keys().chain(&entry.check.actions).chain(steps);
        all.filter(|action| !self.delivery.roster().runs(action)).cloned().collect()
    }

    fn least(&self) -> HashMap<ActionName, Severity> {
        let actions = self.site.actions.iter();
        actions.map(|(name, action)| (name.clone(), action.severity)).collect()
    }

    /// Takes a failure that was told to nobody knows whom, by the original or an older version, for told to all actions
    /// of its check.
    pub(super) fn remember_told(&mut self, name: &CheckName) {
        let now = self.now();
        let Some(entry) = self.entries.get_mut(name) else { return };
        if !std::mem::take(&mut entry.state.told) {
            return;
        }
        let Condition::Fail(failure) = &entry.state.condition else { return };
        let severity = entry.check.policy.severity_of(failure, entry.state.grade);
        let at = entry.state.last_fail.unwrap_or(now);
        let told = Told::now(failure, severity, at);
        entry.state.alert.opened = Some(at);
        for action in &entry.check.actions {
            entry.state.alert.told.insert(action.clone(), told.clone());
        }
    }
}
