//! Last wills: sent by the gate, as only it knows how a session ended.

use std::sync::Arc;
use std::time::Duration;

use fletchck_shared::topic::Topic;
use rumqttd::protocol::{LastWill, LastWillProperties, PublishProperties};
use tokio_util::sync::CancellationToken;

use super::gate::{Accepted, Batch, Gate};
use super::message::Heard;
use super::retained::Usage;

/// A will, judged at the login.
#[derive(Debug)]
pub(super) struct Will {
    topic: Arc<str>,
    message: LastWill,
    properties: Option<PublishProperties>,
    /// MQTT 5: how long the client may stay away before it is sent.
    pub(super) delay: Duration,
}

impl Will {
    /// Reads a will. `None`: its topic is none.
    pub(super) fn new(message: LastWill, properties: Option<LastWillProperties>) -> Option<Self> {
        let topic = std::str::from_utf8(&message.topic).ok()?;
        Topic::try_from(topic).ok()?;
        let seconds = properties.as_ref().and_then(|properties| properties.delay_interval);
        Some(Self {
            topic: topic.into(),
            delay: Duration::from_secs(seconds.unwrap_or_default().into()),
            properties: properties.map(|properties| PublishProperties {
                payload_format_indicator: properties.payload_format_indicator,
                message_expiry_interval: properties.message_expiry_interval,
                content_type: properties.content_type,
                response_topic: properties.response_topic,
                correlation_data: properties.correlation_data,
                user_properties: properties.user_properties,
                ..PublishProperties::default()
            }),
            message,
        })
    }

    /// Topic it will be sent to.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends the will now.
    pub(super) async fn send(self, gate: &Gate, client: &Arc<str>, usage: &Arc<Usage>) {
        let Self { topic, message, properties, .. } = self;
        let (mut batch, retain) = (Batch::default(), message.retain);
        let accepted = Accepted {
            topic: &topic,
            payload: &message.message,
            qos: message.qos as u8,
            retain,
            properties,
            origin: 0,
        };
        let targets = || Arc::new(gate.routes.targets(&topic));
        let Ok(payload) = gate.pass(accepted, targets, usage, &mut batch) else {
            tracing::warn!(client.id = %client, "will not sent: too much is retained");
            return;
        };
        let heard = Heard { client: client.clone(), topic, payload, retain };
        if gate.tap.send(heard).await.is_err() {
            tracing::debug!("nobody hears messages any more");
        }
        if let Err(error) = gate.router().publish(&mut batch.packets).await {
            tracing::warn!(client.id = %client, %error, "will not sent to subscribers");
        }
    }

    /// Sends the will after its delay, or `most` if that is shorter, unless the client is back by then.
    pub(super) fn send_later(
        self,
        gate: &Arc<Gate>,
        client: Arc<str>,
        usage: Arc<Usage>,
        most: Duration,
    ) {
        let back = CancellationToken::new();
        gate.wills.lock().insert(client.clone(), back.clone());
        let (gate_, delay) = (gate.clone(), self.delay.min(most));
        gate.tasks.spawn(async move {
            tokio::select! {
                () = back.cancelled() => return,
                () = gate_.stop.cancelled() => {}
                () = tokio::time::sleep(delay) => {}
            }
            // Whoever takes it out of the table decides.
            if gate_.wills.lock().remove(&client).is_some() {
                self.send(&gate_, &client, &usage).await;
            }
        });
    }
}

impl Gate {
    /// The client is back: a will that still waits is not sent.
    pub(super) fn keep_will_back(&self, client: &str) {
        if let Some(waiting) = self.wills.lock().remove(client) {
            waiting.cancel();
        }
    }
}
