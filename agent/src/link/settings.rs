//! What a link needs to know.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use fletchck_shared::{
    Secret,
    config::{Mqtt, Protocol},
    topic::{Topic, TopicFilter},
};

use super::{backoff, tls::Trust};

/// Silence after which the link pings the broker. Half as long again, and a silent broker is given up.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What a link needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Broker's host name or address.
    pub host: String,
    /// Broker's port.
    pub port: u16,
    /// Whom to trust with TLS; `None`: without.
    pub tls: Option<Arc<Trust>>,
    /// Login.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Client id. It must be the same at every start and of no other client, or brokers end one for the other.
    pub client_id: String,
    /// Keep the session, and with it messages with QoS above 0, at the broker while this client is away; with MQTT 5
    /// for an hour.
    pub persist: bool,
    /// The only version to speak; `None`: MQTT 5, and 3.1.1 with brokers that know no better.
    pub protocol: Option<Protocol>,
    /// Silence after which the broker is pinged.
    pub keep_alive: Duration,
    /// Longest wait between two tries; the waits before it double from one second.
    pub longest_wait: Duration,
    /// What the broker publishes, retained, once this client is gone without a word.
    pub will: Option<Will>,
    /// What this client publishes, retained, before it goes in an orderly way.
    pub farewell: Vec<Will>,
    /// What to hear.
    pub subscriptions: Vec<Subscription>,
    /// Log every message sent and heard.
    pub debug: bool,
}

/// A last message, retained and with QoS 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Its topic.
    pub topic: Topic,
    /// Its payload.
    pub payload: Bytes,
}

/// A filter to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The filter.
    pub filter: TopicFilter,
    /// Highest QoS to hear it with.
    pub qos: u8,
    /// Whether what this client itself publishes comes back. Without MQTT 5 it always does.
    pub own: bool,
}

impl Subscription {
    /// A filter with QoS 1, without what this client itself publishes.
    pub fn new(filter: TopicFilter) -> Self {
        Self { filter, qos: 1, own: false }
    }
}

impl Settings {
    /// Settings by the `mqtt` section of a configuration, without will and subscriptions.
    pub fn new(mqtt: &Mqtt, client_id: &str) -> Self {
        Self {
            host: mqtt.hostname.clone().unwrap_or_else(|| "localhost".into()),
            port: mqtt.port,
            tls: mqtt.tls.then(|| Arc::new(Trust::new(mqtt))),
            username: mqtt.username.clone(),
            password: mqtt.password.clone(),
            client_id: mqtt.client_id.clone().unwrap_or_else(|| client_id.into()),
            persist: mqtt.persist,
            protocol: mqtt.protocol,
            keep_alive: KEEP_ALIVE,
            longest_wait: backoff::LONGEST,
            will: None,
            farewell: Vec::new(),
            subscriptions: Vec::new(),
            debug: mqtt.debug,
        }
    }
}
