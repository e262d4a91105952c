//! What is published of a check.

use fletchck_shared::{CheckName, topic::Topic, wire::Message};

use super::core::Core;
use crate::{checks::Plan, store::OutgoingRow};

impl Core {
    /// Queues the state of a check for the topics it is published to. `keep`: it must arrive, as a transition must.
    pub(super) fn publish(&mut self, name: &CheckName, keep: bool) {
        let Some(rules) = self.identity.publish.clone() else { return };
        let Some(entry) = self.entries.get(name) else { return };
        let local = !matches!(entry.plan, Plan::Remote { .. });
        let fleet = rules.fleet && local;
        if !fleet && entry.check.publish.is_none() {
            return;
        }
        let agent = &self.identity.agent;
        let alerts = !entry.check.actions.is_empty() || !self.members.contains(name);
        let (kind, state) = (entry.shown_kind(), &entry.state);
        let payload = Message::write(Some(agent), name, kind, state, alerts, entry.zone);
        if let Some(topic) = &entry.check.publish {
            self.batch.outgoing.push(OutgoingRow {
                topic: topic.as_str().into(),
                payload: payload.clone(),
                qos: rules.qos,
                retain: rules.retain,
                keep: keep && rules.qos > 0,
            });
        }
        if fleet {
            self.batch.outgoing.push(OutgoingRow {
                topic: Topic::check(&self.identity.prefix, agent, name).as_str().into(),
                payload,
                qos: 1,
                retain: true,
                keep,
            });
        }
    }

    /// Queues the clearing of a topic, so that nothing of what is gone stays with the broker.
    pub(super) fn clear(&mut self, topic: &str) {
        if self.identity.publish.is_none() {
            return;
        }
        self.batch.outgoing.push(OutgoingRow {
            topic: topic.into(),
            payload: Vec::new(),
            qos: 1,
            retain: true,
            keep: true,
        });
    }

    /// Queues the clearing of everything that a check was published to.
    pub(super) fn clear_check(&mut self, name: &CheckName) {
        let Some(entry) = self.entries.get(name) else { return };
        let topic = entry.check.publish.clone();
        let local = !matches!(entry.plan, Plan::Remote { .. });
        let heard = entry.remote.clone().filter(|row| row.added);
        if let Some(topic) = topic {
            self.clear(topic.as_str());
        }
        if local && self.identity.publish.as_ref().is_some_and(|rules| rules.fleet) {
            let topic = Topic::check(&self.identity.prefix, &self.identity.agent, name);
            self.clear(topic.as_str());
        }
        let Some(row) = heard else { return };
        if let Some(topic) = row.topic {
            self.clear(&topic);
        }
        if let (Some(agent), Some(id)) = (row.agent, row.remote_id)
            && let Ok(id) = CheckName::try_from(id)
        {
            self.clear(Topic::check(&self.identity.prefix, &agent, &id).as_str());
        }
    }
}
