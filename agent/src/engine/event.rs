//! Everything that wakes the engine.

use fletchck_shared::CheckName;
use tokio::sync::oneshot;

use super::{Heard, Refused, Request};
use crate::{scheduler::Due, turn::Ended};

/// Everything that wakes the engine. There is no other way in.
#[derive(Debug)]
pub(super) enum Event {
    /// The trigger of a check has fired.
    Due(Due<CheckName>),
    /// A remote check may have been silent for longer than its timeout.
    Silence(CheckName),
    /// There may be something to tell of a check although nothing happened to it: a reminder, or a silence that is over.
    Remind(CheckName),
    /// A run has ended.
    Ended(RunId, Box<Ended>),
    /// Something was heard of checks that run elsewhere.
    Heard(Vec<Heard>),
    /// Someone asks for something.
    Asked(Request, oneshot::Sender<Result<(), Refused>>),
}

/// One run of one check. A check that is configured anew takes no outcome of a run it began before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RunId {
    /// The check.
    pub(super) name: CheckName,
    /// Number of the configuration that the run began under.
    pub(super) generation: u64,
}
