//! What a hub hears of its fleet, from the link to a broker and from the embedded one, judged and handed to the engine.
//!
//! ```text
//! link (Arrived) ┐                 ┌ state of a check ──────────────────────────> engine
//! tap  (Heard)   ┴─> judge (pure) ─┤ birth, death, info -> agents (pure) -> board, engine
//!                                  └ anything else: told, and left
//! ```

mod agents;
mod announce;
mod judge;
pub mod presence;
mod rejections;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fletchck_agent::engine::{Handle, Heard, Ping, Refused, Request};
use fletchck_agent::link::Arrived;
use fletchck_agent::stay::stay;
use fletchck_shared::{AgentId, topic};
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub use agents::{Agents, Effect, Spoken};
pub use announce::{announce, take_leave};
pub use judge::{Judged, Rules, judge};
pub use presence::Presence;
use rejections::Rejections;

use crate::broker;

/// Messages handed to the engine at once.
const BATCH: usize = 256;

/// What a fleet is judged by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What messages are judged by.
    pub rules: Rules,
    /// Whether agents are shown and their presence is told: whether this site is a hub.
    pub hub: bool,
    /// How long an agent may be away before that is told.
    pub grace: Duration,
    /// Agents there may be.
    pub agents_max: usize,
    /// Whether the broker is away: nobody can be heard then, and nobody's silence counts.
    pub deaf: bool,
    /// When the broker came, or came back, last: what was heard before says nothing of who is connected now.
    pub broker_came: Option<DateTime<Utc>>,
}

/// A message, wherever it came from.
struct Message {
    topic: Arc<str>,
    payload: Bytes,
    spoken: Spoken,
}

impl Message {
    /// What a client of the embedded broker has published at this time. Empty and not retained clears nothing, and says
    /// nothing.
    fn tapped(heard: broker::Heard, at: DateTime<Utc>) -> Option<Self> {
        let broker::Heard { topic, payload, retain, .. } = heard;
        let spoken = Spoken { at, retained: false, connected: None };
        (!payload.is_empty() || retain).then_some(Self { topic, payload, spoken })
    }
}

impl From<Arrived> for Message {
    fn from(arrived: Arrived) -> Self {
        let Arrived { topic, payload, retained, connected, at } = arrived;
        Self { topic, payload, spoken: Spoken { at, retained, connected } }
    }
}

/// Starts hearing, with agents that are known from before the start. It ends with `stop`, or with the engine; a source that
/// ends is left.
///
/// A changed grace period or bound of agents counts for agents that go or come from then on.
pub fn spawn(
    settings: watch::Receiver<Arc<Settings>>,
    known: BTreeSet<AgentId>,
    engine: Handle,
    arrived: mpsc::Receiver<Arrived>,
    tap: mpsc::Receiver<broker::Heard>,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let now = settings.borrow().clone();
    let fleet = Fleet {
        agents: Agents::new(now.grace, now.agents_max),
        rejections: Rejections::default(),
        batch: Vec::with_capacity(BATCH),
        waiting: VecDeque::with_capacity(BATCH),
        known: Some(known),
        arrived: Some(arrived),
        tap: Some(tap),
        settings,
        now,
        engine,
    };
    tokio::spawn(async move {
        let hearing = stay("hearing the fleet", pending(), fleet, |fleet| fleet.hear().boxed());
        stop.run_until_cancelled(hearing).await;
    })
}

struct Fleet {
    settings: watch::Receiver<Arc<Settings>>,
    now: Arc<Settings>,
    engine: Handle,
    agents: Agents,
    rejections: Rejections,
    batch: Vec<Heard>,
    /// What has come and was not judged yet. Whatever happens over one of them, the others are judged.
    waiting: VecDeque<Message>,
    /// Agents from before the start, until they are expected.
    known: Option<BTreeSet<AgentId>>,
    /// Sources, until they end.
    arrived: Option<mpsc::Receiver<Arrived>>,
    tap: Option<mpsc::Receiver<broker::Heard>>,
}

impl Fleet {
    async fn hear(&mut self) {
        // The engine is gone, then, and with it the reason to hear.
        if let Err(refused) = self.run().await {
            tracing::debug!("nothing is heard any more: {refused}");
        }
    }

