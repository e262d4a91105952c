//! Which agents live. Pure: what was heard of them goes in with its time, and what follows comes out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use fletchck_agent::{engine::AgentView, link::BACK_WITHIN};
use fletchck_shared::{AgentId, wire::Info};

use super::presence::Presence;

/// What follows for others.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Show the agent so.
    Show(AgentView),
    /// Show it no longer.
    Hide(AgentId),
    /// Its checks are stale, and why.
    Silent(AgentId, String),
    /// Its labels are these.
    Labels(AgentId, BTreeMap<String, String>),
    /// Its presence changed.
    Tell(AgentId, Presence, DateTime<Utc>),
}

/// What a status or info message says beside its payload.
#[derive(Clone, Copy, Debug)]
pub struct Spoken {
    /// When it was heard.
    pub at: DateTime<Utc>,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// The connection it belongs to, by the agent's clock, where it says so.
    pub connected: Option<DateTime<Utc>>,
}

/// The agents of a fleet.
#[derive(Debug)]
pub struct Agents {
    agents: HashMap<AgentId, Agent>,
    /// When agents that are away count as gone, in order.
    due: BTreeMap<(DateTime<Utc>, AgentId), ()>,
    grace: Duration,
    max: usize,
}

#[derive(Debug)]
struct Agent {
    view: AgentView,
    /// The newest connection that was heard of, by the agent's clock.
    connected: Option<DateTime<Utc>>,
    /// When it counts as gone.
    due: Option<DateTime<Utc>>,
    /// Since when it is not known to live.
    doubted: Option<DateTime<Utc>>,
    /// When it, or the broker about it, was heard last.
    heard: Option<DateTime<Utc>>,
    /// When it was last heard of as living.
    lived: Option<DateTime<Utc>>,
    /// Whether its labels were told since this hub started.
    labelled: bool,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Here,
    Away,
}

impl Agents {
    /// No agents yet. `max`: how many there may be; `grace`: how long one may be away before that is told.
    pub fn new(grace: Duration, max: usize) -> Self {
        Self { agents: HashMap::new(), due: BTreeMap::new(), grace, max }
    }

    /// Takes over another grace period and another bound, from the next agent that goes or comes on.
    pub fn limit(&mut self, grace: Duration, max: usize) {
        (self.grace, self.max) = (grace, max);
    }

    /// Agents that this hub knew before it started. Whether they live is not known; those that do not come within the time
    /// that they have to are missing.
    pub fn expect(
        &mut self,
        known: impl IntoIterator<Item = AgentId>,
        now: DateTime<Utc>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for id in known {
            if self.agents.contains_key(&id) || !self.room() {
                continue;
            }
            let agent =
                self.agents.entry(id.clone()).or_insert_with(|| Agent::new(id.clone(), now));
            effects.push(Effect::Show(agent.view.clone()));
            self.set_due(&id, now, self.patience());
        }
        effects
    }

    /// The broker came back then, and what was heard before says nothing of who is connected now. Those that are not heard of
    /// within the time that they have to come back are away.
    pub fn doubt(&mut self, since: DateTime<Utc>) {
        let open = |agent: &&mut Agent| {
            let settled = agent.heard.is_some_and(|heard| heard >= since) && agent.settled(since);
            (agent.view.online || agent.due.is_some()) && !settled
        };
        let doubted = self.agents.values_mut().filter(open).map(|agent| {
            if std::mem::take(&mut agent.view.online) {
                agent.view.since = since;
            }
            agent.view.id.clone()
        });
        let doubted: Vec<_> = doubted.collect();
        for id in doubted {
            self.set_due(&id, since, self.patience());
        }
    }

    /// How long agents have to come back after this hub or its broker was away. All of them may have begun their longest
    /// wait just then.
    fn patience(&self) -> Duration {
        self.grace.max(BACK_WITHIN)
    }

