//! A site's configuration as typed values. It is read once from JSON or TOML ([`read`]), and everything that is wrong with
//! it is told at once as [`Fault`]s; what is right runs.

mod fault;
mod site;

pub use fault::{Fault, Severity};
pub use site::{
    Action, Agent, Broker, BrokerUser, Check, Fleet, Limits, Listener, Mqtt, Protocol, Site, Web,
};
