//! What recipients were to be told who are no more: the first of those there are hears of it, once nobody is telling the
//! others any more.

use std::sync::Arc;

use fletchck_shared::ActionName;
use tracing::{error, warn};

use super::{Office, Roster, memory::UNSTORED};
use crate::chain;

/// A worker that has not ended yet. Until then nobody else tells what is meant for its group.
#[derive(Debug)]
pub(super) struct Busy {
    roster: Arc<Roster>,
    action: ActionName,
    group: String,
}

/// What is adopted, and by whom.
struct Adoption {
    /// The groups there are.
    groups: Vec<String>,
    /// Those whose workers have not ended.
    busy: Vec<String>,
    /// Unstored alerts that are lost for it.
    lost: usize,
}

/// Has the first group of an action hear what groups were to hear that it no longer has.
pub(super) async fn adopt(action: &ActionName, office: &Office, roster: &Roster) {
    let Some(Adoption { groups, busy, lost }) = roster.adopt(action) else { return };
    if lost > 0 {
        error!(action.name = %action, "{lost} alerts are lost: more than {UNSTORED} wait that could not be stored");
    }
    let moved = office.store.regroup_deliveries(action, groups, busy).await;
    let mut unadopted = roster.unadopted.lock();
    match moved {
        Ok(_) => unadopted.remove(action),
        Err(_) => unadopted.insert(action.clone()),
    };
    drop(unadopted);
    match moved {
        Ok(0) => {}
        Ok(moved) => {
            warn!(action.name = %action, "{moved} alerts for recipients who are no more are told to the first of those there are");
        }
        Err(reason) => {
            error!(action.name = %action, error = chain(&reason), "what recipients who are no more were to be told cannot be told to others yet");
        }
    }
}

impl Roster {
    /// A worker of this group begins, or waits to begin.
    pub(super) fn begin(self: &Arc<Self>, action: &ActionName, group: &str) -> Busy {
        let busy = Busy { roster: self.clone(), action: action.clone(), group: group.to_owned() };
        *self.busy.lock().entry((action.clone(), group.to_owned())).or_default() += 1;
        busy
    }

    /// Has the first group of an action take over what is left of others. `None`: the action does not run.
    fn adopt(&self, action: &ActionName) -> Option<Adoption> {
        let desks = self.desks.lock();
        let groups = &desks.get(action)?.groups;
        let first = groups.values().next()?;
        let busy = self.busy.lock();
        let is_busy = |group: &String| busy.contains_key(&(action.clone(), group.clone()));
        let mut left = self.left.lock();
        let mut lost = 0;
        if let Some(left) = left.get_mut(action) {
            left.retain(|group, memory| {
                let stays = is_busy(group);
                if !stays {
                    lost += first.take_over(memory);
                }
                stays
            });
        }
        let busy = busy.keys().filter(|(other, _)| other == action);
        let busy = busy.map(|(_, group)| group.clone()).collect();
        Some(Adoption { groups: groups.keys().cloned().collect(), busy, lost })
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let key = (self.action.clone(), self.group.clone());
        let mut busy = self.roster.busy.lock();
        if let Some(workers) = busy.get_mut(&key) {
            *workers -= 1;
            if *workers == 0 {
                busy.remove(&key);
            }
        }
    }
}
