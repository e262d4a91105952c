//! Tests across the whole program, with real servers on loopback. `tests/run` installs those and runs everything.

mod actions;
mod answers;
mod broker;
mod cert;
mod certificates;
mod commands;
mod crash;
mod dns;
mod domain;
mod exec;
mod file;
mod fleet;
mod https;
mod interop;
mod link;
mod mail;
mod migration;
mod parts;
mod push;
mod readings;
mod samples;
mod servers;
mod ssh;
mod temp;
mod triggers;
