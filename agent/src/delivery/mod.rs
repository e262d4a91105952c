//! The durable queue between what there is to tell and the actions: each group of an action's recipients has a worker of
//! its own, which tells the oldest first, tries again with growing pauses, and never holds up another.

mod adoption;
mod failing;
mod held;
mod holdups;
mod memory;
mod next;
mod pace;
mod parts;
mod roster;
mod telling;
#[cfg(test)]
mod tests;
mod worker;

use std::{collections::HashMap, sync::Arc, time::Duration};

use fletchck_shared::{ActionName, Tz, config};
use indexmap::IndexMap;
use tokio::task::{JoinError, JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::error;

pub use held::{Held, Wait};
pub use roster::{Roster, TRIAL, Trial};

use self::{holdups::Holdups, pace::Pace, parts::Parts, telling::FAREWELL, worker::Work};
use crate::{
    actions::{self, Action},
    chain,
    engine::Clock,
    store::{NewDelivery, Store},
};

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
    /// Those that were told to end, by action and group. Whoever takes up their work begins when they have.
    ending: HashMap<(ActionName, String), TaskTracker>,
    roster: Arc<Roster>,
    tasks: JoinSet<()>,
}

/// The workers of one action.
#[derive(Debug)]
struct Workers {
    configured: config::Action,
    stop: CancellationToken,
    /// The one of each group.
    tasks: Vec<(String, TaskTracker)>,
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
            ending: HashMap::new(),
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

    /// Makes these the actions. One that did not change goes on as it is, unless what all have in common did. Of the
    /// others each new worker begins once the one before it has ended, however long the action takes to answer: what that
    /// is in the act of telling is told once. No group waits for another one.
    pub fn take_over(
        &mut self,
        actions: &IndexMap<ActionName, config::Action>,
        zone: Tz,
        link: Option<String>,
    ) {
        let same = self.office.zone == zone && self.office.link == link;
        (self.office.zone, self.office.link) = (zone, link);
        self.roster.set_office(self.office.clone());
        let stays = |name: &ActionName, workers: &Workers| {
            same && actions.get(name) == Some(&workers.configured)
        };
        let leaving = self.workers.iter().filter(|(name, workers)| !stays(name, workers));
        for name in leaving.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.retire(&name);
        }
        self.employ_all(actions);
        for (name, lost) in self.roster.dismiss(|name| actions.contains_key(name)) {
            error!(action.name = %name, "{lost} alerts that were not stored are lost with their action");
        }
    }

    /// Tells what could not be stored, as well as can be: it is lost if the process ends before.
    pub fn tell_unstored(&self, new: NewDelivery) {
        self.roster.tell_unstored(new);
    }

    /// Waits until no worker is in the act of telling, for two seconds at most. The token must be cancelled.
    pub async fn finish(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some_and(ended) {} };
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
        while self.tasks.try_join_next().is_some_and(ended) {}
        self.ending.retain(|_, tasks| !tasks.is_empty());
    }

    fn employ(&mut self, name: &ActionName, configured: &config::Action) {
        let kind = actions::kind(&configured.kind);
        let action = kind.and_then(|kind| Some((kind, kind.action(&configured.options).0?)));
        let Some((kind, action)) = action else {
            error!(action.name = %name, "its options were accepted, but it cannot be built; please report this");
            return;
        };
        self.hire(name, configured, &action, kind.gathers);
    }

    /// Ends the workers of an action. Those that come after them begin when they have ended, and end after them.
    fn retire(&mut self, name: &ActionName) {
        let Some(workers) = self.workers.remove(name) else { return };
        workers.stop.cancel();
        for (group, tasks) in workers.tasks {
            tasks.close();
            self.ending.insert((name.clone(), group), tasks);
        }
        self.roster.leave(name);
    }

    /// Begins the workers of an action, one for each group of its recipients.
    fn hire(
        &mut self,
        name: &ActionName,
        configured: &config::Action,
        action: &Arc<dyn Action>,
        gathers: bool,
    ) {
        let memories = self.roster.enter(name, action.clone(), configured.delivery.quiet.clone());
        let stop = self.stop.child_token();
        let mut all = Vec::new();
        for (group, memory) in memories {
            let tasks = TaskTracker::new();
            let work = Work {
                busy: self.roster.begin(name, &group),
                before: self.ending.get(&(name.clone(), group.clone())).cloned(),
                name: name.clone(),
                group: group.clone(),
                action: action.clone(),
                pace: Pace::new(gathers, &configured.delivery),
                rules: configured.delivery.clone(),
                office: self.office.clone(),
                memory,
                holdups: Holdups::default(),
                parts: Parts::default(),
                cut_off: true,
                roster: self.roster.clone(),
                stop: stop.clone(),
                end: self.stop.clone(),
            };
            self.tasks.spawn(tasks.track_future(work.stay()));
            all.push((group, tasks));
        }
        let workers = Workers { configured: configured.clone(), stop, tasks: all };
        self.workers.insert(name.clone(), workers);
    }
}

/// Says so where a worker came to an end that none should.
fn ended(result: Result<(), JoinError>) -> bool {
    if let Err(reason) = result
        && reason.is_panic()
    {
        error!(error = chain(&reason), "who tells of alerts has ended; please report this");
    }
    true
}
