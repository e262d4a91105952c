//! The link to a broker, started, replaced and stopped as the configuration says.

use std::{future::pending, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use fletchck_shared::{
    AgentId,
    config::{Mqtt, Site},
    topic::TopicFilter,
};
use futures_util::FutureExt as _;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Faults, Greeter, Reach};
use crate::{
    checks::{push, remote},
    config::Loaded,
    engine::{CheckView, Handle, Publishing},
    link::{self, Arrived, LinkState, Settings, Subscription},
    stay::stay,
    store::Store,
};

/// The section of the configuration that says what is linked to.
const PART: &str = "mqtt";

/// Longest wait for a link to say farewell.
const FAREWELL: Duration = Duration::from_secs(3);

/// The link, or none.
pub(super) struct Linking {
    agent: AgentId,
    store: Store,
    engine: Handle,
    arrived: Option<mpsc::Sender<Arrived>>,
    /// Who this site is, for everyone who says so.
    who: Option<Arc<ArcSwap<link::Identity>>>,
    reach: Reach,
    faults: Faults,
    linked: Option<Linked>,
}

/// What a link is started with: another one, and it is started anew.
#[derive(PartialEq)]
struct MadeOf {
    mqtt: Mqtt,
    prefix: String,
    hub: bool,
    /// Whether jobs may report over it.
    pushes: bool,
}

struct Linked {
    made_of: MadeOf,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Says how it stands with the link.
    telling: JoinHandle<()>,
}

impl Linking {
    pub(super) fn new(
        agent: AgentId,
        store: Store,
        engine: Handle,
        arrived: Option<mpsc::Sender<Arrived>>,
        (reach, faults): (Reach, Faults),
    ) -> Self {
        Self { agent, store, engine, arrived, who: None, reach, faults, linked: None }
    }

    /// Has the link that a configuration asks for.
    pub(super) async fn keep_to(&mut self, loaded: &Loaded) {
        let site = &loaded.site;
        self.introduce(loaded);
        // With a broker of its own and no other named, a site is linked to itself, and not over a network.
        let wanted =
            site.mqtt.clone().filter(|mqtt| mqtt.hostname.is_some() || site.broker.is_none());
        let pushes = site.checks.values().any(|check| check.kind == push::KIND.name);
        let wanted = wanted.map(|mqtt| MadeOf {
            mqtt,
            prefix: site.fleet.prefix.clone(),
            hub: site.fleet.hub,
            pushes,
        });
        if let Some(linked) = &self.linked
            && Some(&linked.made_of) == wanted.as_ref()
        {
            return;
        }
        if let Some(linked) = self.linked.take() {
            linked.stop().await;
            self.faults.part(PART, Vec::new());
        }
        match wanted {
            Some(made_of) => self.link(self.settings(&made_of), made_of, site),
            None => self.without_link(site),
        }
    }

    /// Says how it stands with the broker where there is no link to one.
    fn without_link(&self, site: &Site) {
        let hears = self.arrived.is_some();
        let remote = |view: &Arc<CheckView>| view.kind == remote::KIND.name;
        if site.broker.is_some() {
            // Whoever runs it says how it stands.
            if !hears {
                self.reach.away("the broker of this site does not run: that needs `fletchck`");
            }
        } else if self.engine.board().checks().iter().any(remote) {
            self.reach.away("this site has neither a broker nor a link to one (`broker`, `mqtt`)");
        } else {
            self.reach.unknown();
        }
    }

    fn settings(&self, made_of: &MadeOf) -> Settings {
        let MadeOf { mqtt, prefix, hub, pushes } = made_of;
        let mut settings = Settings::new(mqtt, self.agent.as_str());
        let hears = self.arrived.is_some();
        let fleet = hub.then(|| TopicFilter::fleet(prefix));
        let pushes = pushes.then(|| TopicFilter::pushes(prefix));
        let base = mqtt.base_topic.clone().into_iter();
        let filters = base.chain(fleet.into_iter().flatten()).chain(pushes.into_iter().flatten());
        settings.subscriptions = filters.filter(|_| hears).map(Subscription::new).collect();
        if let Some(base) = settings.subscriptions.first_mut().filter(|_| mqtt.base_topic.is_some())
        {
            base.qos = mqtt.qos;
        }
        settings
    }

    fn link(&mut self, mut settings: Settings, made_of: MadeOf, site: &Site) {
        let greeter = self.greeter(site);
        if greeter.publishing.fleet {
            greeter.who.load().introduce(&mut settings);
        }
        let stop = CancellationToken::new();
        // Without a listener nothing is subscribed to, and nothing arrives.
        let arrived = self.arrived.clone().unwrap_or_else(|| mpsc::channel(1).0);
        let running =
            link::spawn(settings, self.store.clone().into(), greeter, arrived, stop.clone());
        let state = (running.state, self.reach.clone(), self.faults.clone());
        let what = "telling how it stands with the link";
        let telling = tokio::spawn(stay(what, pending(), state, |(state, reach, faults)| {
            tell(state, reach, faults).boxed()
        }));
        self.linked = Some(Linked { made_of, stop, task: running.task, telling });
    }

    /// Notes who this site is from now on, and has it said where it was said otherwise before.
    fn introduce(&mut self, loaded: &Loaded) {
        let site = &loaded.site;
        let identity = link::Identity {
            prefix: site.fleet.prefix.as_str().into(),
            agent: self.agent.clone(),
            hub: site.fleet.hub,
            labels: site.agent.labels.clone(),
            config_hash: hash(loaded),
            checks: u32::try_from(site.checks.len()).unwrap_or(u32::MAX),
        };
        match &self.who {
            None => self.who = Some(Arc::new(ArcSwap::from_pointee(identity))),
            Some(who) if **who.load() == identity => {}
            Some(who) => {
                who.store(Arc::new(identity));
                self.engine.board().say_again();
            }
        }
    }

    /// What this site says of itself to every broker.
    pub(super) fn greeter(&self, site: &Site) -> Greeter {
        let mqtt = site.mqtt.as_ref();
        Greeter {
            who: self
                .who
                .clone()
                .expect("a configuration was kept to before anyone asks who it is of"),
            board: self.engine.board().clone(),
            publishing: Publishing {
                qos: mqtt.map_or(1, |mqtt| mqtt.qos),
                retain: mqtt.is_none_or(|mqtt| mqtt.retain),
                fleet: mqtt.is_none_or(|mqtt| mqtt.fleet),
            },
        }
    }

    pub(super) async fn stop(self) {
        if let Some(linked) = self.linked {
            linked.stop().await;
        }
    }
}

impl Linked {
    async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(FAREWELL, self.task).await.is_err() {
            error!("the link did not end in time");
        }
        // Nothing that it had to say may come after what the next one says.
        self.telling.abort();
        _ = self.telling.await;
    }
}

/// Says how it stands with the broker at the other end of a link, until the link has stopped.
async fn tell(state: &mut watch::Receiver<LinkState>, reach: &Reach, faults: &Faults) {
    while state.changed().await.is_ok() {
        match state.borrow_and_update().clone() {
            LinkState::Connecting => {}
            LinkState::Up { since, .. } => {
                faults.part(PART, Vec::new());
                reach.there(since);
            }
            LinkState::Down { why, .. } => {
                faults.part(PART, why.fault().into_iter().collect());
                reach.away(format!("the broker is away: {why}"));
            }
            LinkState::Stopped => return,
        }
    }
}

/// Tells two configurations apart, without telling what is in them.
fn hash(loaded: &Loaded) -> String {
    let text = serde_json::to_vec(&loaded.document).unwrap_or_default();
    let digest = Sha256::digest(text);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
