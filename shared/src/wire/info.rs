//! Who an agent is, as it says itself in its retained info topic.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PAYLOAD_MAX;
use crate::time::is_likely;

/// Version of this message. Readers take every version and ignore keys they do not know.
pub const VERSION: u32 = 1;

/// Most labels of an agent.
const LABELS_MAX: usize = 64;

/// Longest text in it, in bytes.
const TEXT_MAX: usize = 256;

/// Who an agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Info {
    /// Version of the message, [`VERSION`] when written here.
    pub v: u32,
    /// Version of the program.
    pub version: String,
    /// Host name of the machine.
    pub host: String,
    /// Name of its operating system.
    pub os: String,
    /// What its owner calls it by, free keys and values.
    pub labels: BTreeMap<String, String>,
    /// Hash of its configuration, to tell whether two agents have the same.
    pub config_hash: String,
    /// Number of its checks.
    pub checks: u32,
    /// When it connected, by its own clock. A will is older than the birth whose time is here or later.
    pub connected: Option<DateTime<Utc>>,
    /// Its own clock when it wrote this, so that a wrong one is noticed.
    pub clock: Option<DateTime<Utc>>,
}

impl Info {
    /// Reads a payload.
    ///
    /// # Errors
    /// What is wrong with it, in words for the log.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        if payload.len() > PAYLOAD_MAX {
            return Err(format!("{} bytes, more than the {PAYLOAD_MAX} allowed", payload.len()));
        }
        let info: Self = serde_json::from_slice(payload).map_err(|e| format!("no info: {e}"))?;
        let long = |text: &String| text.len() > TEXT_MAX;
        let labels = info.labels.iter().any(|(key, value)| long(key) || long(value));
        let texts = [&info.version, &info.host, &info.os, &info.config_hash];
        if labels || info.labels.len() > LABELS_MAX || texts.into_iter().any(long) {
            return Err(format!(
                "an info message with more than {LABELS_MAX} labels or {TEXT_MAX} bytes in one text"
            ));
        }
        let [connected, clock] = [info.connected, info.clock].map(|at| at.filter(is_likely));
        Ok(Self { connected, clock, ..info })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_is_bounded() {
        let long = "x".repeat(TEXT_MAX + 1);
        for key in ["version", "host", "os", "configHash"] {
            let payload = |text: &str| json!({ key: text }).to_string().into_bytes();
            assert!(Info::parse(&payload(&long)).is_err(), "{key}");
            assert!(Info::parse(&payload(&long[1..])).is_ok(), "{key}");
        }
        let labels = |count: usize| {
            let labels: BTreeMap<_, _> = (0..count).map(|n| (n.to_string(), "")).collect();
            json!({ "labels": labels }).to_string().into_bytes()
        };
        assert!(Info::parse(&labels(LABELS_MAX)).is_ok());
        assert!(Info::parse(&labels(LABELS_MAX + 1)).is_err());
    }

    #[test]
    fn a_clock_at_the_end_of_the_calendar_is_none() {
        let payload =
            json!({ "clock": "+262142-12-31T23:59:59Z", "connected": "-262143-01-01T00:00:00Z" });
        let info = Info::parse(payload.to_string().as_bytes()).expect("an info");
        assert_eq!((info.clock, info.connected), (None, None));
    }

    proptest! {
        #[test]
        fn no_payload_is_too_strange_and_what_is_written_is_read(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            host in "\\PC{0,60}", labels in prop::collection::btree_map("\\PC{0,8}", "\\PC{0,8}", 0..8),
            checks: u32,
        ) {
            _ = Info::parse(&payload);
            let info = Info { v: VERSION, host, labels, checks, ..Info::default() };
            let written = serde_json::to_vec(&info).expect("JSON");
            prop_assert_eq!(Info::parse(&written), Ok(info));
        }
    }
}
