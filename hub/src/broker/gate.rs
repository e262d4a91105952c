//! What all sessions share, and how a message passes from any of them to everyone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rumqttd::protocol::{Packet, Publish, PublishProperties};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Settings;
use super::access::Access;
use super::attempts::Attempts;
use super::flow::Flow;
use super::message::{Envelope, Heard, Message, deadline};
use super::retained::{Full, Retained, Usage};
use super::router::RouterHandle;
use super::routes::{Direction, Routes, Targets};
use super::sleeping::Sleepers;
use super::takeover::Clients;

/// Everything the sessions share.
pub(super) struct Gate {
    pub(super) settings: Settings,
    pub(super) access: Arc<dyn Access>,
    pub(super) tap: mpsc::Sender<Heard>,
    pub(super) retained: Arc<Retained>,
    pub(super) routes: Arc<Routes>,
    pub(super) clients: Arc<Clients>,
    pub(super) sleepers: Sleepers,
    pub(super) attempts: Attempts,
    pub(super) router: RwLock<Arc<RouterHandle>>,
    /// Wills that wait for their delay, by client id.
    pub(super) wills: Mutex<HashMap<Arc<str>, CancellationToken>>,
    /// Connections that have not logged in yet, in all and by address.
    pub(super) pending: Arc<Semaphore>,
    pub(super) pending_by_peer: Mutex<HashMap<IpAddr, usize>>,
    pub(super) connected: AtomicUsize,
    numbers: AtomicU32,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// Messages for the router, and the subscribers to wait for after them.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) packets: Vec<Packet>,
    crowded: Vec<Arc<Flow>>,
}

impl Batch {
    /// Whether nobody has to be waited for.
    pub(super) fn is_settled(&self) -> bool {
        self.crowded.is_empty()
    }

    /// Waits until subscribers have caught up. May be broken off and called again.
    pub(super) async fn settle(&mut self) {
        while let Some(flow) = self.crowded.last() {
            flow.wait().await;
            self.crowded.pop();
        }
    }

    fn wait_for(&mut self, flow: &Arc<Flow>) {
        if !self.crowded.iter().any(|known| Arc::ptr_eq(known, flow)) {
            self.crowded.push(flow.clone());
        }
    }
}

/// A message on its way out, before it is sealed.
pub(super) struct Accepted<'a> {
    pub(super) topic: &'a Arc<str>,
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) properties: Option<PublishProperties>,
    /// Number of the publishing session; 0 for the hub.
    pub(super) origin: u32,
}

impl Gate {
    pub(super) fn new(
        settings: Settings,
        access: Arc<dyn Access>,
        tap: mpsc::Sender<Heard>,
        retained: Retained,
        router: RouterHandle,
    ) -> Self {
        let routes = Arc::new(Routes::new(settings.max_filters));
        Self {
            sleepers: Sleepers::new(routes.clone(), settings.max_sessions),
            pending: Arc::new(Semaphore::new(settings.max_pending)),
            settings,
            access,
            tap,
            retained: Arc::new(retained),
            routes,
            clients: Arc::default(),
            attempts: Attempts::default(),
            router: RwLock::new(Arc::new(router)),
            wills: Mutex::default(),
            pending_by_peer: Mutex::default(),
            connected: AtomicUsize::new(0),
            numbers: AtomicU32::new(1),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// A number for a new session, never 0.
    pub(super) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed).max(1)
    }

    /// The router of the moment.
    pub(super) fn router(&self) -> Arc<RouterHandle> {
        self.router.read().clone()
    }

    /// Retains a message if it is to be, hands it to the sessions served by the gate and adds it to `batch` for the
    /// router. Answers its payload, for the tap.
    ///
    /// # Errors
    /// It was to be retained and there is no room. It went to nobody then.
    pub(super) fn pass(
        &self,
        message: Accepted<'_>,
        targets: impl FnOnce() -> Arc<Targets>,
        usage: &Arc<Usage>,
        batch: &mut Batch,
    ) -> Result<Bytes, Full> {
        let Accepted { topic, payload, qos, retain, properties, origin } = message;
        let expires = properties
            .as_ref()
            .filter(|properties| properties.message_expiry_interval.is_some())
            .and_then(|properties| deadline(Some(properties), SystemTime::now()));
        let properties = properties.map(Arc::new);
        let message = |payload| Message {
            topic: topic.clone(),
            payload,
            qos,
            retain,
            properties: properties.clone(),
            expires,
        };
        // Retained before it is routed: a subscriber that comes between the two gets it either way. It has an allocation
        // of its own, as it lives longer than the envelope.
        let mut bytes = None;
        if retain {
            let copy = Bytes::copy_from_slice(payload);
            self.retained.put(message(copy.clone()), usage)?;
            bytes = Some(copy);
        }
        let targets = targets();
        for (slot, flows) in &targets.slots {
            let position = slot.advance(topic.len() + payload.len());
            let envelope = Envelope { topic, qos, retain, origin, position };
            let sealed = envelope.seal(payload);
            bytes.get_or_insert_with(|| envelope.payload(&sealed));
            let publish = Publish::new(slot.name.clone(), sealed, false);
            batch.packets.push(Packet::Publish(publish, properties.as_deref().cloned()));
            for flow in flows {
                // A session that reads what it writes would wait for itself.
                if flow.session != origin && flow.crowded() {
                    batch.wait_for(flow);
                }
            }
        }
        let bytes = bytes.unwrap_or_else(|| Bytes::copy_from_slice(payload));
        for (filter, direct) in &targets.direct {
            let (filter, message) = (filter.clone(), message(bytes.clone()));
            direct.hand(Direction { filter, origin, message });
        }
        Ok(bytes)
    }
}
