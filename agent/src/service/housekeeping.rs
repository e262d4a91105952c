//! Jobs that keep the store small. They run by a cron scheduler that may lose a run; the next one does the work then.

use std::{fmt, time::Duration};

use chrono::Utc;
use fletchck_shared::ActionName;
use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::{error, info, warn};

use crate::{chain, store::Store};

/// Every hour, at a minute when nobody else's jobs begin.
const HOURLY: &str = "30 17 * * * *";

/// The jobs, until dropped.
pub(super) struct Housekeeping {
    _scheduler: JobScheduler,
}

impl Housekeeping {
    /// Starts the jobs. `actions` are those of the configuration that runs.
    pub(super) async fn start(
        store: Store,
        actions: watch::Receiver<Vec<ActionName>>,
    ) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        scheduler
            .add(Job::new_async(HOURLY, move |_, _| {
                Box::pin(trim(store.clone(), actions.borrow().clone()))
            })?)
            .await?;
        scheduler.start().await?;
        Ok(Self { _scheduler: scheduler })
    }
}

async fn trim(store: Store, actions: Vec<ActionName>) {
    // A moment for a commit that is under way, so that the two do not meet.
    tokio::time::sleep(Duration::from_millis(200)).await;
    match store.trim_outbox().await {
        Ok(0) => {}
        Ok(given_up) => {
            warn!("{given_up} messages waited too long for the broker and are given up")
        }
        Err(reason) => error!(error = chain(&reason), "the outbox was not trimmed"),
    }
    match store.trim_deliveries(actions, Utc::now()).await {
        Ok(0) => {}
        Ok(waiting) => {
            warn!("{waiting} alerts wait for actions that are not in the configuration any more")
        }
        Err(reason) => error!(error = chain(&reason), "old deliveries were not forgotten"),
    }
    match store.trim_transitions().await {
        Ok(forgotten) => info!("{forgotten} old transitions forgotten"),
        Err(reason) => error!(error = chain(&reason), "old transitions were not forgotten"),
    }
}

impl fmt::Debug for Housekeeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Housekeeping")
    }
}
