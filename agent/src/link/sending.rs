//! What goes out in one session: in order, no more at once than the broker takes, and forgotten only once the broker has
//! it.
//!
//! The outbox is the only memory. A new session begins with its oldest row again, whatever the broker remembers of the
//! old one: states are idempotent, so that twice is harmless where never is not.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use fletchck_shared::{config::Protocol, wire::PAYLOAD_MAX};
use tokio::time::sleep;

use super::{
    failure::{self, Failure},
    outbox::{Outbox, Outgoing, Publication},
    packet::{self, Limits, PUBLISH_OVERHEAD, Publish},
    wire::Output,
};

/// Unacknowledged messages at once, where the broker takes as many.
const WINDOW: usize = 100;

/// Messages at once that are not yet forgotten, those with QoS 0 included.
const FLIGHT_MAX: usize = 1024;

/// Rows read from the outbox at once.
const ROWS: usize = 256;

/// Bytes waiting for the socket beyond which no more are added.
const OUTPUT_MAX: usize = 64 * 1024;

/// Wait before the outbox is tried again after it failed.
const OUTBOX_RETRY: Duration = Duration::from_secs(1);

/// MQTT 5's code for a message that the broker has no room for now.
const QUOTA: u8 = 0x97;

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A message that was given up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its topic.
    pub topic: String,
    /// Why it was given up.
    pub why: String,
}

/// What goes out in one session.
pub(super) struct Sending<O> {
    outbox: Arc<O>,
    protocol: Protocol,
    limits: Limits,
    queue: VecDeque<Item>,
    flight: VecDeque<Flight>,
    last_id: u16,
    /// Whether a message went out with QoS 2.
    pub(super) qos2: bool,
    after: i64,
    /// The outbox had no more at the last look.
    pub(super) drained: bool,
    /// Rows being read.
    pub(super) reading: Option<Task<Vec<Outgoing>>>,
    /// Rows being forgotten.
    pub(super) forgetting: Option<Task<()>>,
    acknowledged: Vec<i64>,
}

struct Item {
    row: Option<i64>,
    /// `None`: a later message on the same topic says all that this one does.
    message: Option<Publication>,
}

struct Flight {
    row: Option<i64>,
    topic: String,
    bytes: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// QoS 0: done once this many bytes of the session are written.
    Written(u64),
    /// QoS 1, by packet id.
    Published(u16),
    /// QoS 2, not yet known to the broker.
    Offered(u16),
    /// QoS 2, known to the broker.
    Released(u16),
    Done,
}

impl Flight {
    fn done(row: Option<i64>, topic: String, bytes: usize) -> Self {
        Self { row, topic, bytes, stage: Stage::Done }
    }
}

impl<O: Outbox> Sending<O> {
    pub(super) fn new(outbox: Arc<O>, protocol: Protocol, limits: Limits) -> Self {
        Self {
            outbox,
            protocol,
            limits,
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            last_id: 0,
            qos2: false,
            after: 0,
            drained: false,
            reading: None,
            forgetting: None,
            acknowledged: Vec::new(),
        }
    }

    /// Adds messages behind all that wait.
    pub(super) fn add(&mut self, messages: Vec<Publication>) {
        let item = |message| Item { row: None, message: Some(message) };
        self.queue.extend(messages.into_iter().map(item));
    }

    /// Puts messages before all that wait.
    pub(super) fn add_first(&mut self, messages: Vec<Publication>) {
        for message in messages.into_iter().rev() {
            self.queue.push_front(Item { row: None, message: Some(message) });
        }
    }

    /// Lets everything that waits wait for the next session.
    pub(super) fn hold(&mut self) {
        self.queue.clear();
        self.reading = None;
        self.drained = true;
    }

    /// Rows of the outbox, oldest first.
    pub(super) fn rows(&mut self, rows: Vec<Outgoing>) {
        self.drained = rows.is_empty();
        self.after = rows.last().map_or(self.after, |row| row.id);
        let mut later = HashSet::new();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows.into_iter().rev() {
            let superseded = row.retain && !row.keep && later.contains(&row.topic);
            if row.retain && !superseded {
                later.insert(row.topic.clone());
            }
            let message = Publication {
                topic: row.topic,
                payload: row.payload,
                qos: row.qos,
                retain: row.retain,
                connected: None,
            };
            items.push(Item { row: Some(row.id), message: (!superseded).then_some(message) });
        }
        self.queue.extend(items.into_iter().rev());
    }

