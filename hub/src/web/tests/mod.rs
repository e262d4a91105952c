//! The pages, asked without a socket.

mod alerts;
pub(super) mod client;
mod held;
mod live;
mod login;
mod names;
mod pages;
mod status;
pub(super) mod tls;
