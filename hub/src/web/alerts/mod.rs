//! What people decide about alerts, and what became of those that were sent.

pub(super) mod length;
pub(super) mod orders;
pub(super) mod page;
