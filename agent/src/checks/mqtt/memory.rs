//! What looks have seen of a topic, kept from one to the next: a retained message does not say how old it is, but when
//! another one was still there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::watch::Message;
use crate::checks::Look;

/// What looks have seen of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The broker.
    broker: String,
    /// The topic.
    topic: String,
    /// When the newest message came, or was made by what it says, that is known and was as expected.
    pub(super) newest: Option<DateTime<Utc>>,
    /// The retained message.
    retained: Option<Retained>,
}

/// A retained message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Retained {
    /// What tells it from others.
    digest: String,
    /// It was published after this, when another one was there. Of the first one that was seen nothing is known.
    pub(super) after: Option<DateTime<Utc>>,
    /// It was there at this time for the first time.
    pub(super) first: DateTime<Utc>,
    /// And at this for the last.
    last: DateTime<Utc>,
}

impl Memory {
    /// What was kept, if it is of this topic at this broker.
    pub(super) fn kept(broker: &str, topic: &str, look: &Look<'_>) -> Self {
        let new =
            || Self { broker: broker.into(), topic: topic.into(), newest: None, retained: None };
        let kept = look.before.kept.as_ref().and_then(|kept| Self::deserialize(kept).ok());
        let Some(mut kept) =
            kept.filter(|kept: &Self| kept.broker == broker && kept.topic == topic)
        else {
            return new();
        };
        // A clock that was set back makes what was seen worthless.
        kept.newest = kept.newest.filter(|at| *at <= look.now);
        kept.retained = kept.retained.filter(|retained| retained.last <= look.now);
        kept
    }

    /// As it is kept.
    pub(super) fn keep(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// A retained message is there now. Answers what is known of it, and whether it is another than the last time.
    pub(super) fn retain(&mut self, message: &Message, now: DateTime<Utc>) -> (&Retained, bool) {
        let digest = digest(message);
        let before = self.retained.take();
        let changed = before.as_ref().is_some_and(|before| before.digest != digest);
        let retained = match before {
            Some(before) if !changed => Retained { last: now, ..before },
            before => {
                Retained { digest, after: before.map(|before| before.last), first: now, last: now }
            }
        };
        (self.retained.insert(retained), changed)
    }
}

/// Tells messages apart: of one too large to be read, by its length.
fn digest(message: &Message) -> String {
    let Some(payload) = &message.payload else { return format!("{} bytes", message.bytes) };
    let hash = Sha256::digest(payload);
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
