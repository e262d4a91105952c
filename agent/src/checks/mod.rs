//! The types of checks. [`KINDS`] is the only list of them: the reference page and an example are made from it.

pub(crate) mod aside;
mod brief;
pub mod cert;
pub mod certfile;
mod content;
pub mod cpu;
pub mod disk;
pub mod dns;
pub mod domain;
pub mod exec;
pub mod file;
mod here;
pub mod https;
pub mod imap;
mod limit;
pub mod load;
mod mail;
pub mod memory;
pub mod mqtt;
mod net;
pub mod path;
pub mod ping;
pub mod process;
#[doc(hidden)]
pub mod properties;
pub mod push;
mod python;
mod quantity;
pub mod remote;
pub mod sensor;
pub mod sequence;
pub mod smtp;
pub mod ssh;
pub mod submit;
pub mod swap;
pub mod systemd;
pub mod tcp;
pub mod temp;
#[cfg(test)]
mod testing;
pub mod ups;
pub mod upstest;
mod web;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use fletchck_shared::{
    CheckName, Outcome, State, Tz,
    state::{Condition, Failure},
};
use serde_json::{Map, Value};

pub use crate::options::{Opt, OptionFault, Options, Shape};

/// Every type of check.
pub const KINDS: &[Kind] = &[
    cert::KIND,
    certfile::KIND,
    cpu::KIND,
    disk::KIND,
    dns::KIND,
    domain::KIND,
    exec::KIND,
    file::KIND,
    https::KIND,
    imap::KIND,
    load::KIND,
    memory::KIND,
    mqtt::KIND,
    path::KIND,
    ping::KIND,
    process::KIND,
    push::KIND,
    remote::KIND,
    sensor::KIND,
    sequence::KIND,
    smtp::KIND,
    ssh::KIND,
    submit::KIND,
    swap::KIND,
    systemd::KIND,
    tcp::KIND,
    temp::KIND,
    ups::KIND,
    upstest::KIND,
];

/// Reads the options of a check and makes what runs from them. What is wrong is noted with the options.
pub type Build = fn(&mut Options<'_>) -> Option<Plan>;

/// One type of check.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What it watches, in one line.
    pub summary: &'static str,
    /// Its options, in the order they are shown.
    pub options: &'static [Opt],
    /// What a user asks of it first.
    pub answers: Answers,
    /// A whole check as JSON, as it stands in a configuration; a test reads it.
    pub example: &'static str,
    /// Reads its options; [`Kind::plan`] is how it is called.
    pub build: Build,
}

/// What a user asks first of a type of check, each answered in whole sentences.
#[derive(Debug)]
pub struct Answers {
    /// What a pass proves.
    pub proves: &'static str,
    /// What it does not prove.
    pub leaves_open: &'static str,
    /// What a failure looks like, and what to do then.
    pub failure: &'static str,
    /// Which options matter.
    pub matters: &'static str,
}

/// How a check of some type is run.
pub enum Plan {
    /// By one look at its target.
    Probe(Arc<dyn Probe>),
    /// By running its members.
    Sequence(Vec<CheckName>),
    /// By what it reports by itself; it fails once a report is missing.
    Push(push::Push),
    /// By hearing of it; once its updates are older than the timeout, it fails.
    Remote {
        /// Longest silence, from the last update.
        timeout: Option<Duration>,
    },
}

/// One look at a target, as often as asked. It reports what it saw; thresholds, retries and dependencies are not its
/// business. A target that is dead or talks nonsense is an outcome, not an error.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Looks once. The caller ends it at [`Probe::limit`]; it must keep nothing half done then.
    async fn look(&self, look: &Look<'_>) -> Outcome;

    /// Longest time for one look, name resolution included.
    fn limit(&self) -> Duration;

    /// Whether it asks this machine alone. Such a look waits for none that asks over a network.
    fn local(&self) -> bool {
        false
    }
}

/// What a probe is given for one look.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The check's name.
    pub name: &'a CheckName,
    /// When the run began.
    pub now: DateTime<Utc>,
    /// The check's zone, for times in its log.
    pub zone: Tz,
    /// How the check stood before.
    pub before: &'a Before,
}

/// How a check stood before a look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Before {
    /// Whether it was failing, for levels with hysteresis.
    pub failing: bool,
    /// Whether it was worth a look, told or not.
    pub warned: bool,
    /// What it wanted to find again.
    pub kept: Option<Value>,
}

impl From<&State> for Before {
    fn from(state: &State) -> Self {
        let warning = state.condition == Condition::Fail(Failure::Warning);
        Self {
            failing: state.condition.failing() && !warning,
            warned: warning || state.warning,
            kept: state.kept.clone(),
        }
    }
}

/// The type of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// Whether it asks over the network, and so depends on the way there.
    pub fn asks_network(&self) -> bool {
        self.options.iter().any(|option| option.name == net::IP_VERSION.name)
    }

    /// Makes what runs from these options, and tells all that is wrong with them. With nothing but warnings there is a
    /// plan, with any other fault there is none.
    pub fn plan(&self, options: &Map<String, Value>) -> (Option<Plan>, Vec<OptionFault>) {
        Options::read(options, self.options, self.build)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe(_) => f.write_str("Probe"),
            Self::Sequence(members) => f.debug_tuple("Sequence").field(members).finish(),
            Self::Push(push) => f.debug_tuple("Push").field(push).finish(),
            Self::Remote { timeout } => f.debug_struct("Remote").field("timeout", timeout).finish(),
        }
    }
}
