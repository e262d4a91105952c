//! A running site, as far as agents and hubs have it in common: store, engine, link and housekeeping, put together from a
//! configuration and kept to it when it changes.

mod faults;
mod greeter;
mod heartbeat;
mod housekeeping;
mod learning;
mod linking;
mod reach;
mod start;

use std::future::pending;

use anyhow::Context;
use fletchck_shared::{
    ActionName, AgentId, Tz,
    config::{Fault, Severity, Site},
};
use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use faults::Faults;
pub use greeter::Greeter;
pub use reach::{Reach, Standing};
pub use start::{log_to_stderr, raise_file_limit, store_path};

use self::{heartbeat::Heart, housekeeping::Housekeeping, linking::Linking};
use crate::{
    chain,
    config::{LoadError, Loaded, host_zone},
    engine::{Clock, Engine, Handle, Request},
    link::Arrived,
    stay::stay,
    store::Store,
};

/// A running site.
pub struct Service {
    /// Its id in the fleet.
    pub agent: AgentId,
    /// Zone of the machine.
    pub host_zone: Tz,
    /// The configuration that runs.
    pub site: Site,
    /// Its file, as it is shown.
    shown_path: String,
    /// What is wrong with it, and with its parts.
    pub faults: Faults,
    /// What survives the process.
    pub store: Store,
    engine: Engine,
    engine_stop: CancellationToken,
    link: Linking,
    /// How it stands with the broker.
    pub reach: Reach,
    actions: watch::Sender<Vec<ActionName>>,
    heart: Heart,
    _housekeeping: Housekeeping,
}

impl Service {
    /// Starts a site. What the link hears goes to `arrived`; without it nothing is subscribed to.
    ///
    /// # Errors
    /// The store cannot be opened or read, or there is no id to be had.
    pub async fn start(
        mut loaded: Loaded,
        arrived: Option<mpsc::Sender<Arrived>>,
    ) -> anyhow::Result<Self> {
        loaded.follow_pages();
        let path = store_path(&loaded.path);
        let store = Store::open(&path)?;
        let agent = start::agent_id(&loaded.site, &store).await?;
        let host_zone = host_zone();
        let clock = Clock::system();
        log(&loaded.faults);
        let engine_stop = CancellationToken::new();
        let mut engine = Engine::start(
            loaded.site.clone(),
            loaded.faults.clone(),
            (agent.clone(), host_zone, clock),
            store.clone(),
            engine_stop.clone(),
        )
        .await
        .with_context(|| format!("reading {}", path.display()))?;
        if let Some(learned) = engine.learned.take() {
            let (what, state) = ("writing down what targets teach", (loaded.path.clone(), learned));
            tokio::spawn(stay(what, pending(), state, |(path, learned)| {
                learning::write_down(path, learned).boxed()
            }));
        }
        info!(agent = %agent, checks = loaded.site.checks.len(), "fletchck {} runs {}",
            env!("CARGO_PKG_VERSION"), loaded.path.display());
        let (actions, of_actions) = watch::channel(loaded.site.actions.keys().cloned().collect());
        let housekeeping = Housekeeping::start(store.clone(), of_actions).await?;
        let faults = Faults::new(engine.handle.board().clone(), loaded.faults.clone());
        let heart =
            Heart::start(engine.handle.clone(), faults.clone(), loaded.site.heartbeat.clone());
        let reach = Reach::new(engine.handle.clone());
        let known = (reach.clone(), faults.clone());
        let mut link =
            Linking::new(agent.clone(), store.clone(), engine.handle.clone(), arrived, known);
        link.keep_to(&loaded).await;
        Ok(Self {
            agent,
            host_zone,
            site: loaded.site,
            shown_path: loaded.path.display().to_string(),
            faults,
            store,
            engine,
            engine_stop,
            link,
            reach,
            actions,
            heart,
            _housekeeping: housekeeping,
        })
    }

    /// The way to the engine.
    pub fn handle(&self) -> &Handle {
        &self.engine.handle
    }

    /// Waits until the engine ends although nobody stopped it: then nothing is watched any more.
    pub async fn broken(&mut self) -> anyhow::Error {
        match (&mut self.engine.task).await {
            Ok(()) => anyhow::anyhow!("the engine ended by itself; please report this"),
            Err(reason) => anyhow::anyhow!("the engine broke down: {reason}; please report this"),
        }
    }

    /// What this site says of itself to every broker.
    pub fn greeter(&self) -> Greeter {
        self.link.greeter(&self.site)
    }

    /// Takes a configuration over, unless a part that runs would not run with it: then the one that runs goes on, and the
    /// faults of the other are shown. Whether it was taken over.
    pub async fn reload(&mut self, mut loaded: Loaded) -> bool {
        loaded.follow_pages();
        log(&loaded.faults);
        let broken = loaded.breaks(&self.faults.running()).count();
        if broken > 0 {
            let faults = if broken == 1 { "fault" } else { "faults" };
            warn!("the configuration has {broken} new {faults}; what ran before goes on");
            self.faults.refuse(loaded.faults);
            return false;
        }
        let faults = self.faults.with(&loaded.faults);
        let request = Request::Reload(Box::new(loaded.site.clone()), faults);
        if let Err(refused) = self.handle().ask(request).await {
            warn!("the configuration was not taken over: {refused}");
            return false;
        }
        self.faults.run(loaded.faults.clone());
        if loaded.site.agent.id.as_ref().is_some_and(|id| *id != self.agent) {
            warn!("`agent.id` is another one now; that takes effect at the next start");
        }
        self.link.keep_to(&loaded).await;
        self.reach.tell_again();
        self.heart.keep_to(loaded.site.heartbeat.as_ref());
        self.actions.send_replace(loaded.site.actions.keys().cloned().collect());
        self.site = loaded.site;
        true
    }

    /// Tells that the file is no configuration any more, in the log and to whoever looks; what ran before goes on.
    pub fn unread(&self, reason: &LoadError) {
        warn!("the configuration cannot be read, what ran before goes on: {}", chain(reason));
        let fault =
            reason.fault(&self.shown_path, "mend the file; what ran before goes on until then");
        self.faults.unread(fault);
    }

    /// Stops: first the engine, which stores what it knows, then the link, which sends what still waits and says farewell.
    pub async fn stop(self) {
        drop(self.heart);
        self.engine_stop.cancel();
        if self.engine.task.await.is_err() {
            warn!("the engine broke down while stopping");
        }
        self.link.stop().await;
    }
}

/// The level of a line says how grave a fault is.
fn log(faults: &[Fault]) {
    for fault in faults {
        match fault.severity {
            Severity::Warning => warn!("{}", fault.told()),
            Severity::Error => error!("{}", fault.told()),
        }
    }
}
