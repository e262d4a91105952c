//! The parts of a site that runs.

use std::sync::Arc;

use fletchck_agent::{
    config::Loaded,
    service::{Service, Standing, store_path},
};
use fletchck_shared::config::{Fault, Severity};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{brokering::Brokering, control::Control, paging::Paging, round::Round};
use crate::fleet;

/// Messages between the broker and the fleet, beyond which publishers wait.
const TAP: usize = 4096;

/// A site that runs: what agents have too, and around it broker, fleet and pages.
pub(super) struct Hub {
    pub(super) service: Service,
    /// How it stands with the broker.
    pub(super) reach: watch::Receiver<Standing>,
    fleet: watch::Sender<Arc<fleet::Settings>>,
    hearing: JoinHandle<()>,
    hearing_stop: CancellationToken,
    broker: (Brokering, Round),
    pages: (Paging, Round),
    control: Control,
}

impl Hub {
    /// Starts a site. Broker and pages may follow later.
    ///
    /// # Errors
    /// The store cannot be opened or read.
    pub(super) async fn start(loaded: Loaded) -> anyhow::Result<Self> {
        let store = store_path(&loaded.path);
        let socket = crate::web::control::path(&loaded.path);
        let (arrived, arrivals) = mpsc::channel(TAP);
        let (tap, heard) = mpsc::channel(TAP);
        let service = Service::start(loaded, Some(arrived)).await?;
        let reach = service.reach.standing();
        let standing = reach.borrow().clone();
        let (fleet, settings) = watch::channel(Arc::new(fleet_settings(&service, standing)));
        let hearing_stop = CancellationToken::new();
        let known = service.store.fleet_agents().await?;
        let engine = service.handle().clone();
        let hearing = fleet::spawn(settings, known, engine, arrivals, heard, hearing_stop.clone());
        let broker = Brokering::new(service.store.clone(), tap, service.reach.clone());
        let pages = Paging::new(&store, service.handle().clone());
        let zone = service.site.timezone.unwrap_or(service.host_zone);
        let engine = service.handle().clone();
        let control = Control::start(socket, &store, engine, &service.site, zone)?;
        let mut hub = Self {
            control,
            service,
            reach,
            fleet,
            hearing,
            hearing_stop,
            broker: (broker, Round::now()),
            pages: (pages, Round::now()),
        };
        hub.look_after().await;
        Ok(hub)
    }

    /// Has the fleet judged by the configuration as it is, and by how it stands with the broker.
    pub(super) fn settle_fleet(&mut self) {
        let standing = self.reach.borrow_and_update().clone();
        self.fleet.send_replace(Arc::new(fleet_settings(&self.service, standing)));
    }

    /// When [`Hub::look_after`] has something to do.
    pub(super) fn due(&self) -> Instant {
        self.broker.1.due().min(self.pages.1.due())
    }

    /// Keeps the parts whose time has come to the configuration: what does not run as it should is tried again, and renewed
    /// certificates are taken into use.
    pub(super) async fn look_after(&mut self) {
        let now = Instant::now();
        let site = &self.service.site;
        if self.broker.1.due() <= now {
            let faults = self.broker.0.keep_to(site, self.service.greeter()).await;
            self.broker.1.done(faults.is_empty());
            tell(&self.service, "broker", faults);
        }
        if self.pages.1.due() <= now {
            let zone = site.timezone.unwrap_or(self.service.host_zone);
            let faults = self.pages.0.keep_to(site, zone).await;
            self.pages.1.done(faults.is_empty());
            tell(&self.service, "webui", faults);
        }
    }

    /// Takes a configuration over, if it can be.
    pub(super) async fn reload(&mut self, loaded: Loaded) {
        if !self.service.reload(loaded).await {
            return;
        }
        self.settle_fleet();
        let zone = self.service.site.timezone.unwrap_or(self.service.host_zone);
        self.control.keep_to(&self.service.site, zone);
        (self.broker.1, self.pages.1) = (Round::now(), Round::now());
        self.look_after().await;
    }

    pub(super) async fn stop(mut self) {
        self.pages.0.stop().await;
        self.control.stop().await;
        self.hearing_stop.cancel();
        if let Err(reason) = self.hearing.await {
            error!("hearing the fleet broke down: {reason}");
        }
        self.service.stop().await;
        self.broker.0.stop().await;
    }
}

/// Shows what is wrong with a part, and logs what was not known of it.
fn tell(service: &Service, part: &'static str, faults: Vec<Fault>) {
    for fault in service.faults.part(part, faults) {
        match fault.severity {
            Severity::Error => error!("{fault}"),
            Severity::Warning => warn!("{fault}"),
        }
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
