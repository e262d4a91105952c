//! The durable queue between transitions and actions: each action has a worker of its own, which tells the oldest
//! delivery first, tries again with growing pauses, and never holds up another.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use fletchck_shared::{ActionName, config};
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    actions::{self, Action, Notice, TellError},
    chain,
    store::Store,
};

/// Pause after the first failure to tell; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Most alerts of one action that wait without being stored.
const UNSTORED: usize = 1000;

/// The workers of all actions.
#[derive(Debug)]
pub struct Delivery {
    store: Store,
    stop: CancellationToken,
    workers: HashMap<ActionName, Worker>,
}

#[derive(Debug)]
struct Worker {
    configured: config::Action,
    stop: CancellationToken,
    unstored: Arc<Unstored>,
}

/// What is told although it could not be stored, in order. It outlives a worker whose action is configured otherwise.
#[derive(Debug, Default)]
struct Unstored {
    notices: Mutex<VecDeque<Notice>>,
    added: Notify,
}

impl Delivery {
    /// Starts a worker for every action. They end with the token.
    pub fn start(
        actions: &IndexMap<ActionName, config::Action>,
        store: Store,
        stop: CancellationToken,
    ) -> Self {
        let mut delivery = Self { store, stop, workers: HashMap::new() };
        delivery.take_over(actions);
        delivery
    }

    /// Makes these the actions. One that did not change goes on as it is.
    pub fn take_over(&mut self, actions: &IndexMap<ActionName, config::Action>) {
        let mut left = HashMap::new();
        self.workers.retain(|name, worker| {
            let stays = actions.get(name) == Some(&worker.configured);
            if !stays {
                worker.stop.cancel();
                left.insert(name.clone(), worker.unstored.clone());
            }
            stays
        });
        for (name, configured) in actions {
            if !self.workers.contains_key(name) {
                self.employ(name, configured, left.remove(name).unwrap_or_default());
            }
        }
        for (name, unstored) in left {
            let lost = unstored.notices.lock().len();
            if lost > 0 {
                error!(action.name = %name, "{lost} alerts that were not stored are lost with their action");
            }
        }
    }

    /// Tells what could not be stored, as well as can be: it is lost if the process ends before.
    pub fn tell_unstored(&self, action: &ActionName, notice: Notice) {
        let Some(worker) = self.workers.get(action) else {
            error!(action.name = %action, "an alert is lost: its action does not run");
            return;
        };
        let mut notices = worker.unstored.notices.lock();
        if notices.len() >= UNSTORED {
            notices.pop_front();
            error!(action.name = %action, "an alert is lost: more than {UNSTORED} wait that could not be stored");
        }
        notices.push_back(notice);
        drop(notices);
        worker.unstored.added.notify_one();
    }

    fn employ(&mut self, name: &ActionName, configured: &config::Action, unstored: Arc<Unstored>) {
        let kind = actions::kind(&configured.kind);
        let Some(action) = kind.and_then(|kind| kind.action(&configured.options).0) else {
            error!(action.name = %name, "its options were accepted, but it cannot be built; please report this");
            return;
        };
        let stop = self.stop.child_token();
        let work = Work {
            name: name.clone(),
            action,
            store: self.store.clone(),
            unstored: unstored.clone(),
        };
        let until = stop.clone();
        tokio::spawn(async move {
            until.run_until_cancelled(work.go_on()).await;
        });
        let worker = Worker { configured: configured.clone(), stop, unstored };
        self.workers.insert(name.clone(), worker);
    }
}

struct Work {
    name: ActionName,
    action: Arc<dyn Action>,
    store: Store,
    unstored: Arc<Unstored>,
}

impl Work {
    async fn go_on(self) {
        let stored = self.store.delivery_stored();
        loop {
            // Asked for before looking, so that nothing stored in between is slept over.
            let woken = stored.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match self.store.next_delivery(&self.name).await {
                Ok(Some(pending)) => {
                    self.tell(&pending.notice, pending.tries, Some(pending.id)).await;
                    continue;
                }
                Ok(None) => {}
                Err(reason) => {
                    error!(action.name = %self.name, error = chain(&reason), "what is to be told cannot be read");
                    self.tell_unstored().await;
                    tokio::time::sleep(FIRST_PAUSE).await;
                    continue;
                }
            }
            self.tell_unstored().await;
            tokio::select! {
                () = woken => {}
                () = self.unstored.added.notified() => {}
            }
        }
    }

    async fn tell_unstored(&self) {
        loop {
            // It stays where it is until it is told: this worker may be replaced in between.
            let Some(notice) = self.unstored.notices.lock().front().cloned() else { return };
            self.tell(&notice, 0, None).await;
            self.unstored.notices.lock().pop_front();
        }
    }

    async fn tell(&self, notice: &Notice, mut tries: u32, id: Option<i64>) {
        loop {
            let failure = self.action.tell(notice).await.err();
            let dead = failure.as_ref().filter(|failure| failure.permanent);
            let done = failure.is_none() || dead.is_some();
            if let Some(TellError { text, .. }) = &failure {
                warn!(
                    action.name = %self.name, check.name = %notice.check,
                    "alert for `{}` not sent, {}: {text}",
                    notice.check,
                    if done { "and given up" } else { "trying again" },
                );
            }
            if let Some(id) = id {
                let noted = match &failure {
                    None => self.store.delivered(id).await,
                    Some(_) => {
                        self.store.not_delivered(id, dead.map(|dead| dead.text.clone())).await
                    }
                };
                if let Err(reason) = noted {
                    error!(action.name = %self.name, error = chain(&reason), "a delivery cannot be noted");
                    // It would be told again at once, and again.
                    tokio::time::sleep(pause(tries)).await;
                }
            }
            if done {
                return;
            }
            tokio::time::sleep(pause(tries)).await;
            tries = tries.saturating_add(1);
        }
    }
}

/// The pause after so many failures, with jitter so that a fleet does not come back as one.
fn pause(tries: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}
