//! What must hold of what registries answer. See [`crate::checks::properties`].

use fletchck_shared::time;
use serde::Deserialize as _;

use super::{Known, Registration};
use crate::checks::{
    Look,
    net::days_until,
    properties::{fit, look},
};

/// The answer of an RDAP server.
pub fn registration(bytes: &[u8]) {
    let seen = match Registration::read(bytes) {
        Ok(seen) => seen,
        Err(error) => return fit(&error.to_string()),
    };
    for text in seen.name.iter().chain(&seen.status) {
        assert!(text.chars().count() <= 64);
        fit(text);
    }
    assert!(seen.status.len() <= 32);
    let Look { now, zone, .. } = look();
    let Some(expires) = seen.expires else { return };
    _ = days_until(expires, now);
    fit(&time::people(expires, zone));
    let known = Known {
        domain: "example.org".into(),
        server: "https://rdap.example/".into(),
        asked: now,
        expires,
        status: seen.status,
    };
    assert_eq!(Known::deserialize(&known.keep()).ok(), Some(known), "what is kept is found again");
}