    async fn run(&mut self) -> Result<(), Refused> {
        if let Some(known) = self.known.take()
            && self.now.hub
        {
            let effects = self.agents.expect(known, Utc::now());
            self.carry_out(effects).await?;
        }
        let (mut from_link, mut from_tap) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        loop {
            while let Some(message) = self.waiting.pop_front() {
                self.take(message).await?;
            }
            self.flush().await?;
            let due = self.agents.next().filter(|_| !self.now.deaf);
            tokio::select! {
                count = receive(&mut self.arrived, &mut from_link) => {
                    if count == 0 {
                        self.arrived = None;
                    }
                    self.waiting.extend(from_link.drain(..).map(Message::from));
                }
                count = receive(&mut self.tap, &mut from_tap) => {
                    if count == 0 {
                        self.tap = None;
                    }
                    let at = Utc::now();
                    let tapped = from_tap.drain(..).filter_map(|heard| Message::tapped(heard, at));
                    self.waiting.extend(tapped);
                }
                () = sleep_until(instant(due)), if due.is_some() => {
                    let effects = self.agents.tick(Utc::now());
                    self.carry_out(effects).await?;
                }
                changed = self.settings.changed() => {
                    match changed {
                        Ok(()) => {
                            let before = std::mem::replace(
                                &mut self.now,
                                self.settings.borrow_and_update().clone(),
                            );
                            if let Some(came) = self.now.broker_came
                                && before.broker_came != Some(came)
                            {
                                self.agents.doubt(came);
                            }
                            self.agents.limit(self.now.grace, self.now.agents_max);
                        }
                        // Whoever could change them is gone: this site ends.
                        Err(_) => return Ok(()),
                    }
                }
            }
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), Refused> {
        let Message { topic, payload, spoken } = message;
        let judged = judge(&self.now.rules, &topic, &payload);
        let hub = self.now.hub;
        let effects = match judged {
            Judged::Check(message, agent) => {
                let effects = match &agent {
                    Some(agent) if hub && !spoken.retained => {
                        self.agents.spoke(agent, message.report.last_check, spoken.at)
                    }
                    _ => Vec::new(),
                };
                self.batch.push(Heard {
                    message: *message,
                    topic,
                    agent,
                    retained: spoken.retained,
                    at: spoken.at,
                });
                if self.batch.len() >= BATCH {
                    self.flush().await?;
                }
                Some(effects)
            }
            // A kept one was heard when it came, and says nothing about now.
            Judged::Push(..) if spoken.retained => {
                self.rejections.add(
                    &hidden(&self.now.rules, &topic),
                    "a report of a job must not be retained",
                );
                None
            }
            Judged::Push(key, signal, said) => {
                let ping = Ping { key, signal, said, at: spoken.at };
                if let Err(Refused::NoSuchPush) = self.push(ping).await? {
                    let topic = hidden(&self.now.rules, &topic);
                    self.rejections.add(&topic, &Refused::NoSuchPush.to_string());
                }
                None
            }
            Judged::Cleared => {
                self.flush().await?;
                self.ask(Request::Cleared(topic)).await?;
                None
            }
            Judged::Status(agent, online) if hub => {
                let effects = self.agents.status(&agent, online, spoken);
                self.bounded(&topic, effects)
            }
            Judged::Info(agent, info) if hub => {
                let effects = self.agents.info(&agent, *info, spoken);
                self.bounded(&topic, effects)
            }
            Judged::Forgotten(agent) if hub => Some(self.agents.forget(&agent)),
            Judged::Rejected(why) => {
                self.rejections.add(&hidden(&self.now.rules, &topic), &why);
                None
            }
            Judged::Status(..)
            | Judged::Info(..)
            | Judged::Forgotten(_)
            | Judged::Own
            | Judged::NotOurs => None,
        };
        match effects {
            Some(effects) if !effects.is_empty() => self.carry_out(effects).await,
            _ => Ok(()),
        }
    }

    fn bounded(&mut self, topic: &Arc<str>, effects: Option<Vec<Effect>>) -> Option<Vec<Effect>> {
        if effects.is_none() {
            let max = self.now.agents_max;
            self.rejections.add(topic, &format!("there are {max} agents already"));
        }
        effects
    }

    async fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), Refused> {
        for effect in effects {
            match effect {
                Effect::Show(view) => self.engine.board().put_agent(view),
                Effect::Hide(id) => self.engine.board().remove_agent(&id),
                Effect::Silent(id, why) => {
                    // What it said before comes first.
                    self.flush().await?;
                    self.ask(Request::Silent(id, why)).await?;
                }
                Effect::Labels(id, labels) => self.ask(Request::Labels(id, labels)).await?,
                Effect::Tell(id, presence, at) => {
                    let Rules { prefix, zone, .. } = &self.now.rules;
                    self.batch.push(presence::heard(prefix, &id, &presence, at, *zone));
                }
            }
        }
        Ok(())
    }

    /// Hands over the report of a job.
    async fn push(&self, ping: Ping) -> Result<Result<(), Refused>, Refused> {
        match self.engine.ask(Request::Ping(ping)).await {
            Err(Refused::Stopping) => Err(Refused::Stopping),
            answer => Ok(answer),
        }
    }

    /// Asks the engine. What it refuses, but for stopping, is in the log.
    async fn ask(&self, request: Request) -> Result<(), Refused> {
        match self.engine.ask(request).await {
            Err(Refused::Stopping) => Err(Refused::Stopping),
            Err(refused) => {
                tracing::warn!("what was heard has no effect: {refused}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), Refused> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.engine.hear(batch).await
    }
}

/// Takes what has come from a source, and answers with how much that was: nothing, if it has ended. Of one that had ended
/// before nothing comes.
async fn receive<T>(source: &mut Option<mpsc::Receiver<T>>, into: &mut Vec<T>) -> usize {
    match source {
        Some(source) => source.recv_many(into, BATCH).await,
        None => pending().await,
    }
}

/// A topic as it may be told: the token of a report is a secret.
fn hidden(rules: &Rules, topic: &Arc<str>) -> Arc<str> {
    match topic::push(&rules.prefix, topic) {
        Some(_) => format!("{}/push/****", rules.prefix).into(),
        None => topic.clone(),
    }
}

/// A time of the clock as one to sleep until; the clock may be set while this waits, so no longer than a minute.
fn instant(at: Option<DateTime<Utc>>) -> Instant {
    let wait = at.map_or(Duration::MAX, |at| (at - Utc::now()).to_std().unwrap_or_default());
    Instant::now() + wait.min(Duration::from_secs(60))
}
