//! One client, from its CONNACK to its end.

mod ending;
mod inbound;
mod outbound;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rumqttd::protocol::{ConnAckProperties, ConnectReturnCode, Packet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::ending::End;
use self::inbound::Known;
use self::outbound::Outbound;
use super::access::Rights;
use super::codec::Version;
use super::flow::Following;
use super::gate::{Batch, Gate};
use super::message::Heard;
use super::retained::Usage;
use super::router::{Gone, Link, Name, RouterHandle};
use super::routes::{Direct, Direction};
use super::subscriptions::{Subscription, Way, not_granted};
use super::takeover::Client;
use super::will::Will;

pub(super) use self::ending::FAREWELL;

/// How long a client may take to accept what is written to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Messages a session served by the gate may be behind.
const INBOX: usize = 1000;
/// Bytes read at once: the least, for idle clients, and the most.
const READ: (usize, usize) = (2 << 10, 64 << 10);

/// What was agreed at the login.
pub(super) struct Terms {
    pub(super) version: Version,
    pub(super) client: Arc<str>,
    pub(super) user: Option<Arc<str>>,
    pub(super) peer: IpAddr,
    pub(super) rights: Arc<Rights>,
    pub(super) clean: bool,
    /// Seconds; 0: none.
    pub(super) keep_alive: u16,
    /// Seconds the session outlives its connection.
    pub(super) expiry: u32,
    /// Whether the client asked for more than that.
    pub(super) expiry_cut: bool,
    /// Messages of QoS 1 the client takes at once.
    pub(super) receive_max: u16,
    /// Largest packet the client takes, in bytes.
    pub(super) packet_max: usize,
    pub(super) will: Option<Will>,
    /// Whether the client id was made by us.
    pub(super) assigned: bool,
}

struct Session<S> {
    gate: Arc<Gate>,
    router: Arc<RouterHandle>,
    io: S,
    version: Version,
    client: Arc<str>,
    user: Option<Arc<str>>,
    rights: Arc<Rights>,
    /// Tells this session from all others, also of the same client.
    number: u32,
    usage: Arc<Usage>,
    expiry: u32,
    read: BytesMut,
    read_size: usize,
    write: BytesMut,

    // From the client.
    topics: HashMap<Arc<str>, Known>,
    /// Packet ids of QoS 2 messages that were received but not released.
    received: HashSet<u16>,
    heard: Vec<Heard>,
    batch: Batch,
    denied: u64,

    // To the client.
    subscriptions: HashMap<Arc<str>, Subscription>,
    /// Filter of each slot, for what the router sends.
    slots: HashMap<bytes::Bytes, (Arc<str>, Following)>,
    link: Option<Link>,
    /// Answers the router owes to subscriptions.
    answers: usize,
    /// Name in the router; with `resumable`, what it queues under it survives the link.
    name: Option<Arc<Name>>,
    resumable: bool,
    direct: Direct,
    inbox: mpsc::Receiver<Direction>,
    out: Outbound,
}

/// Serves a client that has logged in. `read` is what it sent after its CONNECT.
pub(super) async fn run<S>(gate: Arc<Gate>, io: S, read: BytesMut, mut terms: Terms)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let client = Client {
        id: terms.client.clone(),
        user: terms.user.clone(),
        peer: terms.peer,
        version: terms.version,
        since: SystemTime::now(),
    };
    let stop = gate.stop.clone();
    let seat = tokio::select! {
        seat = gate.clients.enter(client, &terms.rights, terms.clean) => seat,
        () = stop.cancelled() => None,
    };
    let Some(mut seat) = seat else { return };
    let dismissed = seat.dismissed();
    // Its user may have gone since it logged in; from here on it would be dismissed.
    if !gate.access.holds(terms.user.as_deref(), &terms.rights) {
        dismissed.cancel();
    }
    gate.keep_will_back(&terms.client);
    let will = terms.will.take();
    let (client, peer) = (terms.client.clone(), terms.peer);
    let router = gate.router();
    let mut session = match Session::open(gate, router.clone(), io, read, terms).await {
        Ok(session) => session,
        Err(error) => {
            tracing::info!(client.id = %client, %peer, %error, "client not served");
            return;
        }
    };
    tracing::info!(client.id = %client, %peer, "client connected");
    let missed = session.direct.missed.clone();
    let end = tokio::select! {
        biased;
        clean = seat.pushed() => End::Pushed { clean },
        () = stop.cancelled() => End::Stopping,
        () = dismissed.cancelled() => End::Dismissed,
        () = router.dead.cancelled() => Gone.into(),
        () = missed.cancelled() => End::Slow,
        end = session.exchange() => match end {
            Ok(never) => match never {},
            Err(end) => end,
        },
    };
    tracing::info!(client.id = %client, %peer, end = %end, "client disconnected");
    session.finish(end, will, seat).await;
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Takes up the client's session, or begins one, and prepares the CONNACK.
    async fn open(
        gate: Arc<Gate>,
        router: Arc<RouterHandle>,
        io: S,
        read: BytesMut,
        terms: Terms,
    ) -> Result<Self, End> {
        let sleeper = match terms.clean {
            true => {
                gate.sleepers.end(&terms.client).await;
                None
            }
            false => gate.sleepers.wake(&terms.client, terms.user.as_ref(), &router).await,
        };
        let (number, (inbox_in, inbox)) = (gate.number(), mpsc::channel(INBOX));
        let usage = gate.retained.usage(&terms.client);
        let expiry = if gate.sleepers.room(&terms.client) { terms.expiry } else { 0 };
        let mut session = Self {
            version: terms.version,
            client: terms.client.clone(),
            user: terms.user.clone(),
            rights: terms.rights.clone(),
            number,
            usage,
            expiry,
            io,
            read,
            read_size: READ.0,
            write: BytesMut::new(),
            topics: HashMap::new(),
            received: HashSet::new(),
            heard: Vec::new(),
            batch: Batch::default(),
            denied: 0,
            subscriptions: HashMap::new(),
            slots: HashMap::new(),
            link: None,
            answers: 0,
            name: None,
            resumable: sleeper.is_some() || expiry > 0,
            direct: Direct { session: number, inbox: inbox_in, missed: CancellationToken::new() },
            inbox,
            out: Outbound::new(terms.receive_max, terms.packet_max),
            gate,
            router,
        };
        session.greet(&terms, sleeper.is_some(), expiry != terms.expiry || terms.expiry_cut);
        if session.resumable {
            if let Some(sleeper) = sleeper {
                session.subscriptions = sleeper.subscriptions;
                session.received = sleeper.received;
                session.name = Some(sleeper.name);
            }
            session.resume().await?;
        }
        Ok(session)
    }