    /// A birth or a death. `None`: there are more agents than may be.
    pub fn status(&mut self, id: &AgentId, online: bool, spoken: Spoken) -> Option<Vec<Effect>> {
        let agent = self.agent(id, spoken.at)?;
        agent.heard = Some(spoken.at);
        // Of an older connection, delivered late. A birth that was spoken just now is never that: where its time is
        // an older one, the agent's clock was set back.
        let birth = online && !spoken.retained;
        if !birth && agent.newer_than(spoken.connected) {
            return Some(Vec::new());
        }
        let known = spoken.connected.is_some() && spoken.connected == agent.connected;
        agent.connected = spoken.connected.or(agent.connected);
        Some(if online { self.arrive(id, spoken.at) } else { self.leave(id, spoken, known) })
    }

    /// Who an agent says it is. `None`: there are more agents than may be.
    pub fn info(&mut self, id: &AgentId, info: Info, spoken: Spoken) -> Option<Vec<Effect>> {
        let agent = self.agent(id, spoken.at)?;
        if spoken.retained && agent.newer_than(info.connected) {
            return Some(Vec::new());
        }
        agent.connected = info.connected.or(agent.connected);
        // What the broker kept says nothing of the clock now.
        if let Some(clock) = info.clock.filter(|_| !spoken.retained) {
            agent.view.clock_ahead = Some((clock - spoken.at).num_seconds());
        }
        let labels = (!std::mem::replace(&mut agent.labelled, true)
            || agent.view.info.labels != info.labels)
            .then(|| Effect::Labels(id.clone(), info.labels.clone()));
        agent.view.info = info;
        // The labels come first: what is told next may be silenced by them.
        Some(labels.into_iter().chain([Effect::Show(agent.view.clone())]).collect())
    }

    /// A message that an agent sent just now, about something it saw at `seen` by its own clock: it lives, whatever was heard
    /// of its death. What it saw before that proves nothing: a broker keeps messages for a hub that was away.
    pub fn spoke(
        &mut self,
        id: &AgentId,
        seen: Option<DateTime<Utc>>,
        at: DateTime<Utc>,
    ) -> Vec<Effect> {
        match self.agents.get_mut(id) {
            Some(agent) if agent.view.online => {
                (agent.heard, agent.lived) = (Some(at), Some(at));
                Vec::new()
            }
            Some(agent) if agent.gone_since(seen) => Vec::new(),
            _ => match self.agent(id, at) {
                Some(_) => self.arrive(id, at),
                None => Vec::new(),
            },
        }
    }

    /// Forgets an agent.
    pub fn forget(&mut self, id: &AgentId) -> Vec<Effect> {
        match self.agents.remove(id) {
            Some(agent) => {
                if let Some(due) = agent.due {
                    self.due.remove(&(due, id.clone()));
                }
                vec![Effect::Hide(id.clone()), Effect::Labels(id.clone(), BTreeMap::new())]
            }
            None => Vec::new(),
        }
    }

    /// When [`Agents::tick`] has something to do.
    pub fn next(&self) -> Option<DateTime<Utc>> {
        self.due.keys().next().map(|(due, _)| *due)
    }

