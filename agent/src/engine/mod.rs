//! The running site: one task that owns the state of every check, and what others may ask of it.

mod board;
mod handle;

pub use board::{AgentView, Board, Changed, CheckView};
pub use handle::{Handle, Heard, Inbox, Refused, Request};
