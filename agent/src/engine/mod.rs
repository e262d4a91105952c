//! The running site: one task that owns the state of every check, and what others may ask of it.
//!
//! It wakes for one of four events (`event::Event`), takes whatever else has come by then, stores all that follows in
//! one transaction, and only then shows and tells it. So a crash at any moment leaves either all of it or nothing.

mod absence;
mod acknowledging;
mod alarm;
mod answer;
mod board;
mod broker;
mod clock;
mod core;
mod deleting;
mod depending;
mod directory;
mod entry;
mod event;
mod handle;
mod left;
mod listening;
mod publish;
mod pulse;
mod push;
mod refusing;
mod remote;
mod runs;
mod silencing;
mod site;
mod telling;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use fletchck_shared::{
    AgentId, Tz,
    config::{Fault, Site},
};
use futures_util::FutureExt as _;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use board::{AgentView, Board, Changed, CheckView};
pub use clock::Clock;
pub use handle::{Handle, Heard, Inbox, Learned, Refused, Request};
pub use push::Ping;

use self::{core::Core, event::Event, listening::Listening};
use crate::{
    delivery::{Delivery, Office},
    scheduler::Scheduler,
    store::{Batch, Store, StoreError},
    turn::Places,
};

/// Requests, and batches of what was heard, that wait for the engine; beyond it their senders wait.
const INBOX: usize = 64;

/// Events that are stored together at most. A batch of what was heard counts as one.
const TOGETHER: usize = 64;

/// Who this program is, and what it does with what it sees.
#[derive(Clone)]
pub struct Identity {
    /// Name of the site, for alerts.
    pub site: String,
    /// Its id in the fleet.
    pub agent: AgentId,
    /// Zone where a check has none of its own.
    pub zone: Tz,
    /// First level of the fleet topics.
    pub prefix: String,
    /// How states are published; `None`: there is no broker.
    pub publish: Option<Publishing>,
    /// Whether unknown checks that are heard are added.
    pub auto_add: bool,
    /// Whether checks are told apart by their agents, as a hub does.
    pub hub: bool,
    /// The clock.
    pub clock: Clock,
}

impl Identity {
    /// What a site's configuration says of it. Its id and its clock are not the configuration's.
    pub fn of(site: &Site, agent: AgentId, host_zone: Tz, clock: Clock) -> Self {
        let mqtt = site.mqtt.as_ref();
        let broker = site.broker.is_some();
        Self {
            site: site.webui.as_ref().map_or_else(|| agent.to_string(), |web| web.name.clone()),
            zone: site.timezone.unwrap_or(host_zone),
            prefix: site.fleet.prefix.clone(),
            publish: (broker || mqtt.is_some()).then(|| Publishing {
                qos: mqtt.map_or(1, |mqtt| mqtt.qos),
                retain: mqtt.is_none_or(|mqtt| mqtt.retain),
                fleet: mqtt.is_none_or(|mqtt| mqtt.fleet),
            }),
            auto_add: mqtt.is_none_or(|mqtt| mqtt.auto_add),
            hub: site.fleet.hub,
            agent,
            clock,
        }
    }
}

/// How states are published.
#[derive(Clone, Debug)]
pub struct Publishing {
    /// Quality of service on version 1 topics.
    pub qos: u8,
    /// Whether version 1 messages are retained.
    pub retain: bool,
    /// Whether the fleet topics are published.
    pub fleet: bool,
}

/// The engine, running until its token is cancelled.
#[derive(Debug)]
pub struct Engine {
    /// The way to it.
    pub handle: Handle,
    /// Its task.
    pub task: JoinHandle<()>,
    /// What targets teach; for whoever takes it first.
    pub learned: Option<mpsc::UnboundedReceiver<Learned>>,
}

