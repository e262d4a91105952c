//! The parts of a site.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::{
    ActionName, AgentId, CheckName, Secret, Severity, State, Tz,
    policy::{Policy, QuietHours, Silence},
    schedule::Trigger,
    topic::{Topic, TopicFilter},
};

/// Everything a site's owner decided. A section that is absent does not run.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// Zone of schedules, pages and messages; `None`: the host's.
    pub timezone: Option<Tz>,
    /// Who this program is in a fleet.
    pub agent: Agent,
    /// The pages.
    pub webui: Option<Web>,
    /// The link to a broker.
    pub mqtt: Option<Mqtt>,
    /// The embedded broker.
    pub broker: Option<Broker>,
    /// What a hub does with its agents.
    pub fleet: Fleet,
    /// Bounds on what runs at once.
    pub limits: Limits,
    /// What holds for checks that are added by themselves (`defaults`).
    pub defaults: Policy,
    /// The check that says whether this site reaches the world; every check that asks over the network depends on it
    /// (`uplink`).
    pub uplink: Option<CheckName>,
    /// Times at which nobody is told of some checks (`maintenance`), by name.
    pub maintenance: IndexMap<String, Silence>,
    /// Who is told, again and again, that this site is well (`heartbeat`).
    pub heartbeat: Option<Heartbeat>,
    /// Ways to tell of a transition.
    pub actions: IndexMap<ActionName, Action>,
    /// The checks, in the owner's order.
    pub checks: IndexMap<CheckName, Check>,
    /// Checks that stand in the configuration and do not run for a fault in them. What is stored of them is kept.
    pub left_out: HashSet<CheckName>,
    /// Whether a part of the configuration could not be read, so that a check which is not in it need not be gone.
    pub incomplete: bool,
}

/// The `agent` section: who this program is in a fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Agent {
    /// Its id; `None`: made from the host name once, and kept in the store.
    pub id: Option<AgentId>,
    /// Free keys and values that its owner knows it by.
    pub labels: BTreeMap<String, String>,
}

/// The `webui` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// Name shown at the top of every page (`name`, "Fletchck").
    pub name: String,
    /// Host name or address to listen on (`hostname` or `host`, "localhost"). Empty or `0.0.0.0`/`::`: all.
    pub hostname: String,
    /// Port to listen on; 0: any free one.
    pub port: u16,
    /// Address that people reach the pages at, for links in messages (`address`); `None`: made of host and port.
    pub address: Option<String>,
    /// Certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// Private key, PEM.
    pub key: Option<PathBuf>,
    /// Argon2 hashes (PHC strings) by user name. The user named "" holds the dummy hash for unknown names.
    pub users: IndexMap<String, Secret>,
}

/// The `mqtt` section: the link to a broker. With a `broker` section and no `hostname`, the link is to that broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Mqtt {
    /// Broker's host name or address. `None`: the embedded broker if there is one, else localhost.
    pub hostname: Option<String>,
    /// Broker's port; 1883, or 8883 with TLS.
    pub port: u16,
    /// Whether to speak TLS.
    pub tls: bool,
    /// File with the certificates to trust (`cafile`); `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// The same certificates as PEM text within the configuration (`ca`), so that one file is all an agent needs.
    pub ca: Option<String>,
    /// Login.
    pub username: Option<String>,
    /// Password (`password` or `password_file`).
    pub password: Option<Secret>,
    /// Client id (`clientid`); `None`: the agent id.
    pub client_id: Option<String>,
    /// Keep the session at the broker (`persist`).
    pub persist: bool,
    /// 0, 1 or 2 for version 1 topics.
    pub qos: u8,
    /// Whether version 1 messages are retained.
    pub retain: bool,
    /// Filter of version 1 topics to hear (`basetopic`).
    pub base_topic: Option<TopicFilter>,
    /// Add a remote check for each unknown name heard (`autoadd`).
    pub auto_add: bool,
    /// Log what is sent and heard.
    pub debug: bool,
    /// `5`, `3.1.1`, or `None`: 5 with fallback (`protocol`).
    pub protocol: Option<Protocol>,
    /// Whether the fleet topics are published (`fleet`, true).
    pub fleet: bool,
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// The `broker` section: the embedded broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broker {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Who may connect, by user name.
    pub users: IndexMap<String, BrokerUser>,
    /// Connections at once (`maxConnections`).
    pub max_connections: Option<NonZeroU32>,
}

/// One address of the embedded broker: `{"listen": "0.0.0.0:8883", "tls": true, "cert": …, "key": …}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Address and port; port 0: any free one.
    pub listen: SocketAddr,
    /// Whether it speaks TLS, with the page's certificate where it has none of its own.
    pub tls: bool,
    /// Certificate chain, PEM.
    pub cert: Option<PathBuf>,
    /// Private key, PEM.
    pub key: Option<PathBuf>,
}

