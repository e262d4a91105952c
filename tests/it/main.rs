//! Tests across the whole program, with real servers on loopback. `tests/run` installs those and runs everything.

mod answers;
mod broker;
mod cert;
mod certificates;
mod corpus;
mod crash;
mod domain;
mod elsewhere;
mod exec;
mod file;
mod fleet;
mod https;
mod interop;
mod link;
mod mail;
mod migration;
mod push;
mod readings;
mod samples;
mod servers;
mod ssh;
mod temp;
mod triggers;
mod web;
