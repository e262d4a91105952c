//! A store that refuses: what is said of it, and when it is tried again.

use std::time::Duration;

use tracing::{error, info};

use crate::{chain, store::StoreError};

/// How often what was not stored is published anew, and the store tried again where nothing else happens.
pub(super) const AGAIN: Duration = Duration::from_secs(10);

/// Whether the store refuses.
#[derive(Debug, Default)]
pub(super) struct Refusing {
    /// Why it does.
    why: Option<String>,
    /// When all was said again last.
    said: Option<Duration>,
}

impl Refusing {
    /// Whether it does.
    pub(super) fn refuses(&self) -> bool {
        self.why.is_some()
    }

    /// Why it does.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// It took everything.
    pub(super) fn accepted(&mut self) {
        if self.why.take().is_some() {
            info!("states are stored again");
        }
        self.said = None;
    }

    /// It took nothing.
    pub(super) fn refused(&mut self, reason: &StoreError) {
        let reason = chain(reason);
        if self.why.replace(reason.clone()).is_none() {
            error!(
                error = reason,
                "states are not stored, and would be lost in a crash; alerts are sent and states published all the same"
            );
        }
    }

    /// Whether all is to be said again now, after this much time has passed.
    pub(super) fn says_again(&mut self, passed: Duration) -> bool {
        let due = self.refuses() && self.said.is_none_or(|said| passed >= said + AGAIN);
        if due {
            self.said = Some(passed);
        }
        due
    }
}
