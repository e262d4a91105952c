//! What a client receives: messages from the router, and those the gate delivers itself.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use rumqttd::protocol::{Packet, Publish, PublishProperties};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::codec::{self, Outgoing};
use super::super::message::{Envelope, Message, left};
use super::super::router::{Link, WINDOW};
use super::super::routes::Direction;
use super::{End, Session};

/// Packet ids of the gate's own deliveries. The router's are 1 to 100.
const OWN: std::ops::RangeInclusive<u16> = 1001..=60_000;
/// Bytes written before the client has to take them.
const WRITE: usize = 64 << 10;

/// The state of a client's deliveries.
pub(super) struct Outbound {
    /// What the router has delivered and the client does not take yet. Never more than the router's window.
    held: VecDeque<(Publish, Option<PublishProperties>)>,
    /// What the gate has to deliver.
    pub(super) pending: VecDeque<Queued>,
    /// How long the client may be silent.
    pub(super) silence: Duration,
    receive_max: usize,
    packet_max: usize,
    /// Ids the router waits for, in its order.
    sent: VecDeque<u16>,
    /// Those of them that were acknowledged out of order.
    early: HashSet<u16>,
    /// Acknowledged in order and not told to the router yet.
    acknowledged: Vec<u16>,
    /// Ids of the gate's own deliveries on the way.
    own: HashSet<u16>,
    last: u16,
    scratch: BytesMut,
}

/// One message the gate has to deliver.
pub(super) struct Queued {
    pub(super) message: Message,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Subscription identifier.
    pub(super) number: Option<usize>,
}

impl Outbound {
    pub(super) fn new(receive_max: u16, packet_max: usize) -> Self {
        Self {
            held: VecDeque::new(),
            pending: VecDeque::new(),
            silence: Duration::MAX,
            receive_max: receive_max.into(),
            packet_max,
            sent: VecDeque::new(),
            early: HashSet::new(),
            acknowledged: Vec::new(),
            own: HashSet::new(),
            last: *OWN.end(),
            scratch: BytesMut::new(),
        }
    }

    /// Whether the client takes one more message of QoS 1.
    fn open(&self) -> bool {
        self.sent.len() + self.own.len() < self.receive_max
    }

    /// Notes an acknowledgement. The router wants those of its messages in order, and none it does not expect.
    pub(super) fn acknowledged(&mut self, id: u16) {
        if id > WINDOW {
            self.own.remove(&id);
            return;
        }
        if self.sent.front() != Some(&id) {
            if self.sent.contains(&id) {
                self.early.insert(id);
            }
            return;
        }
        self.sent.pop_front();
        self.acknowledged.push(id);
        while let Some(next) = self.sent.front().filter(|next| self.early.remove(next)) {
            self.acknowledged.push(*next);
            self.sent.pop_front();
        }
    }

    /// The acknowledgements that the router is to get next, in order.
    fn for_router(&mut self) -> &mut Vec<u16> {
        &mut self.acknowledged
    }

    fn own_id(&mut self) -> u16 {
        loop {
            self.last = if self.last == *OWN.end() { *OWN.start() } else { self.last + 1 };
            if self.own.insert(self.last) {
                return self.last;
            }
        }
    }
}

