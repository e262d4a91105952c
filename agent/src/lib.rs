//! The engine that runs a site's checks: on every agent, and within every hub.
//!
//! Start reading at [`engine`]: what wakes it, and what it does about it. A check goes from its trigger
//! ([`scheduler`]) through one run ([`turn`]) and the state machine into the store, and only from there to whoever
//! is told.

pub mod actions;
pub mod checks;
pub mod config;
pub mod engine;
pub mod link;
pub mod options;
pub mod scheduler;
pub mod store;
