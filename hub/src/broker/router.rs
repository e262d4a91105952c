//! rumqttd's router: one thread that queues messages for subscribers, and our links into it.
//!
//! The router panics on what its own network side would have refused or ordered. So this is the only file that talks to
//! it, and a link sends it nothing after its Disconnect, whatever ends the session.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Poll, Poll as Polled, Waker};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use parking_lot::Mutex;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{
    Disconnect, DisconnectReasonCode, Filter, Packet, PubAck, PubAckReason, QoS, RetainForwardRule,
    Subscribe, Unsubscribe,
};
use rumqttd::{Router, RouterConfig, SegmentConfig};
use tokio_util::sync::CancellationToken;

/// Messages the router may have on the way to one link for QoS 1; also its highest packet id.
pub(super) const WINDOW: u16 = 100;

/// Bytes and number of the log's parts for a filter with wildcards: what a slow subscriber may be behind.
const WIDE: (usize, usize) = (1 << 20, 10);
/// The same for a filter of one topic.
const NARROW: (usize, usize) = (256 << 10, 8);

type Build = dyn Fn(&str, bool) -> Result<(LinkTx, LinkRx), Gone> + Send + Sync;

/// The router is gone; its supervisor makes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the router has stopped")]
pub(super) struct Gone;

/// One router, from its start to its death.
pub(super) struct RouterHandle {
    build: Arc<Build>,
    full: Box<dyn Fn() -> bool + Send + Sync>,
    publisher: Mutex<LinkTx>,
    names: Arc<Names>,
    /// Cancelled when the router has died.
    pub(super) dead: CancellationToken,
}

/// Hands the router's client names out. The router remembers every name for ever, so they are few and used again.
#[derive(Default)]
struct Names {
    free: Mutex<(Vec<u32>, u32)>,
}

/// A name in the router, given back when dropped.
pub(super) struct Name {
    number: u32,
    names: Arc<Names>,
}

/// A session's place in the router: it takes it with the first subscription and leaves it when dropped.
pub(super) struct Link {
    tx: LinkTx,
    rx: LinkRx,
    // Given back after the drop below has told the router.
    _name: Arc<Name>,
}

impl RouterHandle {
    /// Starts a router for at most `links` links. What comes back beside it ends with an error when the router dies.
    ///
    /// # Errors
    /// The router does not answer.
    pub(super) fn start(links: usize) -> anyhow::Result<(Self, LinkRx)> {
        let segment = |(max_segment_size, max_segment_count)| SegmentConfig {
            max_segment_size,
            max_segment_count,
        };
        let sender = Router::new(
            0,
            RouterConfig {
                max_connections: links + 2,
                max_outgoing_packet_count: 1000,
                max_segment_size: WIDE.0,
                max_segment_count: WIDE.1,
                custom_segment: Some([("n/#".to_owned(), segment(NARROW))].into()),
                ..RouterConfig::default()
            },
        )
        .spawn();
        let full = Box::new({
            let sender = sender.clone();
            move || sender.is_full()
        });
        let build: Arc<Build> = Arc::new(move |name, clean| {
            let link = LinkBuilder::new(name, sender.clone()).clean_session(clean).build();
            link.map(|(tx, rx, _)| (tx, rx)).map_err(|_| Gone)
        });
        let (publisher, watch) = build("hub", true).context("starting the message router")?;
        let handle = Self {
            build,
            full,
            publisher: Mutex::new(publisher),
            names: Arc::default(),
            dead: CancellationToken::new(),
        };
        Ok((handle, watch))
    }

    /// A name for a new link.
    pub(super) fn name(&self) -> Arc<Name> {
        let mut free = self.names.free.lock();
        let number = free.0.pop().unwrap_or_else(|| {
            free.1 += 1;
            free.1
        });
        Arc::new(Name { number, names: self.names.clone() })
    }