impl Engine {
    /// Starts a site with what the store has kept of it, as this agent, on a machine in this zone, by this clock. Faults are
    /// only shown.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        site: Site,
        faults: Vec<Fault>,
        who: (AgentId, Tz, Clock),
        store: Store,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let (agent, host_zone, clock) = who;
        let identity = Identity::of(&site, agent, host_zone, clock);
        let past = store.past().await?;
        let (silences, next_silence) = store.silences().await?;
        let labels = store.labels().await?;
        let lives = store.lives().await?;
        let (now, passed) = (identity.clock.now(), identity.clock.passed());
        let board = Arc::new(Board::default());
        let office = Office {
            store: store.clone(),
            clock: identity.clock.clone(),
            zone: identity.zone,
            link: link(&site),
        };
        let delivery = Delivery::start(&site.actions, office, stop.clone());
        let (handle, inbox) = Handle::new(board.clone(), delivery.roster().clone(), INBOX);
        let (ended_tx, ended) = mpsc::unbounded_channel();
        let (learned_tx, learned) = mpsc::unbounded_channel();
        let clock = identity.clock.clone();
        let mut core = Core {
            places: Places::new(site.limits.probes),
            delivery,
            site,
            identity,
            host_zone,
            entries: Default::default(),
            directory: Default::default(),
            left: Default::default(),
            scheduler: Scheduler::with(clock, rand::random::<f64>),
            alarms: Default::default(),
            reminders: Default::default(),
            to_begin: Vec::new(),
            broker_away: None,
            broker_seen: false,
            listening: Listening::begin(lives, now, passed),
            silences,
            next_silence,
            silences_changed: true,
            labels,
            store,
            board: board.clone(),
            ended: ended_tx,
            learned: learned_tx,
            finished: Default::default(),
            awaiting: HashMap::new(),
            orphaned: Vec::new(),
            members: Default::default(),
            touched: Default::default(),
            begun: Default::default(),
            removed: Vec::new(),
            batch: Batch::default(),
            reloaded: None,
            aside: Default::default(),
            answers: Vec::new(),
            refused: Default::default(),
            generation: 0,
        };
        core.enter_site(past);
        core.commit().await;
        board.replace(core.entries.values().map(|entry| core.view(entry)).collect(), faults);
        let task = tokio::spawn(run(core, inbox, ended, stop));
        Ok(Self { handle, task, learned: Some(learned) })
    }
}

async fn run(
    mut core: Core,
    mut inbox: Inbox,
    mut ended: mpsc::UnboundedReceiver<(event::RunId, Box<crate::turn::Ended>)>,
    stop: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some((request, answer)) = inbox.requests.recv() => Event::Asked(request, answer),
            Some((run, end)) = ended.recv() => Event::Ended(run, end),
            due = core.scheduler.next() => Event::Due(due),
            name = core.alarms.next() => Event::Silence(name),
            name = core.reminders.next() => Event::Remind(name),
            Some(heard) = inbox.heard.recv() => Event::Heard(heard),
            () = tokio::time::sleep(refusing::AGAIN), if core.refused.refuses() => {
                core.commit().await;
                continue;
            }
        };
        if core.scheduler.clock_stepped() {
            core.clock_stepped();
        }
        core.take(event);
        // Whatever else has come by now is stored in the same transaction. Requests are not: whoever asks waits for an
        // answer, and is asked after first.
        for _ in 1..TOGETHER {
            let more = if let Ok((run, end)) = ended.try_recv() {
                Event::Ended(run, end)
            } else if let Some(due) = core.scheduler.next().now_or_never() {
                Event::Due(due)
            } else if let Some(name) = core.alarms.next().now_or_never() {
                Event::Silence(name)
            } else if let Some(name) = core.reminders.next().now_or_never() {
                Event::Remind(name)
            } else if let Ok(heard) = inbox.heard.try_recv() {
                Event::Heard(heard)
            } else {
                break;
            };
            core.take(more);
        }
        core.commit().await;
    }
    core.commit().await;
    core.delivery.finish().await;
}

/// Address of the pages, for links in messages.
fn link(site: &Site) -> Option<String> {
    site.webui.as_ref().map(fletchck_shared::config::Web::address)
}