/// Answers of the router that may be on the way: together with its messages, fewer than it has room for.
pub(super) const ANSWERS: usize = 50;

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Takes what the router has for the client, beginning with `first`. All of it is taken, whatever the client does:
    /// the router waits for the acknowledgement of a hundred messages, and must never wait for room.
    pub(super) fn take_from_router(&mut self, first: Option<Packet>) -> Result<(), End> {
        let mut next = first;
        loop {
            match next {
                Some(Packet::Publish(publish, properties)) => {
                    self.out.held.push_back((publish, properties));
                }
                // The router's own answers: the gate has given them already.
                Some(_) => self.answers = self.answers.saturating_sub(1),
                // It found no room all the same, and pauses. Asking it to go on can kill it: the request may reach it after
                // the link has left. So the client has to come back.
                None => return Err(End::Slow),
            }
            next = match self.link.as_mut().and_then(Link::try_next) {
                Some(next) => next?,
                None => return Ok(()),
            };
        }
    }

    /// Tells the router what the client has, which makes it send more.
    pub(super) fn acknowledge(&mut self) -> Result<(), End> {
        if let Some(link) = &mut self.link {
            link.acknowledge(self.out.for_router())?;
        }
        Ok(())
    }

    fn forward(&mut self, publish: &Publish, properties: Option<PublishProperties>) {
        let id = codec::router_id(publish, &mut self.out.scratch);
        self.out.sent.extend(id);
        if !self.write_forwarded(publish, properties, id) {
            // The client will not acknowledge it, but the router waits for that.
            if let Some(id) = id {
                self.out.acknowledged(id);
            }
        }
    }

    /// Writes one message of the router. Whether the client will acknowledge it.
    fn write_forwarded(
        &mut self,
        publish: &Publish,
        properties: Option<PublishProperties>,
        id: Option<u16>,
    ) -> bool {
        let Some((filter, flow)) = self.slots.get(&publish.topic) else { return false };
        let Some(subscription) = self.subscriptions.get(filter) else { return false };
        let Some((envelope, payload)) = Envelope::open(&publish.payload) else { return false };
        flow.reach(envelope.position);
        // A publisher may have looked the slot up just before it went to another filter.
        if !subscription.filter.matches(envelope.topic)
            || (subscription.no_local && envelope.origin == self.number)
        {
            return false;
        }
        let id = id.filter(|_| subscription.qos.min(envelope.qos) > 0);
        let properties = with_number(properties, subscription.number);
        let message = Outgoing {
            topic: envelope.topic,
            payload,
            id,
            retain: subscription.keep_retain && envelope.retain,
            properties: properties.as_ref(),
        };
        self.version.outgoing(&message, self.out.packet_max, &mut self.write) && id.is_some()
    }

    /// Queues a message that the gate delivers.
    pub(super) fn directed(&mut self, direction: Direction) {
        let Some(subscription) = self.subscriptions.get(&direction.filter) else { return };
        if subscription.no_local && direction.origin == self.number {
            return;
        }
        let message = direction.message;
        self.out.pending.push_back(Queued {
            qos: message.qos.min(subscription.qos),
            retain: subscription.keep_retain && message.retain,
            number: subscription.number,
            message,
        });
    }

    /// Writes what there is for the client, as much as it takes now.
    pub(super) fn deliver(&mut self) {
        while self.out.open() && self.write.len() <= WRITE {
            let Some((publish, properties)) = self.out.held.pop_front() else { break };
            self.forward(&publish, properties);
        }
        while let Some(next) = self.out.pending.front() {
            let window = self.out.open() && self.out.own.len() < usize::from(WINDOW);
            if self.write.len() > WRITE || (next.qos > 0 && !window) {
                return;
            }
            let Some(Queued { message, qos, retain, number }) = self.out.pending.pop_front() else {
                return;
            };
            let mut properties = with_number(message.properties.as_deref().cloned(), number);
            if let Some(at) = message.expires {
                let Some(seconds) = left(at, SystemTime::now()) else { continue };
                properties.get_or_insert_default().message_expiry_interval = Some(seconds);
            }
            let id = (qos > 0).then(|| self.out.own_id());
            let outgoing = Outgoing {
                topic: &message.topic,
                payload: &message.payload,
                id,
                retain,
                properties: properties.as_ref(),
            };
            let written = self.version.outgoing(&outgoing, self.out.packet_max, &mut self.write);
            if let Some(id) = id.filter(|_| !written) {
                self.out.own.remove(&id);
            }
        }
    }
}

fn with_number(
    properties: Option<PublishProperties>,
    number: Option<usize>,
) -> Option<PublishProperties> {
    let Some(number) = number else { return properties };
    let mut properties = properties.unwrap_or_default();
    properties.subscription_identifiers = vec![number];
    Some(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_gets_acknowledgements_in_its_order() {
        let mut out = Outbound::new(u16::MAX, usize::MAX);
        out.sent.extend([1, 2, 3]);
        out.acknowledged(3);
        out.acknowledged(7);
        assert!(out.for_router().is_empty());
        out.acknowledged(1);
        assert_eq!(*out.for_router(), [1]);
        out.acknowledged(2);
        assert_eq!(*out.for_router(), [1, 2, 3]);
        out.acknowledged(2);
        assert_eq!(out.for_router().len(), 3, "once each");
    }
}
