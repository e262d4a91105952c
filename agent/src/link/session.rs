//! One session with a broker, from CONNECT to its end.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use chrono::{DateTime, SubsecRound as _, Utc};
use fletchck_shared::config::Protocol;
use tokio::{
    io::split,
    sync::mpsc::error::TrySendError,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Arrived, Greeting, Link, LinkState,
    dial::dial,
    failure::{self, Failure},
    frame::{self, Frame, Frames},
    outbox::{Outbox, Publication},
    packet::{self, Filter, Hello, Incoming, Limits, Publish},
    sending::{Dropped, Sending},
    settings::{Settings, Subscription},
    wire::{Output, Reader, Writer},
};

/// Time for the answer to CONNECT.
pub(super) const CONNACK: Duration = Duration::from_secs(10);

/// Time for what waits to go out after the link was told to stop, and then for the farewell.
const FLUSH: Duration = Duration::from_millis(1500);
const FAREWELL: Duration = Duration::from_millis(500);

/// Time for the outbox to forget what was sent, at the end of a session.
const FORGET: Duration = Duration::from_secs(1);

/// Packet id of the one SUBSCRIBE. Ids of messages begin at 1 and reach this one long after it was answered.
const SUBSCRIBE_ID: u16 = u16::MAX;

/// A session that the broker has accepted.
pub(super) struct Opened {
    reader: Reader,
    writer: Writer,
    protocol: Protocol,
    connected: DateTime<Utc>,
    pub(super) session_present: bool,
    limits: Limits,
}

/// How a session ended, and what the next one must know.
pub(super) struct Ended {
    /// `None`: the link was told to stop.
    pub(super) failure: Option<Failure>,
    /// The oldest unacknowledged row and its bytes.
    pub(super) oldest: Option<(i64, usize)>,
    /// Whether messages went out with QoS 2.
    pub(super) qos2: bool,
}

/// Connects and waits until the broker accepts.
///
/// # Errors
/// Why there is no session.
pub(super) async fn open(
    settings: &Settings,
    protocol: Protocol,
    clean: bool,
) -> Result<Opened, Failure> {
    let (reader, writer) = split(dial(settings).await?);
    let mut output = Output::default();
    // As exact as it travels, so that all that is said of a connection says the same.
    let connected = Utc::now().trunc_subsecs(6);
    let hello = Hello {
        client_id: &settings.client_id,
        username: settings.username.as_deref(),
        password: settings.password.as_ref(),
        keep_alive: settings.keep_alive,
        clean,
        expiry: settings.persist.then_some(super::SESSION_EXPIRY),
        will: settings.will.as_ref().map(|will| (will, connected)),
    };
    output.write(|buffer| packet::connect(protocol, &hello, buffer)).map_err(Failure::Refused)?;
    let mut reader = Reader::new(reader, Frames::default());
    let mut writer = Writer::new(writer, output);
    let answered = async {
        while writer.busy() {
            writer.step().await.map_err(|error| unanswered(protocol, &error))?;
        }
        loop {
            if let Some(cut) = reader.frames.next().map_err(Failure::Malformed)? {
                let Frame::Whole(frame) = cut else {
                    return Err(Failure::Malformed("no CONNACK".into()));
                };
                return packet::read(protocol, frame).map_err(Failure::Malformed);
            }
            match reader.step().await {
                Ok(0) => return Err(Failure::ClosedUnanswered(protocol)),
                Ok(_) => foreign(&reader.frames.buffer)?,
                Err(error) => return Err(unanswered(protocol, &error)),
            }
        }
    };
    match timeout(CONNACK, answered).await.map_err(|_| Failure::NoAnswer)?? {
        Incoming::Accepted { session_present, limits } => {
            Ok(Opened { reader, writer, protocol, connected, session_present, limits })
        }
        Incoming::Refused(code) => Err(Failure::refused(protocol, code, &settings.client_id)),
        _ => Err(Failure::Malformed("no CONNACK".into())),
    }
}

