//! The actions as they run now: who tells, and whom.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use fletchck_shared::{
    ActionName, CheckName, Severity, Tz,
    policy::{News, QuietHours},
};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::error;

use super::{
    Office,
    adoption::adopt,
    memory::{Memory, UNSTORED},
};
use crate::{
    actions::{Action, Letter, Notice, TellError, To},
    store::{NewDelivery, Revived, ShownDelivery, StoreError},
};

/// Longest time that a test may take: whoever waits for it on a page waits 30 s.
pub const TRIAL: Duration = Duration::from_secs(25);

/// The actions as they run now. Shared by the engine, which says whom to tell, the workers, and whoever tries an action
/// out.
#[derive(Default)]
pub struct Roster {
    pub(super) desks: Mutex<HashMap<ActionName, Desk>>,
    /// What workers knew that ended, until others take it over.
    pub(super) left: Mutex<HashMap<ActionName, Memories>>,
    /// How many workers of each group have not ended.
    pub(super) busy: Mutex<HashMap<(ActionName, String), u32>>,
    /// The actions of which the store would not hand on what groups that are no more were to be told.
    pub(super) unadopted: Mutex<HashSet<ActionName>>,
    /// What all deliveries have in common; `None` before the first of them.
    office: Mutex<Option<Office>>,
}

/// What the workers of each group know.
pub(super) type Memories = IndexMap<String, Arc<Memory>>;

pub(super) struct Desk {
    action: Arc<dyn Action>,
    pub(super) groups: Memories,
    /// Hours in which it does not disturb.
    pub(super) quiet: Option<QuietHours>,
    /// Wakes its workers from their pauses.
    nudge: Arc<Notify>,
}

/// How one group of an action answered to a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The group; empty where there is one.
    pub group: String,
    /// What the other side said, or why it was not told.
    pub answer: Result<String, TellError>,
}

impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").finish_non_exhaustive()
    }
}

impl Roster {
    /// The groups of an action's recipients; `None`: it does not run.
    pub fn groups(&self, action: &ActionName) -> Option<Vec<String>> {
        self.desks.lock().get(action).map(|desk| desk.groups.keys().cloned().collect())
    }

    /// Whether an action keeps an account of who has taken a failure on.
    pub fn acknowledges(&self, action: &ActionName) -> bool {
        self.desks.lock().get(action).is_some_and(|desk| desk.action.acknowledges())
    }

    /// Whether an action runs.
    pub fn runs(&self, action: &ActionName) -> bool {
        self.desks.lock().contains_key(action)
    }

    /// Has all actions try at once what they wait to try again.
    pub fn try_now(&self) {
        self.desks.lock().values().for_each(|desk| desk.nudge.notify_waiters());
    }

    /// The actions that run, by name.
    pub fn names(&self) -> Vec<ActionName> {
        let mut names: Vec<_> = self.desks.lock().keys().cloned().collect();
        names.sort();
        names
    }

