//! When a check runs.

/// When a check runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {}