/// Talks until the session ends.
pub(super) async fn talk<O: Outbox, G: Greeting>(link: &Link<O, G>, opened: Opened) -> Ended {
    let sending = Sending::new(link.outbox.clone(), opened.protocol, opened.limits.clone());
    let keep_alive = match opened.limits.keep_alive {
        Some(seconds @ 1..) => Duration::from_secs(seconds.into()),
        _ => link.settings.keep_alive,
    };
    let mut session = Session {
        link,
        reader: opened.reader,
        writer: opened.writer,
        protocol: opened.protocol,
        connected: opened.connected,
        session_present: opened.session_present,
        keep_alive,
        sending,
        held: None,
        ping: None,
        greeted: false,
        stop: Stop::No,
        qos2: Vec::new(),
    };
    let failure = session.run().await.err();
    let mut sending = session.sending;
    let forgotten = async {
        sending.settle(session.writer.written);
        while let Some(forgetting) = sending.forgetting.take() {
            forgetting.await;
            sending.settle(session.writer.written);
        }
    };
    if timeout(FORGET, forgotten).await.is_err() {
        tracing::warn!("sent messages are not yet marked as sent; they will be sent again");
    }
    Ended { failure, oldest: sending.oldest(), qos2: sending.qos2 }
}

struct Session<'a, O, G> {
    link: &'a Link<O, G>,
    reader: Reader,
    writer: Writer,
    protocol: Protocol,
    connected: DateTime<Utc>,
    session_present: bool,
    keep_alive: Duration,
    sending: Sending<O>,
    /// A message that its consumer has no room for. Nothing more is read until it has.
    held: Option<(Arrived, u8, u16)>,
    /// When the unanswered ping was sent.
    ping: Option<Instant>,
    /// Current states were published, after the backlog.
    greeted: bool,
    stop: Stop,
    /// Ids of messages heard with QoS 2 and not yet released.
    qos2: Vec<u16>,
}

#[derive(Clone, Copy)]
enum Stop {
    No,
    /// What waits goes out, until then.
    Flush(Instant),
    /// The farewell goes out, until then.
    Farewell(Instant),
    /// DISCONNECT goes out, until then.
    Leave(Instant),
}