    /// Deliveries that wait, or were given up, latest first, `most` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn deliveries(
        &self,
        dead: bool,
        most: usize,
    ) -> Result<Vec<ShownDelivery>, StoreError> {
        match self.office() {
            Some(office) => office.store.shown_deliveries(dead, most).await,
            None => Ok(Vec::new()),
        }
    }

    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn count_deliveries(&self) -> Result<(u32, u32), StoreError> {
        match self.office() {
            Some(office) => office.store.count_deliveries().await,
            None => Ok((0, 0)),
        }
    }

    /// Sends again what was given up, one or all, and at once what waits to be tried again.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn send_again(&self, id: Option<i64>) -> Result<Revived, StoreError> {
        let Some(office) = self.office() else { return Ok(Revived { again: 0, over: 0 }) };
        let revived = office.store.revive_deliveries(id, office.clock.now()).await?;
        // Some may be for recipients who are no more.
        for action in self.names() {
            adopt(&action, &office, self).await;
        }
        self.try_now();
        Ok(revived)
    }

    /// Forgets what was given up, one or all. How many those were.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn forget(&self, id: Option<i64>) -> Result<usize, StoreError> {
        match self.office() {
            Some(office) => office.store.forget_deliveries(id).await,
            None => Ok(0),
        }
    }

    /// What waits to be told of a check, latest first, `most` at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting_for(
        &self,
        check: &CheckName,
        most: usize,
    ) -> Result<Vec<ShownDelivery>, StoreError> {
        match self.office() {
            Some(office) => office.store.waiting_for(check, most).await,
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn office(&self) -> Option<Office> {
        self.office.lock().clone()
    }

    pub(super) fn set_office(&self, office: Office) {
        *self.office.lock() = Some(office);
    }

    /// Sends a test to every group of an action, past the queue. `None`: it does not run.
    pub async fn try_out(&self, action: &ActionName, site: &str, by: &str) -> Option<Vec<Trial>> {
        let office = &self.office()?;
        let (runs, groups) = {
            let desks = self.desks.lock();
            let desk = desks.get(action)?;
            (desk.action.clone(), desk.groups.keys().cloned().collect::<Vec<_>>())
        };
        let notice = test_notice(site, by, office);
        let trials = groups.into_iter().map(|group| {
            let (runs, notice) = (runs.clone(), notice.clone());
            async move {
                let address = format!("{action}/{group}");
                let letter = Letter::of([notice], &address, office.link.as_deref());
                let to = To { group: &group, store: &office.store, trial: true };
                let answer = match letter {
                    Some(letter) => tokio::time::timeout(TRIAL, runs.tell(&letter, &to))
                        .await
                        .unwrap_or_else(|_| {
                            Err(TellError::passing(format!(
                                "no answer within {} s",
                                TRIAL.as_secs()
                            )))
                        }),
                    None => Err(TellError::passing("there was nothing to tell")),
                };
                Trial { group, answer }
            }
        });
        Some(futures_util::future::join_all(trials).await)
    }

    pub(super) fn nudged(&self, action: &ActionName) -> Arc<Notify> {
        self.desks.lock().get(action).map(|desk| desk.nudge.clone()).unwrap_or_default()
    }

    /// Has what could not be stored told all the same.
    pub(super) fn tell_unstored(&self, new: NewDelivery) {
        let NewDelivery { action, group, notice, made } = new;
        let after = self.office().map_or(0, |office| office.store.last_delivery());
        let desks = self.desks.lock();
        let groups = desks.get(&action).map(|desk| &desk.groups);
        let memory = groups.and_then(|groups| groups.get(&group).or(groups.values().next()));
        let Some(memory) = memory else {
            error!(action.name = %action, "an alert for `{}` is lost, for its action does not run: {}", notice.check, notice.text);
            return;
        };
        if memory.add(notice, made, after) {
            error!(action.name = %action, "an alert is lost: more than {UNSTORED} wait that could not be stored");
        }
    }

    /// An action begins. What the workers of each group knew before, or nothing.
    pub(super) fn enter(
        &self,
        name: &ActionName,
        action: Arc<dyn Action>,
        quiet: Option<QuietHours>,
    ) -> Memories {
        let mut desks = self.desks.lock();
        let mut left = self.left.lock();
        let mut left = left.get_mut(name);
        let groups: Memories = action
            .groups()
            .into_iter()
            .map(|group| {
                let memory = left.as_mut().and_then(|left| left.shift_remove(&group));
                (group, memory.unwrap_or_default())
            })
            .collect();
        let desk = Desk { action, groups: groups.clone(), quiet, nudge: Arc::default() };
        desks.insert(name.clone(), desk);
        groups
    }

    /// An action ends.
    pub(super) fn leave(&self, name: &ActionName) {
        let mut desks = self.desks.lock();
        if let Some(desk) = desks.remove(name) {
            self.left.lock().entry(name.clone()).or_default().extend(desk.groups);
        }
    }

    /// Forgets the actions that are no more. How many unstored notices were lost with each.
    pub(super) fn dismiss(&self, stays: impl Fn(&ActionName) -> bool) -> Vec<(ActionName, usize)> {
        let mut left = self.left.lock();
        let gone = left.extract_if(|name, _| !stays(name));
        let lost = gone.map(|(name, groups)| {
            (name, groups.values().map(|group| group.count_unstored()).sum())
        });
        lost.filter(|(_, lost)| *lost > 0).collect()
    }
}

fn test_notice(site: &str, by: &str, office: &Office) -> Notice {
    let zone: Tz = office.zone;
    Notice {
        site: site.into(),
        check: CheckName::try_from("test").expect("a name"),
        agent: None,
        kind: "test".into(),
        news: News::Test,
        severity: Severity::Ok,
        about: Severity::Ok,
        at: office.clock.now(),
        since: None,
        last_good: None,
        text: format!("{by} tries whether this way of telling works: it does"),
        level: None,
        log: Vec::new(),
        members: Vec::new(),
        zone,
    }
}
