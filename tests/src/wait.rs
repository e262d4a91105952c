//! Waiting with a deadline, by looking again until something is there.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Long enough for any server to start and any message to arrive on a busy machine with two cores.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Pause between two looks: short beside what is waited for, long enough to leave the processor to it.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` again and again until it answers with a value.
///
/// # Errors
/// `limit` has passed; the text names `what` was awaited.
pub async fn until<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        sleep(PAUSE).await;
    }
}