impl<O: Outbox, G: Greeting> Session<'_, O, G> {
    async fn run(&mut self) -> Result<(), Failure> {
        let changed = self.link.outbox.changed();
        let mut again = self.link.greeting.again();
        self.begin()?;
        loop {
            self.take_frames()?;
            self.send();
            if self.leaving() {
                // The peer may be gone already; what had to be said was acknowledged.
                _ = timeout(FAREWELL, self.writer.close()).await;
                return Ok(());
            }
            let deadline = self.beat()?;
            tokio::select! {
                () = self.link.stop.cancelled(), if matches!(self.stop, Stop::No) => {
                    self.stop = Stop::Flush(Instant::now() + FLUSH);
                    self.sending.drained = false;
                    self.held = None;
                }
                read = self.reader.step(), if self.held.is_none() => match read {
                    Ok(0) => {
                        return Err(Failure::Closed(self.link.settings.client_id.clone()));
                    }
                    Ok(_) => {}
                    Err(error) => return Err(Failure::broken(&error)),
                },
                written = self.writer.step(), if self.writer.busy() => {
                    written.map_err(|error| Failure::broken(&error))?;
                }
                permit = self.link.arrived.reserve(), if self.held.is_some() => {
                    if let Some((arrived, qos, id)) = self.held.take() {
                        // Without a consumer the message is nobody's.
                        if let Ok(permit) = permit {
                            permit.send(arrived);
                        }
                        self.answer(qos, id);
                        // The silence was ours.
                        self.reader.at = Instant::now();
                        self.ping = None;
                    }
                }
                rows = ready(&mut self.sending.reading) => {
                    self.sending.reading = None;
                    self.sending.rows(rows);
                }
                () = ready(&mut self.sending.forgetting) => self.sending.forgetting = None,
                Ok(()) = again.changed(), if self.greeted && matches!(self.stop, Stop::No) => {
                    self.sending.add(self.link.greeting.birth(self.connected, self.session_present));
                    self.sending.add(self.link.greeting.states(false));
                }
                () = changed.notified(), if self.sending.drained => {
                    self.sending.drained = !matches!(self.stop, Stop::No | Stop::Flush(_));
                }
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Subscribes and publishes the birth.
    fn begin(&mut self) -> Result<(), Failure> {
        let subscriptions = self.link.subscriptions();
        if !subscriptions.is_empty() {
            let protocol = self.protocol;
            let filters: Vec<_> = subscriptions
                .iter()
                .map(|Subscription { filter, qos, own }| Filter {
                    text: filter.as_str(),
                    qos: *qos,
                    own: *own,
                })
                .collect();
            self.writer
                .output
                .write(|out| packet::subscribe(protocol, SUBSCRIBE_ID, &filters, out))
                .map_err(Failure::Broken)?;
        }
        self.sending.add(self.link.greeting.birth(self.connected, self.session_present));
        let (protocol, session_present) = (self.protocol, self.session_present);
        _ = self.link.state.send(LinkState::Up {
            protocol,
            session_present,
            since: self.connected,
        });
        Ok(())
    }

    fn take_frames(&mut self) -> Result<(), Failure> {
        while self.held.is_none() {
            match self.reader.frames.next().map_err(Failure::Malformed)? {
                None => break,
                Some(Frame::Whole(frame)) => self.take_frame(frame)?,
                Some(Frame::TooLarge { topic, id, qos, bytes, .. }) => {
                    self.link.skipped(&topic, bytes);
                    self.answer(qos, id);
                }
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: BytesMut) -> Result<(), Failure> {
        let message = frame.first().is_some_and(|first| first >> 4 == 3);
        let mark = message.then(|| frame::head(&frame).map(|head| head.map(|h| (h.qos, h.id))));
        match (packet::read(self.protocol, frame), mark) {
            (Ok(incoming), _) => self.take(incoming),
            // A message that cannot be read, and that the broker may keep, must not end session after session.
            (Err(why), Some(Ok(Some((qos, id))))) => {
                let why = format!("it came in and cannot be read: {why}");
                self.link.dropped(Dropped { topic: String::new(), why });
                self.answer(qos, id);
                Ok(())
            }
            (Err(why), _) => Err(Failure::Malformed(why)),
        }
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), Failure> {
        match incoming {
            Incoming::Publish(publish) => self.hear(publish),
            Incoming::PubAck(id, code) | Incoming::PubRec(id, code) => {
                let dropped = self.sending.acknowledge(id, code, &mut self.writer.output)?;
                dropped.into_iter().for_each(|dropped| self.link.dropped(dropped));
            }
            Incoming::PubComp(id) => self.sending.complete(id),
            Incoming::PubRel(id) => {
                self.qos2.retain(|&own| own != id);
                self.writer.output.write(|out| packet::answer(7, id, out));
            }
            Incoming::SubAck(codes) => self.subscribed(&codes),
            Incoming::PingResp => {}
            Incoming::Disconnect(code) => {
                return Err(Failure::ended(code, &self.link.settings.client_id));
            }
            Incoming::Accepted { .. } | Incoming::Refused(_) => {
                return Err(Failure::Malformed("a second CONNACK".into()));
            }
        }
        Ok(())
    }

    fn hear(&mut self, publish: Publish) {
        let Publish { topic, payload, qos, retain, id, connected, .. } = publish;
        if self.link.settings.debug {
            tracing::info!(topic, bytes = payload.len(), qos, retained = retain, "heard");
        }
        if qos == 2 && self.qos2.contains(&id) {
            return self.answer(qos, id);
        }
        if let Some(will) = &self.link.settings.will
            && topic == will.topic.as_str()
        {
            // A death that arrives while we live is an older connection's: whoever reads the topic must not believe it.
            let ours = connected.is_some_and(|at| at >= self.connected);
            if payload == will.payload && !retain && !ours && matches!(self.stop, Stop::No) {
                tracing::info!(
                    "the death of an older connection arrived late, saying again that we live"
                );
                let birth = self.link.greeting.birth(self.connected, self.session_present);
                self.sending.add_first(birth);
            }
            return self.answer(qos, id);
        }
        // Whoever consumes these has stopped, or stops: the broker keeps them for the next session, if it may.
        if !matches!(self.stop, Stop::No) {
            return;
        }
        let arrived =
            Arrived { topic: topic.into(), payload, retained: retain, connected, at: Utc::now() };
        match self.link.arrived.try_send(arrived) {
            Err(TrySendError::Full(arrived)) => self.held = Some((arrived, qos, id)),
            Ok(()) | Err(TrySendError::Closed(_)) => self.answer(qos, id),
        }
    }

    fn answer(&mut self, qos: u8, id: u16) {
        match qos {
            0 => {}
            1 => self.writer.output.write(|out| packet::answer(4, id, out)),
            _ => {
                if !self.qos2.contains(&id) {
                    self.qos2.push(id);
                }
                self.writer.output.write(|out| packet::answer(5, id, out));
            }
        }
    }

    fn subscribed(&self, codes: &[u8]) {
        for (code, Subscription { filter, own, .. }) in codes.iter().zip(self.link.subscriptions())
        {
            match (*code, own) {
                (0..0x80, _) => {}
                // Nothing depends on hearing ourselves.
                (_, true) => tracing::debug!("the broker does not let us hear our own status"),
                (code, false) => {
                    let why =
                        format!("the broker refuses to let us hear it: {}", failure::reason(code));
                    self.link.dropped(Dropped { topic: filter.to_string(), why });
                }
            }
        }
    }

    /// Sends what may be sent, in the order: birth, backlog, current states, news.
    fn send(&mut self) {
        // Behind the backlog, so that the newest state is the last of its topic.
        if !self.greeted && self.sending.drained && matches!(self.stop, Stop::No) {
            self.greeted = true;
            self.sending.add(self.link.greeting.states(self.session_present));
        }
        for dropped in self.sending.fill(&mut self.writer.output) {
            self.link.dropped(dropped);
        }
        self.sending.settle(self.writer.written);
    }

    /// Goes on with leaving; true once all is said.
    fn leaving(&mut self) -> bool {
        let now = Instant::now();
        match self.stop {
            Stop::No => false,
            Stop::Flush(until) if self.sending.idle() || now >= until => {
                self.sending.hold();
                let farewell = |will: &super::Will| Publication {
                    topic: will.topic.as_str().into(),
                    payload: will.payload.clone(),
                    qos: 1,
                    retain: true,
                    connected: Some(self.connected),
                };
                self.sending.add(self.link.settings.farewell.iter().map(farewell).collect());
                self.stop = Stop::Farewell(now + FAREWELL);
                self.send();
                self.leaving()
            }
            Stop::Farewell(_) if self.sending.added_is_sent() => {
                self.writer.output.write(packet::disconnect);
                self.stop = Stop::Leave(now + FAREWELL);
                false
            }
            // Without DISCONNECT: the broker publishes the will, which says the same.
            Stop::Farewell(until) => now >= until,
            Stop::Leave(until) => !self.writer.busy() || now >= until,
            Stop::Flush(_) => false,
        }
    }

    /// Pings a silent broker, and gives it up. Answers with the time to look again.
    fn beat(&mut self) -> Result<Instant, Failure> {
        let now = Instant::now();
        if self.ping.is_some_and(|ping| self.reader.at > ping) {
            self.ping = None;
        }
        // While nothing is read, an answer cannot be; the broker must hear of us all the same.
        let quiet =
            if self.held.is_some() { self.writer.at } else { self.reader.at.min(self.writer.at) };
        let patience = self.keep_alive / 2;
        if self.held.is_some() {
            self.ping = None;
        }
        let mut deadline = match self.ping {
            Some(ping) if now >= ping + patience => return Err(Failure::Silent),
            Some(ping) => ping + patience,
            None if now >= quiet + self.keep_alive => {
                self.writer.output.write(packet::ping);
                self.writer.at = now;
                self.ping = Some(now);
                now + patience
            }
            None => quiet + self.keep_alive,
        };
        if let Stop::Flush(until) | Stop::Farewell(until) | Stop::Leave(until) = self.stop {
            deadline = deadline.min(until);
        }
        Ok(deadline)
    }
}

/// The result of a task, or never where there is none.
async fn ready<T>(task: &mut Option<std::pin::Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// An error before CONNACK. A reset is a broker's way to refuse, too.
fn unanswered(protocol: Protocol, error: &io::Error) -> Failure {
    match Failure::broken(error) {
        Failure::Broken(_) => Failure::ClosedUnanswered(protocol),
        failure => failure,
    }
}

/// Names a peer that is no broker by its first bytes.
fn foreign(bytes: &[u8]) -> Result<(), Failure> {
    match bytes {
        [0x15, ..] => Err(Failure::Tls("the port speaks TLS; set `mqtt.tls`".into())),
        [b'H', b'T', b'T', b'P', ..] => Err(Failure::Malformed("the port speaks HTTP".into())),
        _ => Ok(()),
    }
}

impl<O, G> Link<O, G> {
    /// What is subscribed to: what the settings say, and our own status, so that an older connection's death does not
    /// stand in our place.
    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        let own = self.settings.will.as_ref().and_then(|will| {
            let filter = fletchck_shared::topic::TopicFilter::try_from(will.topic.as_str()).ok()?;
            Some(Subscription { filter, qos: 1, own: true })
        });
        self.settings.subscriptions.iter().cloned().chain(own).collect()
    }

    pub(super) fn dropped(&self, dropped: Dropped) {
        let count = self.counters.count();
        // A broker that refuses everything must not fill the log.
        if count <= 10 || count.is_power_of_two() {
            tracing::warn!(topic = dropped.topic, count, "a message was given up: {}", dropped.why);
        }
        // Nobody need listen.
        _ = self.notices.send(Arc::new(dropped));
    }

    pub(super) fn skipped(&self, topic: &str, bytes: usize) {
        self.dropped(Dropped {
            topic: topic.into(),
            why: format!("{bytes} bytes came in, and nothing is taken over {}", super::PAYLOAD_MAX),
        });
    }
}
