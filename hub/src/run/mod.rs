//! Running a site: the parts that agents have too ([`Service`]), and around them broker, fleet and pages, each kept to the
//! configuration as it changes.

mod access;
mod brokering;
mod paging;
mod retained;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use chrono::Utc;
use fletchck_agent::{
    chain,
    config::{self, LoadError, Loaded, Watch},
    service::{Greeter, Service, Standing, log_to_stderr, raise_file_limit, store_path},
};
use fletchck_shared::config::{Fault, Site};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::{brokering::Brokering, paging::Paging};
use crate::{cli::Args, fleet};

/// Messages between the broker and the fleet, beyond which publishers wait.
const TAP: usize = 4096;

/// Longest time that stopping may take.
const STOP: Duration = Duration::from_secs(4);

/// Runs a site until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot be started; the reason says what to do.
pub async fn run(path: &Path, args: &Args) -> anyhow::Result<()> {
    log_to_stderr();
    raise_file_limit();
    let mut watch = Watch::new(path)?;
    // Before anything starts: a signal during the start is one too.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hub = Hub::start(load(path, args)?).await?;
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            Ok(()) = hub.reach.changed() => hub.settle_fleet(),
            // Whoever started it starts it again; a monitor that only looks alive helps nobody.
            reason = hub.service.broken() => return Err(reason),
            _ = watch.changed() => match load(path, args) {
                Ok(loaded) => hub.reload(loaded).await,
                Err(reason) => hub.service.unread(&reason),
            },
        }
    }
    info!("stopping");
    if timeout(STOP, hub.stop()).await.is_err() {
        warn!("not everything ended in time");
    }
    Ok(())
}

/// Reads a configuration, and lets the command line have its way.
fn load(path: &Path, args: &Args) -> Result<Loaded, LoadError> {
    let mut loaded = config::load(path)?;
    if !args.webui {
        loaded.site.webui = None;
    }
    if let (Some(web), Some(port)) = (&mut loaded.site.webui, args.port) {
        web.port = port;
    }
    Ok(loaded)
}

struct Hub {
    service: Service,
    fleet: watch::Sender<Arc<fleet::Settings>>,
    hearing: JoinHandle<()>,
    hearing_stop: CancellationToken,
    broker: Brokering,
    /// How it stands with the broker.
    reach: watch::Receiver<Standing>,
    pages: Paging,
}

impl Hub {
    async fn start(loaded: Loaded) -> anyhow::Result<Self> {
        let store = store_path(&loaded.path);
        let (arrived, arrivals) = mpsc::channel(TAP);
        let (tap, heard) = mpsc::channel(TAP);
        let service = Service::start(loaded, Some(arrived)).await?;
        let (fleet, settings) = watch::channel(Arc::new(fleet_settings(&service, Standing::default())));
        let hearing_stop = CancellationToken::new();
        let known = service.store.fleet_agents().await?;
        let engine = service.handle().clone();
        let (_counters, hearing) =
            fleet::spawn(settings, known, engine, arrivals, heard, hearing_stop.clone());
        let mut hub = Self {
            fleet,
            hearing,
            hearing_stop,
            broker: Brokering::new(service.store.clone(), tap),
            reach: service.reach.standing(),
            pages: Paging::new(&store, service.handle().clone()),
            service,
        };
        let site = hub.service.site.clone();
        let greeter = hub.service.greeter();
        hub.keep_broker(&site, greeter).await.context("starting the broker")?;
        let zone = hub.zone();
        hub.pages.keep_to(&site, zone).await.context("starting the pages")?;
        Ok(hub)
    }

    fn zone(&self) -> chrono_tz::Tz {
        self.service.site.timezone.unwrap_or(self.service.host_zone)
    }

    /// Has the fleet judged by the configuration as it is, and by what became of the broker.
    fn settle_fleet(&mut self) {
        let standing = self.reach.borrow_and_update().clone();
        self.fleet.send_replace(Arc::new(fleet_settings(&self.service, standing)));
    }

    /// Has the broker that a configuration asks for, and says how it stands with it.
    async fn keep_broker(&mut self, site: &Site, greeter: Greeter) -> anyhow::Result<()> {
        let since = Utc::now();
        let kept = self.broker.keep_to(site, greeter).await;
        match &kept {
            Ok(true) => self.service.reach.there(since),
            Err(reason) if !self.broker.runs() => {
                let why = chain(reason.as_ref());
                self.service.reach.away(format!("the broker of this site does not run: {why}"));
            }
            Ok(false) | Err(_) => {}
        }
        kept.map(drop)
    }

    async fn reload(&mut self, loaded: Loaded) {
        if !self.service.reload(loaded).await {
            return;
        }
        let site = self.service.site.clone();
        self.settle_fleet();
        let greeter = self.service.greeter();
        let broker = self.keep_broker(&site, greeter).await;
        let zone = self.zone();
        let pages = self.pages.keep_to(&site, zone).await;
        for (part, done) in [("broker", broker), ("webui", pages)] {
            let fault = done.err().map(|reason| {
                let reason = chain(reason.as_ref());
                Fault::error(part, reason, "mend it, and save the file again")
            });
            for fault in self.service.faults.part(part, fault.into_iter().collect()) {
                error!("{fault}; what ran before goes on");
            }
        }
    }

    async fn stop(mut self) {
        self.pages.stop().await;
        self.hearing_stop.cancel();
        if let Err(reason) = self.hearing.await {
            error!("hearing the fleet broke down: {reason}");
        }
        self.service.stop().await;
        self.broker.stop().await;
    }
}

fn fleet_settings(service: &Service, standing: Standing) -> fleet::Settings {
    let site = &service.site;
    let mqtt = site.mqtt.as_ref();
    fleet::Settings {
        rules: fleet::Rules {
            prefix: site.fleet.prefix.as_str().into(),
            base: mqtt.and_then(|mqtt| mqtt.base_topic.clone()),
            own: service.agent.clone(),
            zone: site.timezone.unwrap_or(service.host_zone),
        },
        hub: site.fleet.hub,
        grace: site.fleet.grace,
        agents_max: site.limits.remotes,
        deaf: standing.away.is_some(),
        broker_came: standing.came,
    }
}
