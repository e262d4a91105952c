//! The embedded broker, over real sockets: what honest clients may expect, and what hostile ones may not do.

mod access;
mod hostile;
mod raw;
mod retained;
mod sessions;
mod setup;
mod stock;
mod takeover;
mod tls;
mod traffic;
mod wills;
