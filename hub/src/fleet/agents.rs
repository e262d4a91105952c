//! Which agents live. Pure: what was heard of them goes in with its time, and what follows comes out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use fletchck_agent::engine::AgentView;
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

    /// Agents that this hub knew before it started. Whether they live is not known; those that do not come within the
    /// grace period are missing.
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
            self.set_due(&id, now);
        }
        effects
    }

    /// The broker was away, and its word that agents are connected with it. Those that do not speak within the grace
    /// period are missing.
    pub fn doubt(&mut self, now: DateTime<Utc>) {
        let online = self.agents.values().filter(|agent| agent.view.online);
        let online: Vec<_> = online.map(|agent| agent.view.id.clone()).collect();
        for id in online {
            if let Some(agent) = self.agents.get_mut(&id) {
                agent.view.online = false;
            }
            self.set_due(&id, now);
        }
    }

    /// A birth or a death. `None`: there are more agents than may be.
    pub fn status(&mut self, id: &AgentId, online: bool, spoken: Spoken) -> Option<Vec<Effect>> {
        let agent = self.agent(id, spoken.at)?;
        // Of an older connection, delivered late. A birth that was spoken just now is never that: where its time is
        // an older one, the agent's clock was set back.
        let birth = online && !spoken.retained;
        if !birth && agent.newer_than(spoken.connected) {
            return Some(Vec::new());
        }
        agent.connected = spoken.connected.or(agent.connected);
        Some(if online { self.arrive(id, spoken.at) } else { self.leave(id, spoken.at) })
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
        agent.view.info = info;
        Some(vec![Effect::Show(agent.view.clone())])
    }

    /// A message that an agent sent just now: it lives, whatever was heard of its death.
    pub fn spoke(&mut self, id: &AgentId, at: DateTime<Utc>) -> Vec<Effect> {
        match self.agents.get(id) {
            Some(agent) if agent.view.online => Vec::new(),
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
                vec![Effect::Hide(id.clone())]
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

    fn leave(&mut self, id: &AgentId, at: DateTime<Utc>) -> Vec<Effect> {
        let Some(agent) = self.agents.get_mut(id) else { return Vec::new() };
        if !agent.view.online && (agent.due.is_some() || agent.told == Told::Away) {
            return Vec::new();
        }
        agent.view.online = false;
        agent.view.since = at;
        // One that is first heard of as dead was here once.
        if agent.told == Told::Nothing {
            agent.told = Told::Here;
        }
        let effects = vec![Effect::Show(agent.view.clone())];
        self.set_due(id, at);
        effects
    }

    fn set_due(&mut self, id: &AgentId, from: DateTime<Utc>) {
        if let Some(agent) = self.agents.get_mut(id) {
            let due = from + self.grace;
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
        Self { view, connected: None, due: None, told: Told::Nothing }
    }

    /// Whether a newer connection than this one is known.
    fn newer_than(&self, connected: Option<DateTime<Utc>>) -> bool {
        connected.zip(self.connected).is_some_and(|(this, newest)| this < newest)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn id(text: &str) -> AgentId {
        AgentId::try_from(text).expect("an id")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn live(seconds: i64, connected: impl Into<Option<i64>>) -> Spoken {
        Spoken { at: at(seconds), retained: false, connected: connected.into().map(at) }
    }

    fn agents() -> Agents {
        Agents::new(Duration::from_secs(30), 3)
    }

    /// Effects in short: `+nas` shown online, `-nas` shown offline, `!nas` silent, and what is told.
    fn short(effects: impl IntoIterator<Item = Effect>) -> String {
        let word = |effect| match effect {
            Effect::Show(view) => format!("{}{}", if view.online { '+' } else { '-' }, view.id),
            Effect::Hide(id) => format!("x{id}"),
            Effect::Silent(id, _) => format!("!{id}"),
            Effect::Tell(_, Presence::Here { again: false }, _) => "here".into(),
            Effect::Tell(_, Presence::Here { again: true }, _) => "back".into(),
            Effect::Tell(_, Presence::Away(since), _) => format!("away@{}", since.timestamp()),
            Effect::Tell(_, Presence::Missing(since), _) => {
                format!("missing@{}", since.timestamp())
            }
        };
        effects.into_iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn status(agents: &mut Agents, online: bool, spoken: Spoken) -> String {
        short(agents.status(&id("nas"), online, spoken).expect("room"))
    }

    #[test]
    fn an_agent_is_away_once_its_grace_is_over_and_back_at_its_birth() {
        let mut agents = agents();
        assert_eq!(status(&mut agents, true, live(0, 0)), "+nas here");
        assert_eq!(status(&mut agents, false, live(100, 0)), "-nas");
        assert_eq!(agents.next(), Some(at(130)));
        assert_eq!(short(agents.tick(at(129))), "");
        assert_eq!(short(agents.tick(at(130))), "!nas away@100");
        assert_eq!(agents.next(), None);
        assert_eq!(status(&mut agents, false, live(150, 0)), "", "it is known to be away");
        assert_eq!(status(&mut agents, true, live(200, 200)), "+nas back");
    }

    #[test]
    fn a_short_absence_is_told_to_nobody() {
        let mut agents = agents();
        status(&mut agents, true, live(0, 0));
        status(&mut agents, false, live(100, 0));
        assert_eq!(status(&mut agents, true, live(110, 110)), "+nas");
        assert_eq!(short(agents.tick(at(1000))), "");
    }

    #[test]
    fn the_death_of_an_older_connection_is_ignored() {
        let mut agents = agents();
        status(&mut agents, true, live(0, 0));
        // The new connection's birth overtakes the old one's death.
        assert_eq!(status(&mut agents, true, live(60, 60)), "+nas");
        assert_eq!(status(&mut agents, false, live(61, 0)), "");
        assert_eq!(agents.next(), None);
        // Info alone says it as well.
        let info = Info { connected: Some(at(90)), ..Info::default() };
        agents.info(&id("nas"), info, live(90, None)).expect("room");
        assert_eq!(status(&mut agents, false, live(91, 60)), "");
        assert_eq!(status(&mut agents, false, live(92, 90)), "-nas");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_an_agent_dead() {
        let mut agents = agents();
        status(&mut agents, true, live(0, 5000));
        status(&mut agents, false, live(10, 5000));
        assert_eq!(status(&mut agents, true, live(20, 20)), "+nas");
        assert_eq!(status(&mut agents, false, live(30, 20)), "-nas");
    }

    #[test]
    fn a_death_without_a_time_counts_and_life_after_it_does_too() {
        let mut agents = agents();
        status(&mut agents, true, live(0, None));
        assert_eq!(status(&mut agents, false, live(10, None)), "-nas");
        assert_eq!(short(agents.spoke(&id("nas"), at(20))), "+nas");
        assert_eq!(short(agents.spoke(&id("nas"), at(21))), "");
        assert_eq!(agents.next(), None);
    }

    #[test]
    fn agents_known_before_the_start_are_missing_unless_they_come() {
        let mut agents = agents();
        assert_eq!(short(agents.expect([id("nas"), id("pi")], at(0))), "-nas -pi");
        assert_eq!(status(&mut agents, true, live(5, 5)), "+nas here");
        assert_eq!(short(agents.tick(at(30))), "!pi missing@0");
    }

    #[test]
    fn a_retained_death_heard_at_the_start_is_told_as_one() {
        let mut agents = agents();
        let spoken = Spoken { retained: true, ..live(0, -500) };
        assert_eq!(status(&mut agents, false, spoken), "-nas");
        assert_eq!(short(agents.tick(at(30))), "!nas away@0");
    }

    #[test]
    fn the_clock_is_compared_only_while_the_message_is_fresh() {
        let mut agents = agents();
        let info = Info { clock: Some(at(170)), host: "nas.lan".into(), ..Info::default() };
        let clock = |effects: Option<Vec<Effect>>| match effects.as_deref() {
            Some([Effect::Show(view)]) => view.clock_ahead,
            other => panic!("{other:?}"),
        };
        let retained = Spoken { retained: true, ..live(50, None) };
        assert_eq!(clock(agents.info(&id("nas"), info.clone(), retained)), None);
        assert_eq!(clock(agents.info(&id("nas"), info, live(50, None))), Some(120));
    }

    #[test]
    fn there_are_no_more_agents_than_may_be_and_a_forgotten_one_makes_room() {
        let mut agents = agents();
        for name in ["a", "b", "c"] {
            assert!(agents.status(&id(name), true, live(0, 0)).is_some());
        }
        assert!(agents.status(&id("d"), true, live(0, 0)).is_none());
        assert!(agents.info(&id("d"), Info::default(), live(0, 0)).is_none());
        assert_eq!(short(agents.spoke(&id("d"), at(1))), "");
        agents.status(&id("a"), false, live(1, 0));
        assert_eq!(short(agents.forget(&id("a"))), "xa");
        assert_eq!(agents.next(), None);
        assert!(agents.status(&id("d"), true, live(0, 0)).is_some());
    }
}
