//! `log`: one line of warning in this program's log.

use std::sync::Arc;

use async_trait::async_trait;
use fletchck_shared::state::{Condition, Failure, TransitionKind};
use tracing::warn;

use super::{Action, ActionKind, Notice, TellError};
use crate::options::Options;

/// The entry of `log` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "log",
    summary: "one line of warning in this program's log",
    options: &[],
    build,
};

struct Log;

fn build(_: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    Some(Arc::new(Log))
}

#[async_trait]
impl Action for Log {
    async fn tell(&self, notice: &Notice) -> Result<(), TellError> {
        let Notice { check, kind, text, .. } = notice;
        let word = match (notice.transition.kind, &notice.transition.to) {
            (TransitionKind::Recovered, _) => "PASS",
            (_, Condition::Fail(Failure::Warning)) => "WARN",
            (TransitionKind::Failed | TransitionKind::Changed, _) => "FAIL",
        };
        warn!(check.name = %check, "{check} ({kind}): {word}: {text}");
        Ok(())
    }
}
