//! What the reader of a configuration asks about types of checks and actions, which this crate does not know.

use serde_json::{Map, Value};

use super::{Fault, Site};

/// The types of checks and actions that a program runs.
pub trait Kinds {
    /// The names of all types of checks.
    fn checks(&self) -> Vec<&'static str>;

    /// The names of all types of actions.
    fn actions(&self) -> Vec<&'static str>;

    /// The options that a type of check has; `None`: there is no such type.
    fn check_options(&self, kind: &str) -> Option<Vec<&'static str>>;

    /// The options that a type of action has; `None`: there is no such type.
    fn action_options(&self, kind: &str) -> Option<Vec<&'static str>>;

    /// All that is wrong with the options of a check of this type, each path beginning at its options.
    fn check(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault>;

    /// All that is wrong with the options of an action of this type, each path beginning at its options.
    fn action(&self, kind: &str, options: &Map<String, Value>) -> Vec<Fault>;

    /// Why a check of this type cannot run at a site with these sections, and what would be right; `None`: it can.
    fn out_of_place(&self, _kind: &str, _site: &Site) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Why an action of this type can tell nobody at a site with these sections, and what would be right; `None`: it can.
    fn action_out_of_place(
        &self,
        _kind: &str,
        _site: &Site,
    ) -> Option<(&'static str, &'static str)> {
        None
    }

    /// Whether an action of this type tells by way of the site's broker.
    fn needs_broker(&self, _kind: &str) -> bool {
        false
    }
}

/// Types of checks that sites of the original may have. One that [`Kinds::checks`] lacks is not a slip of its owner's.
pub const ORIGINAL_CHECKS: &[&str] = &[
    "cert", "smtp", "submit", "imap", "https", "ssh", "dns", "ups", "upstest", "disk", "memory",
    "cpu", "temp", "file", "sequence", "remote",
];

/// Types of actions that sites of the original may have, its old name for `sms` aside.
pub const ORIGINAL_ACTIONS: &[&str] = &["email", "sms", "log"];

/// Keys that hold a secret, in a section or in the options of an action or a check. Each may instead be named with
/// `_file` appended; its value is then the path of the file that holds the secret and nothing else.
pub const SECRETS: &[&str] = &["password", "apikey", "token", "secret", "url", "reqBody"];
