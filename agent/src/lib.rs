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
pub mod stay;
pub mod store;
pub mod turn;

/// An error with all its causes, in one line: for logs and for people. What an error says of its cause by itself is not said
/// again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
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

#[cfg(test)]
mod tests {
    use std::io;

    use super::chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Outer {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_twice() {
        for (text, whole) in [
            ("the mail server", "the mail server: Connection refused"),
            ("Connection refused", "Connection refused"),
            ("Connection error: Connection refused", "Connection error: Connection refused"),
        ] {
            let source = io::Error::other("Connection refused");
            assert_eq!(chain(&Outer { text, source }), whole);
        }
    }
}
