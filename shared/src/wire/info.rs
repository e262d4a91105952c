//! Who an agent is, as it says itself in its retained info topic.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::PAYLOAD_MAX;

/// Version of this message. Readers take every version and ignore keys they do not know.
pub const VERSION: u32 = 1;

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
        let long = |text: &String| text.len() > 256;
        let labels = info.labels.iter().any(|(key, value)| long(key) || long(value));
        if labels || info.labels.len() > 64 || long(&info.version) || long(&info.host) {
            return Err("an info message with a label, version or host beyond 256 bytes".into());
        }
        Ok(info)
    }
}
