//! Actions against real servers, and beside the original.

mod beside;
mod incidents;
mod mail;
mod mqtt;
mod presets;
mod programs;
mod web;
