//! Messages as they travel over MQTT and lie in saved sites.

pub mod data;
pub mod info;
pub mod message;
pub mod order;

pub use data::{Data, fail_state, held};
pub use info::Info;
pub use message::{Message, Rejected};

/// Payload of a status topic while its owner is connected, as Home Assistant reads it.
pub const ONLINE: &str = "online";

/// Payload of a status topic once its owner is gone.
pub const OFFLINE: &str = "offline";

/// Type of the checks that a hub makes of its agents' presence. From outside they would be lies.
pub const PRESENCE: &str = "agent";

/// Type, and name, of the check that a site makes of its way to the broker.
pub const BROKER: &str = "broker";

/// Largest payload that is looked at, in bytes. A state is some hundred bytes; 64 lines of log are below 40 KiB.
pub const PAYLOAD_MAX: usize = 64 * 1024;
