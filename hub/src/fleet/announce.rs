//! What a hub with a broker of its own says there of itself. Over a link to another broker the link says it.

use chrono::{DateTime, Utc};
use fletchck_agent::link::Identity;
use fletchck_shared::{topic::Topic, wire::OFFLINE};

use crate::broker::Broker;

/// Publishes that this hub lives, and who it is.
///
/// # Errors
/// The broker does not take it.
pub async fn announce(broker: &Broker, who: &Identity, now: DateTime<Utc>) -> anyhow::Result<()> {
    for publication in who.birth(now, now) {
        let topic = Topic::try_from(publication.topic.as_str())?;
        broker.publish(&topic, publication.payload, true).await?;
    }
    Ok(())
}

/// Publishes that this hub goes.
///
/// # Errors
/// The broker does not take it.
pub async fn take_leave(broker: &Broker, who: &Identity) -> anyhow::Result<()> {
    for topic in [Topic::status(&who.prefix, &who.agent), Topic::hub_status(&who.prefix)] {
        broker.publish(&topic, OFFLINE, true).await?;
    }
    Ok(())
}
