//! The configuration file: reading it with all that may add to it, changing it, and noticing that it changed.
//!
//! [`load`] lays over each other, the later over the earlier: the file, the fragments in `conf.d` beside it in the
//! order of their names, and variables such as `FLETCHCK__MQTT__PASSWORD`. [`edit`] changes the file alone, so
//! nothing that came from elsewhere is ever written into it.

mod atomic;
mod edit;
mod environment;
mod files;
mod format;
mod gather;
mod kinds;
mod layer;
mod lines;
mod load;
mod own_page;
#[doc(hidden)]
pub mod properties;
mod secrets;
mod toml_edits;
mod usable;
mod watch;

pub use atomic::{SaveError, replace};
pub use edit::{create, edit};
pub use environment::PREFIX;
pub use format::{Format, LoadError};
pub use kinds::{Built, BuiltAgent};
pub use load::{Loaded, Whole, host_zone, load, load_aside, load_for, load_whole, load_with};
pub use watch::{Cause, Watch, WatchError};

#[cfg(test)]
mod tests;
