//! What is said at the beginning of every session.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fletchck_shared::{
    AgentId,
    topic::Topic,
    wire::{Info, OFFLINE, ONLINE, info},
};

use tokio::sync::watch;

use super::{Publication, Settings, Will};

/// What is said at the beginning of every session.
pub trait Greeting: Send + Sync + 'static {
    /// Published before anything else: that we live, and who we are.
    fn birth(&self, connected: DateTime<Utc>, session_present: bool) -> Vec<Publication>;

    /// Published behind what had waited: all states as they are now, where the broker may have lost them. Asked for
    /// at the moment it is needed, so that nothing older comes after it.
    fn states(&self, session_present: bool) -> Vec<Publication>;

    /// Changes whenever birth and states are to be said again within a session.
    fn again(&self) -> watch::Receiver<u64> {
        // Whose sender is gone never changes.
        watch::channel(0).1
    }
}

impl Greeting for () {
    fn birth(&self, _: DateTime<Utc>, _: bool) -> Vec<Publication> {
        Vec::new()
    }

    fn states(&self, _: bool) -> Vec<Publication> {
        Vec::new()
    }
}

/// Who this program is in a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// First level of the fleet topics.
    pub prefix: Arc<str>,
    /// Its id.
    pub agent: AgentId,
    /// Whether it is a hub as well.
    pub hub: bool,
    /// What its owner calls it by.
    pub labels: BTreeMap<String, String>,
    /// Hash of its configuration.
    pub config_hash: String,
    /// Number of its checks.
    pub checks: u32,
}

impl Identity {
    /// Status topics, the one of the will first. A connection has one will: a hub's is the hub's.
    fn topics(&self) -> Vec<Topic> {
        let own = Topic::status(&self.prefix, &self.agent);
        if self.hub { vec![Topic::hub_status(&self.prefix), own] } else { vec![own] }
    }

    /// Sets will and farewell.
    pub fn introduce(&self, settings: &mut Settings) {
        let offline = |topic| Will { topic, payload: Bytes::from_static(OFFLINE.as_bytes()) };
        settings.farewell = self.topics().into_iter().map(offline).collect();
        settings.will = settings.farewell.first().cloned();
    }

    /// Status and info for a new connection.
    pub fn birth(&self, connected: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Publication> {
        let publication = |topic: Topic, payload: Bytes| Publication {
            topic: topic.as_str().into(),
            payload,
            qos: 1,
            retain: true,
            connected: Some(connected),
        };
        let info = serde_json::to_vec(&self.info(connected, now)).unwrap_or_default();
        // Who speaks comes before that it lives: whoever shows an agent that appears knows its name at once.
        let mut birth = vec![publication(Topic::info(&self.prefix, &self.agent), info.into())];
        let online = Bytes::from_static(ONLINE.as_bytes());
        birth.extend(
            self.topics().into_iter().rev().map(|topic| publication(topic, online.clone())),
        );
        birth
    }

    /// Who this program says it is.
    pub fn info(&self, connected: DateTime<Utc>, now: DateTime<Utc>) -> Info {
        Info {
            v: info::VERSION,
            version: env!("CARGO_PKG_VERSION").into(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            os: sysinfo::System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.into()),
            labels: self.labels.clone(),
            config_hash: self.config_hash.clone(),
            checks: self.checks,
            connected: Some(connected),
            clock: Some(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_says_so_and_takes_it_back() {
        let identity = Identity {
            prefix: "fletchck".into(),
            agent: AgentId::try_from("nas").expect("an id"),
            hub: true,
            labels: BTreeMap::new(),
            config_hash: "abc".into(),
            checks: 3,
        };
        let at = DateTime::UNIX_EPOCH;
        let topics: Vec<_> = identity.birth(at, at).into_iter().map(|p| p.topic).collect();
        assert_eq!(topics, ["fletchck/nas/info", "fletchck/nas/status", "fletchck/hub/status"]);
        let info = serde_json::to_vec(&identity.info(at, at)).expect("JSON");
        assert_eq!(Info::parse(&info).map(|info| info.connected), Ok(Some(at)));
        assert_eq!(identity.topics()[0].as_str(), "fletchck/hub/status");
    }
}
