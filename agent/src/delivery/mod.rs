//! The durable queue between what there is to tell and the actions: each group of an action's recipients has a worker of
//! its own, which tells the oldest first, tries again with growing pauses, and never holds up another.

mod pace;
mod roster;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use fletchck_shared::{ActionName, Tz, config};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::error;

pub use roster::{Roster, Trial};

use self::{
    pace::Pace,
    worker::{FAREWELL, Work},
};
use crate::{
    actions::{self, Notice},
    engine::Clock,
    store::{NewDelivery, Store},
};

/// Most notices of one group that wait without being stored.
const UNSTORED: usize = 1000;

/// What every delivery has in common.
#[derive(Clone, Debug)]
pub struct Office {
    /// Where what is to be told is kept.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Zone of hours that have none of their own.
    pub zone: Tz,
    /// Address of the pages, for links in messages.
    pub link: Option<String>,
}

/// The workers of all actions.
#[derive(Debug)]
pub struct Delivery {
    office: Office,
    stop: CancellationToken,
    workers: HashMap<ActionName, Workers>,
    roster: Arc<Roster>,
    tasks: JoinSet<()>,
}

/// The workers of one action.
#[derive(Debug)]
struct Workers {
    configured: config::Action,
    stop: CancellationToken,
    groups: HashMap<String, Arc<Unstored>>,
}

/// What is told although it could not be stored, in order. It outlives a worker whose action is configured otherwise.
#[derive(Debug, Default)]
struct Unstored {
    notices: Mutex<VecDeque<Notice>>,
    added: Notify,
}

impl Delivery {
    /// Starts the workers of every action. They end with the token.
    pub fn start(
        actions: &IndexMap<ActionName, config::Action>,
        office: Office,
        stop: CancellationToken,
    ) -> Self {
        let mut delivery = Self {
            office,
            stop,
            workers: HashMap::new(),
            roster: Arc::default(),
            tasks: JoinSet::new(),
        };
        delivery.roster.set_office(delivery.office.clone());
        delivery.employ_all(actions);
        delivery
    }

    /// The actions as they are now.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Makes these the actions. One that did not change goes on as it is, unless what all have in common did.
    pub fn take_over(
        &mut self,
        actions: &IndexMap<ActionName, config::Action>,
        zone: Tz,
        link: Option<String>,
    ) {
        let same = self.office.zone == zone && self.office.link == link;
        (self.office.zone, self.office.link) = (zone, link);
        self.roster.set_office(self.office.clone());
        self.workers.retain(|name, workers| {
            let stays = same && actions.get(name) == Some(&workers.configured);
            if !stays {
                workers.stop.cancel();
                self.roster.leave(name, workers.groups.drain());
            }
            stays
        });
        self.employ_all(actions);
        for (name, lost) in self.roster.dismiss(|name| actions.contains_key(name)) {
            error!(action.name = %name, "{lost} alerts that were not stored are lost with their action");
        }
    }

    /// Tells what could not be stored, as well as can be: it is lost if the process ends before.
    pub fn tell_unstored(&self, new: NewDelivery) {
        let NewDelivery { action, group, notice, .. } = new;
        let workers = self.workers.get(&action);
        let Some(unstored) = workers.and_then(|workers| workers.groups.get(&group)) else {
            error!(action.name = %action, "an alert is lost: its action does not run");
            return;
        };
        let mut notices = unstored.notices.lock();
        if notices.len() >= UNSTORED {
            notices.pop_front();
            error!(action.name = %action, "an alert is lost: more than {UNSTORED} wait that could not be stored");
        }
        notices.push_back(notice);
        drop(notices);
        unstored.added.notify_one();
    }

    /// Waits until no worker is in the act of telling, for two seconds at most. The token must be cancelled.
    pub async fn finish(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Whoever has not ended by then is cut off; what it was telling is told again at the next start.
        _ = tokio::time::timeout(FAREWELL + Duration::from_millis(100), all).await;
    }

    fn employ_all(&mut self, actions: &IndexMap<ActionName, config::Action>) {
        for (name, configured) in actions {
            if !self.workers.contains_key(name) {
                self.employ(name, configured);
            }
        }
        // What has ended needs no one to wait for it.
        while self.tasks.try_join_next().is_some() {}
    }

    fn employ(&mut self, name: &ActionName, configured: &config::Action) {
        let kind = actions::kind(&configured.kind);
        let action = kind.and_then(|kind| Some((kind, kind.action(&configured.options).0?)));
        let Some((kind, action)) = action else {
            error!(action.name = %name, "its options were accepted, but it cannot be built; please report this");
            return;
        };
        let names = action.groups();
        let mut left = self.roster.enter(name, action.clone(), names.clone());
        let stop = self.stop.child_token();
        let mut groups = HashMap::new();
        for group in &names {
            let unstored: Arc<Unstored> = left.remove(group).unwrap_or_default();
            let work = Work {
                name: name.clone(),
                group: group.clone(),
                action: action.clone(),
                pace: Pace::new(kind.gathers, &configured.delivery),
                rules: configured.delivery.clone(),
                office: self.office.clone(),
                unstored: unstored.clone(),
                told: Vec::new(),
                roster: self.roster.clone(),
                stop: stop.clone(),
            };
            self.tasks.spawn(work.go_on());
            groups.insert(group.clone(), unstored);
        }
        // What waits unstored for a group that is no more goes to the first one there is.
        if let Some(first) = names.first().and_then(|first| groups.get(first)) {
            for unstored in left.into_values() {
                first.notices.lock().append(&mut unstored.notices.lock());
            }
            first.added.notify_one();
        }
        let workers = Workers { configured: configured.clone(), stop, groups };
        self.workers.insert(name.clone(), workers);
    }
}
