//! What a client sends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use fletchck_shared::topic::Topic;
use rumqttd::protocol::{Filter, Subscribe, SubscribeReasonCode as Code};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::super::codec::{self, Fault, Inbound, Published, Version};
use super::super::gate::Accepted;
use super::super::message::{Heard, Message};
use super::super::router::Gone;
use super::super::routes::{Targets, TooMany};
use super::super::subscriptions::{Subscription, Way, Wish};
use super::outbound::{ANSWERS, Queued};
use super::{End, Session};

/// MQTT 5 reason: not authorized.
const NOT_AUTHORIZED: u8 = 0x87;
/// MQTT 5 reason: quota exceeded.
const QUOTA: u8 = 0x97;
/// Topics remembered for each session.
const TOPICS: usize = 4096;
/// Retained messages that may wait for a client when it subscribes to more.
const PENDING: usize = 20_000;

/// How long the router may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of a topic that the client has published to.
pub(super) struct Known {
    topic: Arc<str>,
    allowed: bool,
    /// The routes' generation that `targets` is from; 0: none yet.
    generation: u64,
    targets: Arc<Targets>,
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Takes in every whole packet that was read. Answers are written when the hub and the router have accepted it all.
    pub(super) async fn take_in(&mut self) -> Result<(), End> {
        let mut read = std::mem::take(&mut self.read);
        let mut taken = 0;
        let result = self.take(&read, &mut taken).await;
        read.advance(taken);
        self.read = read;
        // What came before a fault counts.
        self.hand_over().await?;
        result
    }

    async fn take(&mut self, read: &[u8], taken: &mut usize) -> Result<(), End> {
        while let Some(frame) = codec::frame(&read[*taken..], self.gate.settings.max_packet)? {
            *taken += frame.whole.len();
            match self.version.decode(&frame)? {
                Inbound::Publish(publish) => self.publish(publish)?,
                Inbound::PubAck(id) => self.out.acknowledged(id),
                Inbound::PubRel(id) => {
                    self.received.remove(&id);
                    self.version.pubcomp(id, 0, &mut self.write);
                }
                Inbound::Idle => {}
                Inbound::Ping => self.write.extend_from_slice(&[0xd0, 0]),
                Inbound::Subscribe(subscribe, number) => {
                    // Its own messages before this must not come back by it.
                    self.hand_over().await?;
                    self.subscribe(subscribe, number).await?;
                }
                Inbound::Unsubscribe(packet) => {
                    let mut known = Vec::new();
                    for filter in &packet.filters {
                        known.push(self.unsubscribe(filter).await?);
                    }
                    self.owed(0).await?;
                    self.version.unsuback(packet.pkid, &known, &mut self.write);
                }
                Inbound::Disconnect { will, expiry } => return Err(End::Left { will, expiry }),
            }
        }
        Ok(())
    }

    /// Gives what was taken in to the hub and the router.
    async fn hand_over(&mut self) -> Result<(), End> {
        let tap = &self.gate.tap;
        while !self.heard.is_empty() {
            let count = self.heard.len().min(tap.max_capacity());
            // Waiting here is what slows a publisher down when the hub cannot follow.
            let permits = tap.reserve_many(count).await.map_err(|_| End::Stopping)?;
            for (permit, heard) in permits.zip(self.heard.drain(..count)) {
                permit.send(heard);
            }
        }
        self.router.publish(&mut self.batch.packets).await?;
        Ok(())
    }

    fn publish(&mut self, publish: Published<'_>) -> Result<(), End> {
        let Published { topic, payload, qos, retain, id, properties } = publish;
        if qos == 2 && !self.received.insert(id) {
            // It came before, and its answer was lost.
            self.version.pubrec(id, 0, &mut self.write);
            return Ok(());
        }
        let gate = &*self.gate;
        let known = match self.topics.get_mut(topic) {
            Some(known) => known,
            None => {
                let allowed = Topic::try_from(topic).map_err(|_| Fault::Topic)?;
                let allowed = self.rights.may_publish(allowed.as_str());
                if self.topics.len() >= TOPICS {
                    self.topics.clear();
                }
                let topic: Arc<str> = topic.into();
                self.topics.entry(topic.clone()).or_insert(Known {
                    topic,
                    allowed,
                    generation: 0,
                    targets: Arc::default(),
                })
            }
        };
        let passed = if known.allowed {
            let topic = known.topic.clone();
            let accepted =
                Accepted { topic: &topic, payload, qos, retain, properties, origin: self.number };
            let targets = || {
                let generation = gate.routes.generation();
                if known.generation != generation {
                    known.targets = Arc::new(gate.routes.targets(&topic));
                    known.generation = generation;
                }
                known.targets.clone()
            };
            gate.pass(accepted, targets, &self.usage, &mut self.batch)
                .map(|payload| {
                    let client = self.client.clone();
                    self.heard.push(Heard { client, topic: topic.clone(), payload, retain });
                })
                .map_err(|_| QUOTA)
        } else {
            Err(NOT_AUTHORIZED)
        };
        let reason = passed.err().unwrap_or(0);
        if reason != 0 {
            self.refused(topic, reason);
        }
        match qos {
            0 => {}
            1 => self.version.puback(id, reason, &mut self.write),
            _ => {
                // With a failure MQTT 5 ends the exchange here; 3.1.1 cannot tell and goes on.
                if reason != 0 && self.version == Version::V5 {
                    self.received.remove(&id);
                }
                self.version.pubrec(id, reason, &mut self.write);
            }
        }
        Ok(())
    }

