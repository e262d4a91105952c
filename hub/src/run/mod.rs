//! Running a site: the parts that agents have too (`Service`), and around them broker, fleet and pages, each kept to the
//! configuration as it changes.
//!
//! Checks run whatever becomes of the other parts. One that cannot run as the configuration says is told of on the page and
//! in the log, what it did before goes on, and it is tried again by itself (`round`).

mod access;
mod brokering;
mod control;
mod hub;
mod outlet;
mod paging;
mod ports;
mod retained;
mod round;

use std::{path::Path, time::Duration};

use fletchck_agent::{
    config::{self, LoadError, Loaded, Watch},
    service::{log_to_stderr, raise_file_limit},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{sleep_until, timeout},
};
use tracing::{info, warn};

use self::hub::Hub;
use crate::cli::Args;

/// Longest time that stopping may take.
const STOP: Duration = Duration::from_secs(4);

/// Runs a site until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot be started; the reason says what to do.
pub async fn run(path: &Path, args: &Args) -> anyhow::Result<()> {
    log_to_stderr();
    raise_file_limit();
    let mut watch = Watch::new(path)?;
    // Before anything starts: a signal during the start is one too.
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hub = Hub::start(load(path, args)?).await?;
    loop {
        let due = hub.due();
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            Ok(()) = hub.reach.changed() => hub.settle_fleet(),
            () = sleep_until(due) => hub.look_after().await,
            // Whoever started it starts it again; a monitor that only looks alive helps nobody.
            reason = hub.service.broken() => return Err(reason),
            _ = watch.changed() => match load(path, args) {
                Ok(loaded) => hub.reload(loaded).await,
                Err(reason) => hub.service.unread(&reason),
            },
        }
    }
    info!("stopping");
    if timeout(STOP, hub.stop()).await.is_err() {
        warn!("not everything ended in time");
    }
    Ok(())
}

/// Reads a configuration, and lets the command line have its way.
fn load(path: &Path, args: &Args) -> Result<Loaded, LoadError> {
    let mut loaded = config::load(path)?;
    if !args.webui {
        loaded.site.webui = None;
    }
    if let (Some(web), Some(port)) = (&mut loaded.site.webui, args.port) {
        web.port = port;
    }
    Ok(loaded)
}
