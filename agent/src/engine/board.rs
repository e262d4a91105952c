//! What the engine shows of itself: the state of every check as of the last commit, for pages and commands.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use fletchck_shared::{
    ActionName, AgentId, CheckName, Severity, State, Tz, config::Fault, policy::Silence,
    schedule::Trigger, topic::Topic, wire::Info,
};
use indexmap::IndexMap;
use tokio::sync::{broadcast, watch};

use crate::store::SilenceId;

/// Changes that a slow reader may fall behind by before it must read the whole board again.
const BEHIND: usize = 4096;

/// One check, as it is shown.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// Its name.
    pub name: CheckName,
    /// Its type.
    pub kind: String,
    /// The type at the agent, for a remote check.
    pub sub_kind: Option<String>,
    /// Its state as of the last commit.
    pub state: State,
    /// How grave a failure of it is that is no warning: as decided here, or else at the agent.
    pub grade: Severity,
    /// When it runs.
    pub trigger: Option<Trigger>,
    /// When it runs next; `None`: on request, in a sequence, or never again.
    pub next: Option<DateTime<Utc>>,
    /// Whether it runs right now.
    pub running: bool,
    /// Its zone.
    pub zone: Tz,
    /// Members, if it is a sequence, in the order they run.
    pub members: Vec<CheckName>,
    /// Checks it depends on.
    pub depends: Vec<CheckName>,
    /// Actions told of its transitions.
    pub actions: Vec<ActionName>,
    /// Version 1 topic it is published to.
    pub publish: Option<Topic>,
    /// The agent that runs it, where another one does.
    pub agent: Option<AgentId>,
    /// Whether it was added by itself when it was first heard of; such a check lies in the store, not in the file.
    pub added: bool,
    /// What is wrong with it although it runs, a name that two agents claim for example.
    pub notice: Option<String>,
}

/// One agent, as a hub shows it.
#[derive(Clone, Debug)]
pub struct AgentView {
    /// Its id.
    pub id: AgentId,
    /// Whether it is connected.
    pub online: bool,
    /// Since when, by the hub's clock.
    pub since: DateTime<Utc>,
    /// What it says of itself.
    pub info: Info,
    /// Seconds its clock is ahead of the hub's, as of its last birth.
    pub clock_ahead: Option<i64>,
}

/// What changed on a [`Board`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// This check, or it is new.
    Check(CheckName),
    /// This check is gone.
    Removed(CheckName),
    /// This agent.
    Agent(AgentId),
    /// Everything: the configuration was read again.
    Site,
}

/// The state of a site as of the last commit. Readers never wait for a probe, a disk or a network.
#[derive(Debug)]
pub struct Board {
    checks: RwLock<IndexMap<CheckName, Arc<CheckView>>>,
    agents: RwLock<IndexMap<AgentId, Arc<AgentView>>>,
    faults: ArcSwap<Vec<Fault>>,
    silences: ArcSwap<BTreeMap<SilenceId, Silence>>,
    changes: broadcast::Sender<Changed>,
    again: watch::Sender<u64>,
    version: AtomicU64,
}

impl Board {
    /// All checks, in the owner's order, those added by themselves last.
    pub fn checks(&self) -> Vec<Arc<CheckView>> {
        self.checks.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// One check.
    pub fn check(&self, name: &str) -> Option<Arc<CheckView>> {
        self.checks.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All agents, by id.
    pub fn agents(&self) -> Vec<Arc<AgentView>> {
        self.agents.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What is wrong with the configuration that runs.
    pub fn faults(&self) -> Arc<Vec<Fault>> {
        self.faults.load_full()
    }

    /// Silences that people made while the site ran, by number.
    pub fn silences(&self) -> Arc<BTreeMap<SilenceId, Silence>> {
        self.silences.load_full()
    }

    /// Changes from now on. A reader that falls behind gets `Lagged` and reads the board again.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// Has whoever publishes say again who this site is and how its checks stand: what is shown here was not stored, and so
    /// waits in no outbox, or the site is called otherwise now.
    pub fn say_again(&self) {
        self.again.send_modify(|times| *times += 1);
    }

    /// Counts how often all is to be said again.
    pub fn to_say_again(&self) -> watch::Receiver<u64> {
        self.again.subscribe()
    }

    /// A number that grows with every change. What was made of the board after reading it is still true while it is
    /// the same.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Shows a check as it is now. The engine calls this, after the commit.
    pub fn put(&self, view: CheckView) {
        let name = view.name.clone();
        self.checks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), Arc::new(view));
        self.announce(Changed::Check(name));
    }

    /// Shows a check no longer. The engine calls this.
    pub fn remove(&self, name: &CheckName) {
        self.checks.write().unwrap_or_else(PoisonError::into_inner).shift_remove(name);
        self.announce(Changed::Removed(name.clone()));
    }

    /// Shows these checks and faults in place of all others. The engine calls this at the start and after a reload.
    pub fn replace(&self, views: Vec<CheckView>, faults: Vec<Fault>) {
        *self.checks.write().unwrap_or_else(PoisonError::into_inner) =
            views.into_iter().map(|view| (view.name.clone(), Arc::new(view))).collect();
        self.faults.store(Arc::new(faults));
        self.announce(Changed::Site);
    }

    /// Shows faults of a configuration that was refused on reload, or that were found since.
    pub fn show_faults(&self, faults: Vec<Fault>) {
        self.faults.store(Arc::new(faults));
        self.announce(Changed::Site);
    }

    /// Shows these silences in place of all others. The engine calls this.
    pub fn show_silences(&self, silences: BTreeMap<SilenceId, Silence>) {
        self.silences.store(Arc::new(silences));
        self.announce(Changed::Site);
    }

    /// Shows an agent. The hub's fleet calls this, the engine itself knows no agents.
    pub fn put_agent(&self, view: AgentView) {
        let id = view.id.clone();
        let mut agents = self.agents.write().unwrap_or_else(PoisonError::into_inner);
        agents.insert(id.clone(), Arc::new(view));
        agents.sort_keys();
        drop(agents);
        self.announce(Changed::Agent(id));
    }

    /// Shows an agent no longer.
    pub fn remove_agent(&self, id: &AgentId) {
        self.agents.write().unwrap_or_else(PoisonError::into_inner).shift_remove(id);
        self.announce(Changed::Agent(id.clone()));
    }

    fn announce(&self, changed: Changed) {
        // After the change: whoever reads in between keeps the old number and reads again.
        self.version.fetch_add(1, Ordering::AcqRel);
        // No reader is no error.
        _ = self.changes.send(changed);
    }
}

impl Default for Board {
    fn default() -> Self {
        Self {
            checks: RwLock::default(),
            agents: RwLock::default(),
            faults: ArcSwap::default(),
            silences: ArcSwap::default(),
            changes: broadcast::channel(BEHIND).0,
            again: watch::channel(0).0,
            version: AtomicU64::new(0),
        }
    }
}
