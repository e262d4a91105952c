//! The hub of a fleet: what shows and keeps together what agents find.

pub mod broker;
pub mod cli;
pub mod fleet;
pub mod identity;
pub mod password;
pub mod run;
pub mod web;