    /// Enters the router under the session's name and takes its subscriptions up again.
    async fn resume(&mut self) -> Result<(), End> {
        let name = self.name.get_or_insert_with(|| self.router.name()).clone();
        let mut link = self.router.link(name, false).await?;
        // The router resumes its queues but forgets who may unsubscribe from them, unless it is told again.
        for (filter, subscription) in &self.subscriptions {
            if let Way::Slot(slot) = &subscription.way {
                link.subscribe(slot)?;
                let follow =
                    self.gate.routes.follow(&subscription.filter, self.number, &self.client);
                self.slots.extend(follow.map(|flow| (slot.clone(), (filter.clone(), flow))));
            }
        }
        self.link = Some(link);
        let rights = self.rights.clone();
        self.answers = self.subscriptions.len();
        for filter in not_granted(&self.subscriptions, |filter| rights.may_subscribe(filter)) {
            self.unsubscribe(&filter).await?;
        }
        Ok(())
    }

    fn greet(&mut self, terms: &Terms, present: bool, expiry_changed: bool) {
        let settings = &self.gate.settings;
        let properties = ConnAckProperties {
            session_expiry_interval: expiry_changed.then_some(self.expiry),
            receive_max: Some(settings.receive_max),
            max_packet_size: u32::try_from(settings.max_packet).ok(),
            assigned_client_identifier: terms.assigned.then(|| terms.client.to_string()),
            topic_alias_max: Some(0),
            shared_subscription_available: Some(0),
            ..ConnAckProperties::default()
        };
        let code = ConnectReturnCode::Success;
        self.version.connack(code, present, Some(properties), &mut self.write);
        // One and a half times what the client promised (MQTT 3.1.2.10).
        self.out.silence = match terms.keep_alive {
            0 => settings.idle,
            seconds => Duration::from_millis(u64::from(seconds) * 1500),
        };
    }

    /// Serves the client until it ends by itself.
    async fn exchange(&mut self) -> Result<Infallible, End> {
        let mut deadline = Instant::now() + self.out.silence;
        loop {
            self.take_in().await?;
            self.deliver();
            self.flush().await?;
            self.acknowledge()?;
            self.read.reserve(self.read_size);
            let settled = self.batch.is_settled();
            tokio::select! {
                // A publisher is not read while a subscriber has to catch up, but goes on receiving.
                () = self.batch.settle(), if !settled => deadline = Instant::now() + self.out.silence,
                read = timeout_at(deadline, self.io.read_buf(&mut self.read)), if settled => {
                    match read {
                        Err(_) => return Err(End::Idle),
                        Ok(read) => match read? {
                            0 => return Err(End::Closed),
                            length => self.resize(length),
                        }
                    }
                    deadline = Instant::now() + self.out.silence;
                }
                packet = next(&mut self.link) => self.take_from_router(packet?)?,
                Some(direction) = self.inbox.recv(), if self.out.pending.is_empty() => {
                    self.directed(direction);
                    while let Ok(direction) = self.inbox.try_recv() {
                        self.directed(direction);
                    }
                }
            }
        }
    }

    /// Reads more at once from a client that fills its buffer, and little from one that does not.
    fn resize(&mut self, length: usize) {
        if length >= self.read_size {
            self.read_size = (2 * self.read_size).min(READ.1);
        } else if length < self.read_size / 4 {
            self.read_size = (self.read_size / 2).max(READ.0);
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.write.is_empty() {
            return Ok(());
        }
        let (io, write) = (&mut self.io, &mut self.write);
        let all = async {
            // Piece by piece: if the session is ended in the midst, what is left is still in order.
            while !write.is_empty() {
                if io.write_buf(write).await? == 0 {
                    return Err(io::Error::from(io::ErrorKind::WriteZero));
                }
            }
            io.flush().await
        };
        match timeout(WRITE_TIMEOUT, all).await {
            Ok(written) => written?,
            Err(_) => return Err(End::Slow),
        }
        if self.write.capacity() > READ.1 {
            self.write = BytesMut::new();
        }
        Ok(())
    }
}

/// A task that unwinds must not leave filters behind: they would be matched, and hold their slots, for ever.
impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        for (filter, subscription) in self.subscriptions.drain() {
            subscription.leave(&self.gate.routes, &filter);
        }
    }
}

async fn next(link: &mut Option<Link>) -> Result<Option<Packet>, Gone> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}