    /// Tells of the agents whose grace period is over.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(entry) = self.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((_, id), ()) = entry.remove_entry();
            let Some(agent) = self.agents.get_mut(&id) else { continue };
            agent.due = None;
            let since = agent.view.since;
            let presence = match agent.told {
                Told::Nothing => Presence::Missing(since),
                Told::Here | Told::Away => Presence::Away(since),
            };
            let first = agent.told != Told::Away;
            agent.told = Told::Away;
            // After a doubt nobody was told yet.
            effects.push(Effect::Show(agent.view.clone()));
            effects.push(Effect::Silent(id.clone(), format!("{id} is away")));
            if first {
                effects.push(Effect::Tell(id, presence, now));
            }
        }
        effects
    }

    fn arrive(&mut self, id: &AgentId, at: DateTime<Utc>) -> Vec<Effect> {
        let Some(agent) = self.agents.get_mut(id) else { return Vec::new() };
        if let Some(due) = agent.due.take() {
            self.due.remove(&(due, id.clone()));
        }
        (agent.heard, agent.lived) = (Some(at), Some(at));
        if !agent.view.online {
            agent.view.online = true;
            agent.view.since = at;
        }
        let mut effects = vec![Effect::Show(agent.view.clone())];
        if agent.told != Told::Here {
            let again = agent.told == Told::Away;
            agent.told = Told::Here;
            effects.push(Effect::Tell(id.clone(), Presence::Here { again }, at));
        }
        effects
    }

    /// `known`: its connection was heard of before, so where the agent was not heard since an outage, that ended it.
    fn leave(&mut self, id: &AgentId, spoken: Spoken, known: bool) -> Vec<Effect> {
        let Spoken { at, retained, .. } = spoken;
        let grace = self.grace;
        let Some(agent) = self.agents.get_mut(id) else { return Vec::new() };
        // One that has longer to come back, as its broker was away, was there by now if it dies just now.
        let sooner = |due| !retained && !known && at + grace < due;
        let waited = agent.told == Told::Away || agent.due.is_some_and(|due| !sooner(due));
        if !agent.view.online && waited {
            return Vec::new();
        }
        agent.view.online = false;
        agent.view.since = at;
        // One that is first heard of as dead was here once.
        if agent.told == Told::Nothing {
            agent.told = Told::Here;
        }
        let effects = vec![Effect::Show(agent.view.clone())];
        self.set_due(id, at, grace);
        effects
    }

    fn set_due(&mut self, id: &AgentId, from: DateTime<Utc>, time: Duration) {
        if let Some(agent) = self.agents.get_mut(id) {
            agent.doubted = Some(from);
            let due = from + time;
            if let Some(old) = agent.due.replace(due) {
                self.due.remove(&(old, id.clone()));
            }
            self.due.insert((due, id.clone()), ());
        }
    }

    fn agent(&mut self, id: &AgentId, at: DateTime<Utc>) -> Option<&mut Agent> {
        if !self.agents.contains_key(id) && !self.room() {
            return None;
        }
        Some(self.agents.entry(id.clone()).or_insert_with(|| Agent::new(id.clone(), at)))
    }

    fn room(&self) -> bool {
        self.agents.len() < self.max
    }
}

impl Agent {
    fn new(id: AgentId, at: DateTime<Utc>) -> Self {
        let info = Info::default();
        let view = AgentView { id, online: false, since: at, info, clock_ahead: None };
        Self {
            view,
            connected: None,
            due: None,
            doubted: None,
            heard: None,
            lived: None,
            labelled: false,
            told: Told::Nothing,
        }
    }

    /// Whether what was heard of it once the broker was back says how it stands. A death does not where the agent was there
    /// before the outage: a broker that stops tells of the deaths of all, at once or once it is back.
    fn settled(&self, since: DateTime<Utc>) -> bool {
        let died_since = self.doubted.is_none_or(|doubted| doubted >= since);
        self.view.online || (died_since && self.lived.is_none_or(|lived| lived >= since))
    }

    /// Whether it was gone, as far as is known, after it saw this.
    fn gone_since(&self, seen: Option<DateTime<Utc>>) -> bool {
        let ahead = TimeDelta::seconds(self.view.clock_ahead.unwrap_or_default());
        let seen = seen.and_then(|seen| seen.checked_sub_signed(ahead));
        seen.zip(self.doubted).is_some_and(|(seen, doubted)| seen < doubted)
    }

    /// Whether a newer connection than this one is known. A death tells the time of its connection in microseconds; what is
    /// below them in `info` makes no newer connection.
    fn newer_than(&self, connected: Option<DateTime<Utc>>) -> bool {
        let micros = |at: DateTime<Utc>| at.timestamp_micros();
        connected.zip(self.connected).is_some_and(|(this, newest)| micros(this) < micros(newest))
    }
}

#[cfg(test)]
mod tests;
