//! A small MQTT client for tests: it subscribes, publishes, and remembers everything that arrived.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The topic it was published to.
    pub topic: String,
    /// The bytes, which need not be text.
    pub payload: Vec<u8>,
    /// It was not sent just now: the broker had kept it.
    pub retained: bool,
}

impl Message {
    /// The payload read as JSON; null when it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or(Value::Null)
    }
}

/// An MQTT 3.1.1 client. It ends with the value.
#[derive(Debug)]
pub struct Mqtt {
    client: AsyncClient,
    inbox: Arc<Inbox>,
    pump: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Inbox {
    messages: Mutex<Vec<Message>>,
    /// Publishes and subscriptions the broker has confirmed.
    confirmed: Mutex<usize>,
    error: Mutex<Option<String>>,
    changed: Notify,
}

impl Mqtt {
    /// Connects to 127.0.0.1 without a name.
    ///
    /// # Errors
    /// The broker refuses, or does not answer in time.
    pub async fn connect(port: u16) -> Result<Self> {
        let id = format!("test-{:016x}", rand::random::<u64>());
        Self::with(MqttOptions::new(id, "127.0.0.1", port)).await
    }

    /// Connects as the options say.
    ///
    /// # Errors
    /// The broker refuses, or does not answer in time.
    pub async fn with(mut options: MqttOptions) -> Result<Self> {
        options.set_max_packet_size(16 << 20, 16 << 20);
        let (client, mut events) = AsyncClient::new(options, 1024);
        let inbox = Arc::new(Inbox::default());
        let (connected, is_connected) = tokio::sync::oneshot::channel();
        let pump = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move {
                let mut connected = Some(connected);
                loop {
                    match events.poll().await {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            if let Some(connected) = connected.take() {
                                connected.send(()).ok();
                            }
                        }
                        Ok(Event::Incoming(packet)) => inbox.take(packet),
                        Ok(Event::Outgoing(_)) => {}
                        Err(error) => {
                            *lock(&inbox.error) = Some(error.to_string());
                            inbox.changed.notify_waiters();
                            return;
                        }
                    }
                }
            }
        });
        let mqtt = Self { client, inbox, pump };
        if tokio::time::timeout(crate::wait::PATIENCE, is_connected)
            .await
            .is_ok_and(|sent| sent.is_ok())
        {
            return Ok(mqtt);
        }
        let error = lock(&mqtt.inbox.error).take().unwrap_or_else(|| "no answer".to_owned());
        Err(anyhow!("the broker did not let us in: {error}"))
    }

    /// Subscribes with QoS 1 and waits for the confirmation.
    ///
    /// # Errors
    /// The connection is lost, or nothing is confirmed in time.
    pub async fn subscribe(&self, filter: &str) -> Result<()> {
        let before = *lock(&self.inbox.confirmed);
        self.client.subscribe(filter, QoS::AtLeastOnce).await?;
        self.confirmed(before + 1, &format!("the subscription to {filter}")).await
    }

    /// Publishes with QoS 1 and waits for the confirmation: the broker has it.
    ///
    /// # Errors
    /// The connection is lost, or nothing is confirmed in time.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Vec<u8>>,
        retain: bool,
    ) -> Result<()> {
        let before = *lock(&self.inbox.confirmed);
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await?;
        self.confirmed(before + 1, &format!("the publish to {topic}")).await
    }

    /// Everything that has arrived so far, in order.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.inbox.messages).clone()
    }

    /// Waits for a message that `matches`, among those that have arrived and those to come; `what` names it in the
    /// error.
    ///
    /// # Errors
    /// None came within `limit`, or the connection is lost.
    pub async fn wait_for(
        &self,
        limit: Duration,
        what: &str,
        matches: impl Fn(&Message) -> bool,
    ) -> Result<Message> {
        self.wait(limit, || {
            lock(&self.inbox.messages).iter().find(|message| matches(message)).cloned()
        })
        .await
        .with_context(|| {
            let seen: Vec<String> =
                self.messages().iter().rev().take(8).map(|message| message.topic.clone()).collect();
            format!("waiting for {what}; the latest topics were {seen:?}")
        })
    }

    async fn confirmed(&self, count: usize, what: &str) -> Result<()> {
        self.wait(crate::wait::PATIENCE, || (*lock(&self.inbox.confirmed) >= count).then_some(()))
            .await
            .with_context(|| format!("waiting for the broker to confirm {what}"))
    }

    async fn wait<T>(&self, limit: Duration, found: impl Fn() -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            let changed = self.inbox.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = found() {
                return Ok(found);
            }
            if let Some(error) = lock(&self.inbox.error).as_ref() {
                return Err(anyhow!("connection lost: {error}"));
            }
            timeout_at(deadline, changed).await.map_err(|_| anyhow!("nothing within {limit:?}"))?;
        }
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Inbox {
    fn take(&self, packet: Packet) {
        match packet {
            Packet::Publish(publish) => lock(&self.messages).push(Message {
                topic: publish.topic,
                payload: publish.payload.to_vec(),
                retained: publish.retain,
            }),
            Packet::PubAck(_) | Packet::SubAck(_) => *lock(&self.confirmed) += 1,
            _ => return,
        }
        self.changed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
