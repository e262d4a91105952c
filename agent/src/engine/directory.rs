//! Which check a message from elsewhere is about.

use std::collections::HashMap;

use fletchck_shared::{AgentId, CheckName, config::Check};

use crate::store::RemoteRow;

/// Which check a message is about.
#[derive(Debug, Default)]
pub(super) struct Directory {
    /// By agent and the name there.
    pub(super) by_agent: HashMap<(AgentId, String), CheckName>,
    /// By the name on version 1 topics.
    pub(super) by_id: HashMap<String, CheckName>,
}

impl Directory {
    /// Enters a remote check. `configured`: its owner wrote it into the file, so that its name, and its remoteId before
    /// it, stand for it on version 1 topics.
    pub(super) fn enter(&mut self, name: &CheckName, check: &Check, row: &RemoteRow) {
        let id = row.remote_id.as_deref().or(check.remote_id.as_deref());
        if let Some(agent) = &row.agent {
            let there = id.unwrap_or(name.as_str()).to_owned();
            self.by_agent.insert((agent.clone(), there), name.clone());
        }
        if !row.added || row.agent.is_none() {
            self.by_id.entry(name.as_str().to_owned()).or_insert_with(|| name.clone());
            if let Some(id) = id {
                self.by_id.insert(id.to_owned(), name.clone());
            }
        }
    }

    /// Strikes a check out.
    pub(super) fn strike(&mut self, name: &CheckName) {
        self.by_agent.retain(|_, entered| entered != name);
        self.by_id.retain(|_, entered| entered != name);
    }
}
