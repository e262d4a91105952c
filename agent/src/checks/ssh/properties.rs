//! What must hold of what SSH servers say, and of the keys they must have. See [`crate::checks::properties`].

use super::{
    greeting::Greeting,
    hostkey::{Pin, base64},
};

/// What an SSH server says first. The first byte says how long the pieces are that the rest comes in.
pub fn ssh_greeting(bytes: &[u8]) {
    let Some((piece, said)) = bytes.split_first() else { return };
    let all = Greeting::read(said);
    let mut before = Greeting::default();
    for end in (0..said.len()).step_by(usize::from(*piece).max(1)) {
        let greeting = Greeting::read(&said[..end]);
        assert!(greeting.lines.starts_with(&before.lines), "what came stays");
        assert!(!before.complete || greeting == before, "what is complete stays so");
        before = greeting;
    }
    assert!(all.lines.starts_with(&before.lines));
    assert!(all.complete || !all.is_version_2());
    let begins = all.lines.last().is_some_and(|line| line.starts_with("SSH-"));
    assert!(!all.complete || begins);
}

/// The host key that a server must show.
pub fn host_key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(pin) = Pin::parse(&text) else { return };
    let again = match &pin {
        Pin::Key(key) => {
            assert!(pin.is(key));
            base64(key)
        }
        Pin::Fingerprint(fingerprint) => fingerprint.to_string(),
    };
    assert_eq!(Pin::parse(&again), Some(pin));
}
