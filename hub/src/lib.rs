//! The hub.

pub mod broker;
