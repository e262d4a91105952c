//! What a person at a terminal asks about a site, without running it.

mod check;
mod check_config;
mod export;
mod list;
mod original;

pub use check::check;
pub use check_config::check_config;
pub use export::{Export, export};
pub use list::list;
