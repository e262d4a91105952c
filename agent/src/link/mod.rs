//! The link to a broker: it comes back by itself, and nothing is lost on the way.
//!
//! Messages wait in an [`Outbox`] until the broker has acknowledged them, and every session begins with the oldest one
//! that it has not. What is said anew at every session, birth and current states, comes from a [`Greeting`].
//!
//! The packets are rumqttc's; its event loop is not used. That one forgets unacknowledged and queued messages where the
//! broker has no session, waits without a limit for a frozen broker to take bytes, ends the connection at a message that
//! is too large (and meets it again, retained, after the next connect), and cannot stop reading without stopping to ping.

mod backoff;
mod birth;
mod dial;
pub(crate) mod failure;
pub(crate) mod frame;
mod outbox;
pub(crate) mod packet;
#[doc(hidden)]
pub mod properties;
mod sending;
mod session;
mod settings;
mod tls;
mod versions;
mod wire;

use std::{
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fletchck_shared::config::Protocol;
use futures_util::FutureExt as _;
use tokio::{
    sync::{broadcast, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{backoff::Backoff, session::Ended, versions::Versions};
use crate::stay::stay;

pub use birth::{Greeting, Identity};
pub use failure::Failure;
pub use fletchck_shared::wire::PAYLOAD_MAX;
pub use outbox::{MemoryOutbox, Outbox, Outgoing, Publication};
pub use sending::Dropped;
pub use settings::{Settings, Subscription, Will};
pub use tls::{TlsError, Trust};

/// Longest time within which a client with the usual settings is back once its broker is: it may first have to notice that
/// its connection is dead, and then have just begun its longest wait.
pub const BACK_WITHIN: Duration = Duration::from_secs(120);

/// Seconds that a broker keeps a session for a client that is away, with MQTT 5.
const SESSION_EXPIRY: u32 = 3600;

/// A session that held for so long was a good one: the next failure is a first one.
const HELD: Duration = Duration::from_secs(10);

/// Sessions in a row that ended at the same message, and its bytes, from which on it is given up: a broker of version
/// 3.1.1 does not say how much it takes, it hangs up.
const POISON_SESSIONS: u32 = 5;
const POISON_BYTES: usize = 8 * 1024;

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its payload.
    pub payload: Bytes,
    /// Whether the broker had kept it.
    pub retained: bool,
    /// The time of the connection that a status message belongs to, where it says so.
    pub connected: Option<DateTime<Utc>>,
    /// When it came in.
    pub at: DateTime<Utc>,
}

/// How the link stands.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkState {
    /// The first try.
    Connecting,
    /// Connected.
    Up {
        /// Version of MQTT.
        protocol: Protocol,
        /// Whether the broker kept the session before.
        session_present: bool,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Not connected; trying again.
    Down {
        /// Why.
        why: Failure,
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Told to stop.
    Stopped,
}

/// A running link.
#[derive(Debug)]
pub struct Running {
    /// How it stands.
    pub state: watch::Receiver<LinkState>,
    /// What was given up, as it happens.
    pub notices: broadcast::Sender<Arc<Dropped>>,
    /// What was given up, counted.
    pub counters: Arc<Counters>,
    /// Ends after the link was told to stop and has said farewell.
    pub task: JoinHandle<()>,
}

/// What a link has given up since its start.
#[derive(Debug, Default)]
pub struct Counters {
    dropped: AtomicU64,
}

impl Counters {
    /// Messages given up: too large for the broker or for us, or refused.
    pub fn given_up(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn count(&self) -> u64 {
        self.dropped.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Starts a link. It runs until `stop`, then sends what waits and its farewell, for two seconds at most.
///
/// Whoever writes to the outbox stops first, so that its last words go out as well. While `arrived` is full nothing is
/// read from the broker, and the connection stays.
pub fn spawn<O: Outbox, G: Greeting>(
    settings: Settings,
    outbox: Arc<O>,
    greeting: G,
    arrived: mpsc::Sender<Arrived>,
    stop: CancellationToken,
) -> Running {
    let (state, watch) = watch::channel(LinkState::Connecting);
    let notices = broadcast::channel(64).0;
    let counters = Arc::<Counters>::default();
    let link = Link {
        settings,
        outbox,
        greeting,
        arrived,
        state,
        notices: notices.clone(),
        counters: counters.clone(),
        stop,
    };
    let task = tokio::spawn(async move {
        link.stay().await;
        _ = link.state.send(LinkState::Stopped);
    });
    Running { state: watch, notices, counters, task }
}

struct Link<O, G> {
    settings: Settings,
    outbox: Arc<O>,
    greeting: G,
    arrived: mpsc::Sender<Arrived>,
    state: watch::Sender<LinkState>,
    notices: broadcast::Sender<Arc<Dropped>>,
    counters: Arc<Counters>,
    stop: CancellationToken,
}

/// What is kept between sessions.
struct Between {
    versions: Versions,
    backoff: Backoff,
    /// The row that sessions ended at, and how many.
    poison: Option<(i64, u32)>,
    /// Whether messages went out with QoS 2 in the last session; `None`: there was none in this process.
    qos2: Option<bool>,
}

/// Says that there is no connection where the program breaks down over the link: it is gone with it.
struct Held<'a, O: Outbox, G: Greeting>(&'a Link<O, G>);

impl<O: Outbox, G: Greeting> Drop for Held<'_, O, G> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.down(Failure::Broken("the program broke down over it".into()));
        }
    }
}

impl<O: Outbox, G: Greeting> Link<O, G> {
    async fn stay(&self) {
        stay("the link to the broker", self.stop.cancelled(), self, |link| {
            async {
                let _held = Held(link);
                link.run().await;
            }
            .boxed()
        })
        .await;
    }

    async fn run(&self) {
        let mut between = Between {
            versions: Versions::default(),
            backoff: Backoff::new(self.settings.longest_wait),
            poison: None,
            qos2: None,
        };
        loop {
            let attempt = self.attempt(&mut between);
            let Some((failure, again_at_once)) = attempt.await else { return };
            let near = failure.near();
            self.down(failure);
            if again_at_once {
                continue;
            }
            let wait = between.backoff.next(near, &mut rand::rng());
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One try and, if it succeeds, its session. `None`: told to stop.
    async fn attempt(&self, between: &mut Between) -> Option<(Failure, bool)> {
        let protocol = between.versions.next(self.settings.protocol);
        let clean = !self.settings.persist || self.forgets(between).await;
        let opened = tokio::select! {
            () = self.stop.cancelled() => return None,
            opened = session::open(&self.settings, protocol, clean) => opened,
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                let again = between.versions.failed(self.settings.protocol, protocol, &failure);
                return Some((failure, again));
            }
        };
        between.versions.worked(protocol);
        tracing::info!(
            protocol = ?protocol,
            session_present = opened.session_present,
            "connected to the broker at {}:{}", self.settings.host, self.settings.port
        );
        let began = Instant::now();
        let Ended { failure, oldest, qos2 } = session::talk(self, opened).await;
        between.qos2 = Some(qos2);
        let failure = failure?;
        if began.elapsed() >= HELD {
            between.backoff.reset();
        }
        self.poisoned(between, &failure, oldest).await;
        Some((failure, false))
    }

    /// Whether the broker must forget the session it kept, for what was sent in it with QoS 2: it would take a new
    /// message for an unfinished old one with the same packet id. What both sides believe to be finished differs after a
    /// crash of either, so nothing is resumed here; unfinished messages are sent anew from the outbox.
    async fn forgets(&self, between: &Between) -> bool {
        if let Some(qos2) = between.qos2 {
            return qos2;
        }
        match self.outbox.next(0, 1024).await {
            Ok(rows) => rows.iter().any(|row| row.qos == 2),
            Err(error) => {
                tracing::warn!(error = %error, "messages to publish cannot be read");
                false
            }
        }
    }

    /// Gives up a large message that session after session ends at.
    async fn poisoned(
        &self,
        between: &mut Between,
        failure: &Failure,
        oldest: Option<(i64, usize)>,
    ) {
        let hung_up =
            matches!(failure, Failure::Closed(_) | Failure::Broken(_) | Failure::Ended(_));
        let Some((row, _)) = oldest.filter(|&(_, bytes)| hung_up && bytes >= POISON_BYTES) else {
            between.poison = None;
            return;
        };
        let sessions = match between.poison {
            Some((before, sessions)) if before == row => sessions + 1,
            _ => 1,
        };
        between.poison = Some((row, sessions));
        if sessions < POISON_SESSIONS {
            return;
        }
        between.poison = None;
        let topic = match self.outbox.next(row - 1, 1).await {
            Ok(rows) => rows.into_iter().next().map(|row| row.topic).unwrap_or_default(),
            Err(_) => String::new(),
        };
        if let Err(error) = self.outbox.sent(vec![row]).await {
            tracing::warn!(error = %error, "a message that the broker hangs up at cannot be given up");
            return;
        }
        let why = format!("the broker hung up {sessions} times when it was sent");
        self.dropped(Dropped { topic, why });
    }

    /// Says that there is no connection: loudly when the reason is a new one.
    fn down(&self, why: Failure) {
        let mut told = false;
        self.state.send_if_modified(|state| {
            told = matches!(state, LinkState::Down { why: before, .. } if *before == why);
            if told {
                return false;
            }
            let since = match state {
                LinkState::Down { since, .. } => *since,
                _ => Utc::now(),
            };
            *state = LinkState::Down { why: why.clone(), since };
            true
        });
        let address = format!("{}:{}", self.settings.host, self.settings.port);
        if told {
            tracing::debug!("still no connection to the broker at {address}: {why}");
        } else {
            tracing::warn!(
                "no connection to the broker at {address}, trying again for ever: {why}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link<MemoryOutbox, ()> {
        link_over(Arc::default())
    }

    fn link_over<O: Outbox>(outbox: Arc<O>) -> Link<O, ()> {
        let settings = Settings {
            host: "localhost".into(),
            port: 1883,
            tls: None,
            username: None,
            password: None,
            client_id: "nas".into(),
            persist: true,
            protocol: None,
            keep_alive: Duration::from_secs(30),
            longest_wait: backoff::LONGEST,
            will: None,
            farewell: Vec::new(),
            subscriptions: Vec::new(),
            debug: false,
        };
        Link {
            settings,
            outbox,
            greeting: (),
            arrived: mpsc::channel(1).0,
            state: watch::channel(LinkState::Connecting).0,
            notices: broadcast::channel(4).0,
            counters: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    fn between() -> Between {
        Between {
            versions: Versions::default(),
            backoff: Backoff::new(backoff::LONGEST),
            poison: None,
            qos2: None,
        }
    }

    fn message(qos: u8) -> Outgoing {
        let topic = "t".into();
        Outgoing { id: 0, topic, payload: Bytes::new(), qos, retain: true, keep: true }
    }

    #[tokio::test]
    async fn a_large_message_that_the_broker_hangs_up_at_is_given_up() {
        let (link, mut between) = (link(), between());
        let row = link.outbox.add(message(1));
        let closed = Failure::Closed("nas".into());
        for _ in 0..10 {
            link.poisoned(&mut between, &closed, Some((row, 100))).await;
            link.poisoned(&mut between, &Failure::Silent, Some((row, POISON_BYTES))).await;
        }
        assert_eq!(link.outbox.len(), 1, "small, or another failure");
        for _ in 0..POISON_SESSIONS {
            assert_eq!(link.counters.given_up(), 0);
            link.poisoned(&mut between, &closed, Some((row, POISON_BYTES))).await;
        }
        assert_eq!((link.counters.given_up(), link.outbox.len()), (1, 0));
    }

    #[tokio::test]
    async fn a_session_is_forgotten_for_what_was_sent_in_it_with_qos_2() {
        let (link, mut between) = (link(), between());
        assert!(!link.forgets(&between).await);
        link.outbox.add(message(2));
        assert!(link.forgets(&between).await, "of the process before");
        between.qos2 = Some(false);
        assert!(!link.forgets(&between).await);
    }

    #[test]
    fn whoever_waits_for_clients_waits_for_the_slowest() {
        let unnoticed = settings::KEEP_ALIVE * 3 / 2;
        assert!(BACK_WITHIN >= unnoticed + backoff::LONGEST + session::CONNACK);
    }

    /// The program breaks down over it, once.
    #[derive(Default)]
    struct Broken(std::sync::atomic::AtomicBool);

    impl Outbox for Broken {
        type Error = std::convert::Infallible;

        async fn next(&self, _: i64, _: usize) -> Result<Vec<Outgoing>, Self::Error> {
            assert!(self.0.swap(true, Ordering::Relaxed), "on purpose");
            Ok(Vec::new())
        }

        async fn sent(&self, _: Vec<i64>) -> Result<(), Self::Error> {
            Ok(())
        }

        fn changed(&self) -> Arc<tokio::sync::Notify> {
            Arc::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_broke_down_is_said_to_be_down_and_tries_again() {
        let mut link = link_over(Arc::<Broken>::default());
        // Nobody listens on port 0.
        link.settings.port = 0;
        let (mut state, stop) = (link.state.subscribe(), link.stop.clone());
        let task = tokio::spawn(async move { link.stay().await });
        let mut down = async || {
            state.changed().await.expect("it goes on");
            match &*state.borrow_and_update() {
                LinkState::Down { why, .. } => why.clone(),
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(down().await, Failure::Broken(_)));
        assert!(matches!(down().await, Failure::Connect { .. }));
        stop.cancel();
        task.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn it_tries_for_ever_and_stops_at_once() {
        let mut link = link();
        // Nobody listens on port 0.
        link.settings.port = 0;
        let state = link.state.subscribe();
        let stop = link.stop.clone();
        let task = tokio::spawn(async move { link.run().await });
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        assert!(matches!(*state.borrow(), LinkState::Down { .. }), "{:?}", state.borrow());
        assert!(!task.is_finished());
        stop.cancel();
        task.await.expect("it ends");
    }
}
