//! `log`: one line of warning for each check in this program's log.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::warn;

use super::{Action, ActionKind, Letter, TellError, To};
use crate::options::Options;

/// The entry of `log` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "log",
    summary: "one line of warning in this program's log",
    options: &[],
    gathers: false,
    build,
};

struct Log;

fn build(_: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    Some(Arc::new(Log))
}

#[async_trait]
impl Action for Log {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        // Each line is read for itself, so what else was not told yet stands before it.
        for entry in &letter.entries {
            for notice in entry.earlier.iter().chain([&entry.notice]) {
                let (check, kind) = (&notice.check, &notice.kind);
                warn!(check.name = %check, "{check} ({kind}): {}: {}", notice.word(), notice.text);
            }
        }
        Ok("written to the log".into())
    }
}
