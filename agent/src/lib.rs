//! The engine that runs a site's checks: on every agent, and within every hub.
//!
//! Start reading at [`engine`]: what wakes it, and what it does about it. A check goes from its trigger
//! ([`scheduler`]) through one run ([`turn`]) and the state machine into the store, and only from there to whoever
//! is told.

pub mod actions;
pub mod checks;
pub mod config;
pub mod delivery;
pub mod engine;
pub mod link;
pub mod once;
pub mod options;
pub mod pem;
mod program;
pub mod say;
pub mod scheduler;
pub mod service;
pub mod store;
pub mod turn;

/// An error with all its causes, in one line: for logs and for people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// Makes ring the one provider of cryptography for every part of the process, those in libraries included.
///
/// # Errors
/// Another provider was made so before; that is a fault of this program.
pub fn install_crypto() -> Result<(), String> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| {
        "another provider of cryptography is installed already; please report this".into()
    })
}

#[cfg(test)]
mod reference;
