//! The hub of a fleet: what shows and keeps together what agents find.

pub mod broker;
pub mod cli;