    /// Enters the router. `clean` forgets what it has queued under the name; without it, messages are queued on when the
    /// link is dropped.
    pub(super) async fn link(&self, name: Arc<Name>, clean: bool) -> Result<Link, Gone> {
        let build = self.build.clone();
        // The router's answer is waited for without an await. The link is made whole in there: if nobody waits for it any
        // more, its drop still tells the router.
        let built = tokio::task::spawn_blocking(move || {
            let (tx, rx) = build(&format!("c{}", name.number), clean)?;
            Ok(Link { tx, rx, _name: name })
        });
        built.await.unwrap_or(Err(Gone))
    }

    /// Publishes a batch and leaves it empty. Waits while the router has much to do.
    pub(super) async fn publish(&self, batch: &mut Vec<Packet>) -> Result<(), Gone> {
        let Some(last) = batch.pop() else { return Ok(()) };
        while (self.full)() {
            if self.dead.is_cancelled() {
                return Err(Gone);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut publisher = self.publisher.lock();
        publisher.buffer().extend(batch.drain(..));
        now(publisher.send(last))
    }
}

impl Link {
    /// Subscribes to a slot, always with QoS 1: its window bounds what the router sends before the session has dealt with
    /// it. With QoS 0 the router would pause and wait for a request to go on, which kills it if the link has just left.
    pub(super) fn subscribe(&mut self, slot: &Bytes) -> Result<(), Gone> {
        let filter = Filter {
            path: text(slot),
            qos: QoS::AtLeastOnce,
            nolocal: false,
            preserve_retain: false,
            retain_forward_rule: RetainForwardRule::Never,
        };
        self.send(Packet::Subscribe(Subscribe { pkid: 1, filters: vec![filter] }, None))
    }

    /// Ends the subscription to a slot.
    pub(super) fn unsubscribe(&mut self, slot: &Bytes) -> Result<(), Gone> {
        self.send(Packet::Unsubscribe(Unsubscribe { pkid: 1, filters: vec![text(slot)] }, None))
    }

    /// Acknowledges messages, which have to come in the order in which the router sent them.
    pub(super) fn acknowledge(&mut self, ids: &mut Vec<u16>) -> Result<(), Gone> {
        let Some(last) = ids.pop() else { return Ok(()) };
        let packet = |pkid| Packet::PubAck(PubAck { pkid, reason: PubAckReason::Success }, None);
        self.tx.buffer().extend(ids.drain(..).map(packet));
        self.send(packet(last))
    }

    /// The next packet for the client. `Ok(None)`: the router found no room and pauses for ever.
    pub(super) async fn next(&mut self) -> Result<Option<Packet>, Gone> {
        loop {
            // The router's queue is taken over as a whole; it may have been taken already.
            if let Some(notification) = self.rx.next().await.map_err(|_| Gone)? {
                return Ok(notification.into());
            }
        }
    }

    /// What [`Link::next`] would answer, if it is there already. A timeout of zero would cost a millisecond.
    pub(super) fn try_next(&mut self) -> Option<Result<Option<Packet>, Gone>> {
        match pin!(self.rx.next()).poll(&mut Poll::from_waker(Waker::noop())) {
            Polled::Ready(Ok(Some(notification))) => Some(Ok(notification.into())),
            Polled::Ready(Ok(None)) | Polled::Pending => None,
            Polled::Ready(Err(_)) => Some(Err(Gone)),
        }
    }

    fn send(&mut self, packet: Packet) -> Result<(), Gone> {
        now(self.tx.send(packet))
    }
}

impl Drop for Link {
    // Also when the session's task unwinds: the router must not wait for a session that is gone.
    fn drop(&mut self) {
        let reason_code = DisconnectReasonCode::NormalDisconnection;
        if self.send(Packet::Disconnect(Disconnect { reason_code }, None)).is_err() {
            tracing::debug!("the router was gone before a link left it");
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.names.free.lock().0.push(self.number);
    }
}

/// `LinkTx::send` is declared async, and awaits nothing.
fn now(send: impl Future<Output = Result<usize, LinkError>>) -> Result<(), Gone> {
    match pin!(send).poll(&mut Poll::from_waker(Waker::noop())) {
        Polled::Ready(Ok(_)) => Ok(()),
        Polled::Ready(Err(_)) | Polled::Pending => Err(Gone),
    }
}

fn text(slot: &Bytes) -> String {
    String::from_utf8_lossy(slot).into_owned()
}