    /// Sends what the broker takes now. Answers with what was given up.
    pub(super) fn fill(&mut self, out: &mut Output) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        while out.waiting() < OUTPUT_MAX && self.flight.len() < FLIGHT_MAX {
            let Some(item) = self.queue.front() else { break };
            let qos = item.message.as_ref().map_or(0, |m| m.qos.min(self.limits.qos_max));
            if qos > 0 && self.unacknowledged() >= self.window() {
                break;
            }
            let Some(Item { row, message }) = self.queue.pop_front() else { break };
            let flight = match message {
                None => Flight::done(row, String::new(), 0),
                Some(message) => self.send(row, message, qos, out, &mut dropped),
            };
            self.flight.push_back(flight);
        }
        if self.queue.len() < WINDOW && !self.drained && self.reading.is_none() {
            self.read();
        }
        dropped
    }

    fn send(
        &mut self,
        row: Option<i64>,
        message: Publication,
        qos: u8,
        out: &mut Output,
        dropped: &mut Vec<Dropped>,
    ) -> Flight {
        let bytes = message.topic.len() + message.payload.len();
        if let Some(why) = self.too_large(bytes, message.payload.len()) {
            dropped.push(Dropped { topic: message.topic.clone(), why });
            return Flight::done(row, message.topic, bytes);
        }
        let id = if qos == 0 { 0 } else { self.new_id() };
        let topic = message.topic.clone();
        let publish = Publish {
            topic: message.topic,
            payload: message.payload,
            qos,
            retain: message.retain && self.limits.retain,
            again: false,
            id,
            connected: message.connected,
            expiry: None,
        };
        let write = |buffer: &mut BytesMut| packet::publish(self.protocol, &publish, buffer);
        if let Err(why) = out.write(write) {
            dropped.push(Dropped { topic: topic.clone(), why });
            return Flight::done(row, topic, bytes);
        }
        self.qos2 |= qos == 2;
        let stage = match qos {
            0 => Stage::Written(out.queued()),
            1 => Stage::Published(id),
            _ => Stage::Offered(id),
        };
        Flight { row, topic, bytes, stage }
    }

    /// Takes PUBACK and PUBREC with its code. Answers with the message, if the broker refuses it for good.
    ///
    /// # Errors
    /// The broker has no room. The message stays for another session; going on would let later ones pass it.
    pub(super) fn acknowledge(
        &mut self,
        id: u16,
        code: u8,
        out: &mut Output,
    ) -> Result<Option<Dropped>, Failure> {
        let own = |flight: &&mut Flight| matches!(flight.stage, Stage::Published(own) | Stage::Offered(own) if own == id);
        let Some(flight) = self.flight.iter_mut().find(own) else { return Ok(None) };
        if code == QUOTA {
            return Err(Failure::Quota);
        }
        if code >= 0x80 {
            flight.stage = Stage::Done;
            let why = format!("the broker refuses it: {}", failure::reason(code));
            return Ok(Some(Dropped { topic: flight.topic.clone(), why }));
        }
        if matches!(flight.stage, Stage::Offered(_)) {
            flight.stage = Stage::Released(id);
            out.write(|buffer| packet::answer(6, id, buffer));
        } else {
            flight.stage = Stage::Done;
        }
        Ok(None)
    }

    /// Takes PUBCOMP.
    pub(super) fn complete(&mut self, id: u16) {
        if let Some(flight) = self.flight.iter_mut().find(|f| f.stage == Stage::Released(id)) {
            flight.stage = Stage::Done;
        }
    }

    /// Forgets what the broker has. Only from the oldest on: otherwise an older message that was not acknowledged would
    /// be sent after a newer one of its topic that was, at the next session.
    pub(super) fn settle(&mut self, written: u64) {
        for flight in &mut self.flight {
            if matches!(flight.stage, Stage::Written(bytes) if bytes <= written) {
                flight.stage = Stage::Done;
            }
        }
        while self.flight.front().is_some_and(|flight| flight.stage == Stage::Done) {
            let row = self.flight.pop_front().and_then(|flight| flight.row);
            self.acknowledged.extend(row);
        }
        if !self.acknowledged.is_empty() && self.forgetting.is_none() {
            let ids = std::mem::take(&mut self.acknowledged);
            let outbox = self.outbox.clone();
            self.forgetting = Some(Box::pin(async move {
                while let Err(error) = outbox.sent(ids.clone()).await {
                    tracing::warn!(error = %error, "sent messages cannot be marked as sent");
                    sleep(OUTBOX_RETRY).await;
                }
            }));
        }
    }

    /// Whether nothing waits, neither here nor for the broker.
    pub(super) fn idle(&self) -> bool {
        self.drained
            && self.queue.is_empty()
            && self.flight.is_empty()
            && self.reading.is_none()
            && self.forgetting.is_none()
    }

    /// Whether everything added was sent and acknowledged.
    pub(super) fn added_is_sent(&self) -> bool {
        self.queue.is_empty()
            && self.flight.iter().all(|f| f.row.is_some() || f.stage == Stage::Done)
    }

    /// The oldest unacknowledged row and its bytes.
    pub(super) fn oldest(&self) -> Option<(i64, usize)> {
        let flight = self.flight.iter().find(|flight| flight.stage != Stage::Done)?;
        flight.row.map(|row| (row, flight.bytes))
    }

    fn too_large(&self, bytes: usize, payload: usize) -> Option<String> {
        if payload > PAYLOAD_MAX {
            return Some(format!("it has {payload} bytes, and nobody takes over {PAYLOAD_MAX}"));
        }
        let max = usize::try_from(self.limits.packet_max?).unwrap_or(usize::MAX);
        (bytes + PUBLISH_OVERHEAD > max)
            .then(|| format!("it has {bytes} bytes, and the broker takes packets up to {max}"))
    }

    fn unacknowledged(&self) -> usize {
        let open = |flight: &&Flight| !matches!(flight.stage, Stage::Written(_) | Stage::Done);
        self.flight.iter().filter(open).count()
    }

    fn window(&self) -> usize {
        WINDOW.min(self.limits.receive_max.into())
    }

    fn new_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = self.last_id;
            let used = |flight: &Flight| {
                matches!(
                    flight.stage,
                    Stage::Published(own) | Stage::Offered(own) | Stage::Released(own) if own == id
                )
            };
            // At most a window's worth of ids is in use, so this ends.
            if !self.flight.iter().any(used) {
                return id;
            }
        }
    }

    fn read(&mut self) {
        let (outbox, after) = (self.outbox.clone(), self.after);
        self.reading = Some(Box::pin(async move {
            loop {
                match outbox.next(after, ROWS).await {
                    Ok(rows) => return rows,
                    Err(error) => {
                        tracing::warn!(error = %error, "messages to publish cannot be read");
                        sleep(OUTBOX_RETRY).await;
                    }
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::outbox::MemoryOutbox, *};

    fn row(id: i64, topic: &str, qos: u8, keep: bool) -> Outgoing {
        let payload = id.to_string().into();
        Outgoing { id, topic: topic.into(), payload, qos, retain: true, keep }
    }

    fn sending(limits: Limits) -> Sending<MemoryOutbox> {
        Sending::new(Arc::default(), Protocol::V5, limits)
    }

    fn sent(out: &mut Output) -> Vec<(String, u16)> {
        let mut frames = super::super::frame::Frames::default();
        frames.buffer = out.take();
        let mut sent = Vec::new();
        while let Ok(Some(super::super::frame::Frame::Whole(frame))) = frames.next() {
            match packet::read(Protocol::V5, frame) {
                Ok(packet::Incoming::Publish(p)) => {
                    sent.push((String::from_utf8_lossy(&p.payload).into(), p.id));
                }
                Ok(packet::Incoming::PubRel(id)) => sent.push(("rel".into(), id)),
                other => panic!("{other:?}"),
            }
        }
        sent
    }

    #[test]
    fn only_the_last_of_a_topics_retained_messages_is_sent_but_for_those_to_keep() {
        let mut sending = sending(Limits::default());
        let mut out = Output::default();
        sending.rows(vec![
            row(1, "a", 1, false),
            row(2, "b", 1, false),
            row(3, "a", 1, true),
            row(4, "a", 1, false),
        ]);
        assert!(sending.fill(&mut out).is_empty());
        let payloads: Vec<_> = sent(&mut out).into_iter().map(|(payload, ..)| payload).collect();
        assert_eq!(payloads, ["2", "3", "4"]);
    }

    #[tokio::test]
    async fn rows_are_forgotten_in_order_however_they_are_acknowledged() {
        let mut sending = sending(Limits::default());
        let mut out = Output::default();
        sending.rows(vec![row(1, "a", 1, true), row(2, "a", 1, true), row(3, "a", 1, true)]);
        sending.fill(&mut out);
        assert_eq!(sending.acknowledge(3, 0, &mut out), Ok(None));
        assert_eq!(sending.acknowledge(2, 0, &mut out), Ok(None));
        sending.settle(0);
        assert!(sending.forgetting.is_none(), "the first is not acknowledged");
        assert_eq!(sending.oldest().map(|(row, _)| row), Some(1));
        assert_eq!(sending.acknowledge(1, QUOTA, &mut out), Err(Failure::Quota));
        assert_eq!(sending.oldest().map(|(row, _)| row), Some(1), "it stays");
        assert_eq!(sending.acknowledge(1, 0x10, &mut out), Ok(None));
        sending.settle(0);
        assert!(sending.forgetting.is_some());
        assert!(sending.flight.is_empty());
    }

    #[test]
    fn no_more_is_sent_at_once_than_the_broker_takes() {
        let mut sending = sending(Limits { receive_max: 2, ..Limits::default() });
        let mut out = Output::default();
        sending.rows((1..=5).map(|id| row(id, "a", 1, true)).collect());
        sending.drained = true;
        sending.fill(&mut out);
        assert_eq!(sent(&mut out).len(), 2);
        sending.acknowledge(1, 0, &mut out).expect("acknowledged");
        sending.settle(0);
        sending.fill(&mut out);
        assert_eq!(sent(&mut out), [("3".to_owned(), 3)]);
    }

    #[tokio::test]
    async fn what_is_too_large_or_refused_is_given_up_and_told() {
        let limits = Limits { packet_max: Some(200), ..Limits::default() };
        let mut sending = sending(limits);
        let mut out = Output::default();
        let mut large = row(1, "large", 1, true);
        large.payload = vec![b'x'; 300].into();
        sending.rows(vec![large, row(2, "secret", 1, true)]);
        let dropped = sending.fill(&mut out);
        assert_eq!(dropped[0].topic, "large");
        let refused = sending.acknowledge(1, 0x87, &mut out).expect("room").expect("refused");
        assert_eq!(refused.topic, "secret");
        assert!(refused.why.contains("not authorised"), "{}", refused.why);
        sending.settle(0);
        assert!(sending.flight.is_empty());
    }

    #[tokio::test]
    async fn a_message_with_qos_2_is_done_once_the_broker_has_completed_it() {
        let mut sending = sending(Limits::default());
        let mut out = Output::default();
        sending.rows(vec![row(1, "a", 2, true)]);
        sending.drained = true;
        sending.fill(&mut out);
        assert!(sending.qos2);
        assert_eq!(sent(&mut out), [("1".to_owned(), 1)]);
        assert_eq!(sending.acknowledge(1, 0, &mut out), Ok(None));
        assert_eq!(sent(&mut out), [("rel".to_owned(), 1)]);
        sending.settle(0);
        assert!(sending.oldest().is_some());
        sending.complete(1);
        sending.settle(0);
        assert!(sending.oldest().is_none() && sending.forgetting.is_some());
    }
}
