//! Tests across the whole program, with real servers on loopback. `tests/run` installs those and runs everything.

mod link;
mod samples;
mod servers;
mod triggers;