/// One user of the embedded broker. An agent's user name is its agent id, and it may speak on its own fleet topics.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokerUser {
    /// Argon2 hash (PHC string) of the password.
    pub password: Secret,
    /// Further filters it may publish to.
    pub publish: Vec<TopicFilter>,
    /// Further filters it may subscribe to.
    pub subscribe: Vec<TopicFilter>,
}

/// The `fleet` section: what a hub does with its agents.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// First level of the fleet topics.
    pub prefix: String,
    /// Whether this site hears the fleet topics and shows its agents. Default: with a `broker` section.
    pub hub: bool,
    /// Actions told of an agent that goes or comes back. One that does not run for a fault in it is named as well.
    pub actions: Vec<ActionName>,
    /// Seconds an agent may be away before that is told (`grace`, 30).
    pub grace: Duration,
}

/// The `limits` section: bounds on what runs at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Probes at once (`probes`, 256).
    pub probes: usize,
    /// Remote checks that may be added by themselves (`remotes`, 20,000).
    pub remotes: usize,
}

/// The `heartbeat` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Address that is asked for (`url`); it may hold a token.
    pub url: Secret,
    /// Certificates that its server is trusted by; `None`: the system's (`cafile`).
    pub ca_file: Option<PathBuf>,
    /// How often (`every`, 60 seconds).
    pub every: Duration,
}

/// One entry of `actions`.
#[derive(Clone, PartialEq)]
pub struct Action {
    /// Its type.
    pub kind: String,
    /// Its options, parsed by its kind.
    pub options: Map<String, Value>,
    /// The least grave failure that it is told of (`severity`).
    pub severity: Severity,
    /// How it is told.
    pub delivery: Delivery,
}

/// How an action is told of what there is to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The action that is told instead, once this one has given up (`failover`).
    pub failover: Option<ActionName>,
    /// How long it is tried (`retryFor`): three days, or a quarter of an hour where there is a `failover`.
    pub retry_for: Duration,
    /// How long it waits for more to tell in the same message (`gather`). `None`: as its type thinks best.
    pub gather: Option<Duration>,
    /// Most messages in an hour (`rate`). `None`: as its type thinks best; 0: any number.
    pub rate: Option<u32>,
    /// Hours in which it is not to disturb (`quiet`).
    pub quiet: Option<QuietHours>,
}

/// Without the options: passwords and keys are among them.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Action");
        shown.field("kind", &self.kind).field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// One entry of `checks`.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its type.
    pub kind: String,
    /// The type at the agent, for a remote check.
    pub sub_kind: Option<String>,
    /// When it runs; `None`: on request, or in a sequence.
    pub trigger: Option<Trigger>,
    /// Failing runs that make a failure: in a row, or among `window`.
    pub threshold: NonZeroU32,
    /// Among how many of the last runs failing ones are counted; `None`: they come in a row.
    pub window: Option<NonZeroU32>,
    /// Passing runs in a row that end a failure.
    pub recover: NonZeroU32,
    /// Tries within one run.
    pub retries: NonZeroU32,
    /// Order within a sequence: lower runs first, equal ones in list order.
    pub priority: i64,
    /// Whether it is paused.
    pub paused: bool,
    /// What its owner has decided about its alerts.
    pub policy: Policy,
    /// Whether it depends on the site's uplink, if it asks over the network.
    pub uplink: bool,
    /// Version 1 topic its state is published to.
    pub publish: Option<Topic>,
    /// Name of a remote check at its agent, where it differs.
    pub remote_id: Option<String>,
    /// Zone of this check (`options.timezone`).
    pub timezone: Option<Tz>,
    /// Options of its kind.
    pub options: Map<String, Value>,
    /// Actions told of its transitions. One that does not run for a fault in it is named as well.
    pub actions: Vec<ActionName>,
    /// Checks it depends on.
    pub depends: Vec<CheckName>,
    /// State to begin with, where the store has none yet (`data`).
    pub seed: Option<State>,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            prefix: crate::topic::PREFIX.into(),
            hub: false,
            actions: Vec::new(),
            grace: Duration::from_secs(30),
        }
    }
}

impl Web {
    /// Address that people reach the pages at, without a slash at its end.
    pub fn address(&self) -> String {
        if let Some(address) = &self.address {
            return address.trim_end_matches('/').to_owned();
        }
        let host = match self.hostname.as_str() {
            "" | "0.0.0.0" | "::" => "localhost",
            host => host,
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("https://{host}:{}", self.port)
    }
}

impl Delivery {
    /// How long an action is tried that nobody can stand in for.
    pub const RETRY_FOR: Duration = Duration::from_secs(3 * 24 * 3600);

    /// How long an action is tried that another one stands in for.
    pub const RETRY_BEFORE_FAILOVER: Duration = Duration::from_secs(15 * 60);
}

impl Default for Delivery {
    fn default() -> Self {
        Self { failover: None, retry_for: Self::RETRY_FOR, gather: None, rate: None, quiet: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { probes: 256, remotes: 20_000 }
    }
}
