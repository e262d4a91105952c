//! Checks of this machine whose level is measured at once.

use std::time::Duration;

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{Before, Look, Probe};

/// What such a check measures, and how it judges that.
pub(super) trait Measure: Send + Sync {
    /// What is measured.
    type Seen;

    /// Measures.
    ///
    /// # Errors
    /// It cannot be measured: a whole sentence.
    fn measure() -> Result<Self::Seen, String>;

    /// Judges what was measured.
    fn judge(&self, seen: Self::Seen, before: &Before) -> Outcome;
}

/// Such a check as a probe.
pub(super) struct Here<M>(pub(super) M);

#[async_trait]
impl<M: Measure> Probe for Here<M> {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        match M::measure() {
            Ok(seen) => self.0.judge(seen, look.before),
            Err(text) => Outcome::fail(text.clone()).log([text]),
        }
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn local(&self) -> bool {
        true
    }
}
