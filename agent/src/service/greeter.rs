//! What this site says of itself at the beginning of a session with a broker.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use fletchck_shared::{AgentId, State, topic::Topic, wire::Message};
use tokio::sync::watch;

use crate::{
    engine::{Board, CheckView, Publishing},
    link::{self, Greeting, Publication},
};

/// Says who this site is and how its checks stand.
pub struct Greeter {
    /// Who this site is in the fleet, as the configuration has it now.
    pub who: Arc<ArcSwap<link::Identity>>,
    pub(super) board: Arc<Board>,
    /// How states are published.
    pub publishing: Publishing,
}

impl Greeting for Greeter {
    fn birth(&self, connected: DateTime<Utc>, _session_present: bool) -> Vec<Publication> {
        if self.publishing.fleet {
            self.who.load().birth(connected, Utc::now())
        } else {
            Vec::new()
        }
    }

    fn states(&self, session_present: bool) -> Vec<Publication> {
        // A broker that kept the session kept what was retained as well, and the outbox holds the rest.
        if session_present {
            return Vec::new();
        }
        let ran = |view: &Arc<CheckView>| view.state != State::default();
        let views = self.board.checks();
        let members: HashSet<_> = views.iter().flat_map(|view| view.members.clone()).collect();
        let alerts = |view: &CheckView| !view.actions.is_empty() || !members.contains(&view.name);
        let ran = views.iter().filter(|view| ran(view));
        ran.flat_map(|view| self.state(view, alerts(view))).collect()
    }

    fn again(&self) -> watch::Receiver<u64> {
        self.board.to_say_again()
    }
}

impl Greeter {
    fn state(&self, view: &CheckView, alerts: bool) -> Vec<Publication> {
        let remote = view.kind == "remote";
        let kind = view.sub_kind.as_deref().filter(|_| remote).unwrap_or(&view.kind);
        let who = self.who.load();
        let agent: &AgentId = &who.agent;
        let payload = Message::write(Some(agent), &view.name, kind, &view.state, alerts, view.zone);
        let publication = |topic: &Topic, qos, retain| Publication {
            topic: topic.as_str().into(),
            payload: payload.clone().into(),
            qos,
            retain,
            connected: None,
        };
        let rules = &self.publishing;
        let mut all = Vec::new();
        // What the broker does not keep is news, and this is none.
        if let Some(topic) = view.publish.as_ref().filter(|_| rules.retain) {
            all.push(publication(topic, rules.qos, true));
        }
        if rules.fleet && !remote {
            all.push(publication(&Topic::check(&who.prefix, agent, &view.name), 1, true));
        }
        all
    }
}
