//! A site's configuration as typed values. It is read once from JSON or TOML ([`read`]), and everything that is wrong with
//! it is told at once as [`Fault`]s; what is right runs.

mod fault;
mod kinds;
pub mod near;
mod path;
mod read;
mod site;
mod table;

pub use fault::{Fault, Severity};
pub use kinds::{Kinds, ORIGINAL_ACTIONS, ORIGINAL_CHECKS, SECRETS};
pub use path::Path;
pub use read::read;
pub use site::{
    Action, Agent, Broker, BrokerUser, Check, Delivery, Fleet, Heartbeat, Limits, Listener, Mqtt,
    Protocol, Site, Web,
};