    fn refused(&mut self, topic: &str, reason: u8) {
        self.denied += 1;
        // Once for each session: a client that may not publish tries on.
        if self.denied == 1 {
            let why = if reason == QUOTA { "too much is retained" } else { "not allowed" };
            tracing::warn!(client.id = %self.client, topic = ?topic, why, "message refused");
        }
    }

    async fn subscribe(&mut self, packet: Subscribe, number: Option<usize>) -> Result<(), End> {
        let (mut codes, mut retained) = (Vec::with_capacity(packet.filters.len()), Vec::new());
        for filter in &packet.filters {
            codes.push(match self.add(filter, number, &mut retained).await? {
                Ok(0) => Code::QoS0,
                Ok(_) => Code::QoS1,
                Err(code) => {
                    tracing::warn!(
                        client.id = %self.client, filter = ?filter.path, why = ?code,
                        "subscription refused"
                    );
                    code
                }
            });
        }
        // Granted only when the router knows of it: what anybody publishes from then on is to arrive.
        self.owed(0).await?;
        self.version.suback(packet.pkid, codes, &mut self.write);
        self.out.pending.extend(retained);
        Ok(())
    }

    /// Adds one subscription. Answers the quality of service granted, or the code to refuse it with.
    async fn add(
        &mut self,
        filter: &Filter,
        number: Option<usize>,
        retained: &mut Vec<Queued>,
    ) -> Result<Result<u8, Code>, End> {
        let wish = match Wish::new(filter) {
            Ok(wish) => wish,
            Err(code) => return Ok(Err(code)),
        };
        let text = wish.filter.as_str();
        if !self.rights.may_subscribe(text) {
            return Ok(Err(Code::NotAuthorized));
        }
        let old = self.subscriptions.get(text);
        let full =
            old.is_none() && self.subscriptions.len() >= self.gate.settings.max_client_filters;
        if full || self.out.pending.len() + retained.len() > PENDING {
            return Ok(Err(Code::QuotaExceeded));
        }
        let new = old.is_none();
        let way = match old {
            Some(old) => old.way.clone(),
            None => match self.enter(&wish).await? {
                Ok(way) => way,
                Err(TooMany) => return Ok(Err(Code::QuotaExceeded)),
            },
        };
        if wish.wants_retained(new) {
            let queue = |message: Message| Queued {
                qos: message.qos.min(wish.qos),
                retain: true,
                number,
                message,
            };
            retained.extend(self.gate.retained.matching(&wish.filter).into_iter().map(queue));
        }
        let subscription = Subscription {
            qos: wish.qos,
            no_local: wish.no_local,
            keep_retain: wish.keep_retain,
            number,
            way,
            filter: wish.filter,
        };
        let text: Arc<str> = subscription.filter.as_str().into();
        if let Way::Slot(slot) = &subscription.way
            && !self.slots.contains_key(slot)
        {
            let routes = &self.gate.routes;
            let follow = routes.follow(&subscription.filter, self.number, &self.client);
            self.slots.extend(follow.map(|flow| (slot.clone(), (text.clone(), flow))));
        }
        let qos = subscription.qos;
        self.subscriptions.insert(text, subscription);
        Ok(Ok(qos))
    }

    /// Adds a filter to the routes.
    async fn enter(&mut self, wish: &Wish) -> Result<Result<Way, TooMany>, End> {
        // A session that may be resumed has its messages queued by the router while it is away.
        if !self.resumable && self.rights.is_own(wish.filter.as_str()) {
            let joined = self.gate.routes.join_direct(&wish.filter, self.direct.clone());
            return Ok(joined.map(|()| Way::Direct(self.number)));
        }
        if self.link.is_none() {
            let name = self.name.get_or_insert_with(|| self.router.name()).clone();
            self.link = Some(self.router.link(name, true).await?);
        }
        self.owed(ANSWERS).await?;
        // From here on nothing is awaited: the filter is either both here and in the router, or in neither.
        let Some(link) = &mut self.link else { return Err(Gone.into()) };
        let slot = match self.gate.routes.join(&wish.filter) {
            Ok(slot) => slot,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(gone) = link.subscribe(&slot) {
            self.gate.routes.leave(wish.filter.as_str());
            return Err(gone.into());
        }
        self.answers += 1;
        Ok(Ok(Way::Slot(slot)))
    }

    /// Ends a subscription. Whether there was one.
    pub(super) async fn unsubscribe(&mut self, filter: &str) -> Result<bool, End> {
        self.owed(ANSWERS).await?;
        let Some(subscription) = self.subscriptions.remove(filter) else { return Ok(false) };
        subscription.leave(&self.gate.routes, filter);
        if let Way::Slot(slot) = &subscription.way {
            self.slots.remove(slot);
            if let Some(link) = &mut self.link {
                link.unsubscribe(slot)?;
                self.answers += 1;
            }
        }
        Ok(true)
    }

    /// Waits while the router owes more than `most` answers. They take room in the queue of its messages.
    async fn owed(&mut self, most: usize) -> Result<(), End> {
        while self.answers > most {
            let Some(link) = &mut self.link else { return Ok(()) };
            match timeout(PATIENCE, link.next()).await {
                Ok(packet) => self.take_from_router(packet?)?,
                // It left one out, as it does for filters it does not know.
                Err(_) => self.answers = 0,
            }
        }
        Ok(())
    }
}
