//! What every part of fletchck agrees on: names, topics, wire messages, configuration types, triggers and the
//! state machine of a check.
//!
//! **Invariant:** nothing here opens a socket, reads a file or asks a clock. Times are passed in, so that years of
//! outages can be replayed in a millisecond.

pub mod config;
pub mod hysteresis;
pub mod name;
pub mod outcome;
pub mod policy;
pub mod schedule;
pub mod secret;
pub mod sequence;
pub mod state;
pub mod time;
pub mod topic;
pub mod wire;
pub mod zone;

pub use name::{ActionName, AgentId, CheckName, NameError};
pub use outcome::{Outcome, Phase, Severity, Verdict};
pub use secret::Secret;
pub use state::{Condition, State, Transition};
pub use zone::Tz;
