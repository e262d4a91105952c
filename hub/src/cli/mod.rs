//! The command line.
//!
//! [`Args`] says what there is; every subcommand that only deals with files is a function in a module of its own, which
//! returns what the process exits with.

pub mod add_agent;
pub mod alerts;
pub mod args;
mod certificate;
pub mod completions;
mod control;
pub mod init;
pub mod merge;
pub mod passwd;
mod passwords;
mod terminal;

pub use args::{Args, Command, Profile};
