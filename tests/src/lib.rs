//! The harness: real servers on loopback, our own programs as processes, and faults between them.
//!
//! Everything started here ends with the value that stands for it, and also when the test program is killed. Every
//! wait has a deadline; when it passes, the error says what was awaited and shows the end of the server's log.
//! `tests/run` installs the servers.

pub mod alertmanager;
pub mod dovecot;
pub mod exim;
pub mod fault;
pub mod fields;
pub mod fletchck;
pub mod frame;
pub mod fuzz;
pub mod look;
pub mod mosquitto;
pub mod mqtt;
pub mod netns;
pub mod nginx;
pub mod nsd;
pub mod nut;
pub mod original;
pub mod page;
pub mod pki;
pub mod port;
pub mod process;
pub mod scripted;
pub mod sink;
pub mod sshd;
pub mod systemd;
pub mod tell;
pub mod unbound;
pub mod usage;
pub mod wait;
