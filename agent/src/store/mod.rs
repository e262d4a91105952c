//! What must survive the process, in one SQLite file beside the configuration: states, transitions, deliveries that are
//! still to be made, and messages that no broker has acknowledged.
//!
//! One thread owns the connection. A change of state and everything that follows from it are one transaction
//! ([`Batch`]), so that a crash leaves both or neither.

mod batch;
mod deliveries;
mod error;
mod handed;
mod labels;
mod letters;
mod lives;
mod outbox;
mod retained;
mod rows;
mod schema;
mod shown;
mod silences;
mod trim;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
};

use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::error;

pub use batch::{Batch, Mark, NewDelivery, OutgoingRow, SilenceId};
pub use deliveries::{Pending, PendingDelivery, Tried};
pub use error::StoreError;
pub use lives::Life;
pub use retained::{RetainedChange, RetainedRow};
pub use rows::{CheckRow, Past, RemoteRow};
pub use shown::{Revived, ShownDelivery};

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A way to the store. Cheap to clone; the file is closed when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Store {
    jobs: mpsc::UnboundedSender<Job>,
    outgoing: Arc<Notify>,
    to_deliver: Arc<Notify>,
    /// The highest id that a delivery was given.
    last_delivery: Arc<AtomicI64>,
    /// How often it was asked for something, so that a test knows when nobody does any more.
    #[cfg(test)]
    asked: Arc<std::sync::atomic::AtomicU64>,
}

impl Store {
    /// Opens the store of a site, makes it where there is none, and brings an older one up to date.
    ///
    /// # Errors
    /// What is wrong with the file and how to get out of it. Nothing is ever made anew over a file that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (mut connection, lock) = schema::open(path)?;
        let last_delivery = Arc::new(AtomicI64::new(deliveries::last(&connection)?));
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                let _lock = lock; // held for as long as the file is open
                while let Some(job) = queue.blocking_recv() {
                    // A transaction that is open is rolled back, and whoever asked hears that there is no answer.
                    if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
                        error!("the store broke down over what it was asked, and goes on; please report what the log says above");
                    }
                }
            })
            .map_err(StoreError::Thread)?;
        Ok(Self {
            jobs,
            outgoing: Arc::default(),
            to_deliver: Arc::default(),
            last_delivery,
            #[cfg(test)]
            asked: Arc::default(),
        })
    }

    /// Woken whenever messages to publish were stored.
    pub fn outgoing_stored(&self) -> Arc<Notify> {
        self.outgoing.clone()
    }

    /// Woken whenever deliveries were stored.
    pub fn delivery_stored(&self) -> Arc<Notify> {
        self.to_deliver.clone()
    }

    /// The highest id that a stored delivery was given so far.
    pub fn last_delivery(&self) -> i64 {
        self.last_delivery.load(Ordering::Acquire)
    }

    /// Notes the highest id that a delivery was given.
    fn stored_delivery(last: &AtomicI64, id: i64) {
        last.fetch_max(id, Ordering::AcqRel);
    }

    /// How often it was asked for something.
    #[cfg(test)]
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// As [`Store::call`], for a thread that may block.
    ///
    /// # Errors
    /// The job's own, or that the thread is gone.
    pub fn call_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        let job = Box::new(move |connection: &mut Connection| {
            // Whoever asked may be gone by now; that is their business.
            _ = answer.send(job(connection));
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        answered.recv().map_err(|_| StoreError::Closed)?.map_err(StoreError::from)
    }

    /// Does something with the connection, on its own thread, and answers with the result.
    ///
    /// # Errors
    /// The job's own, or that the thread is gone.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        #[cfg(test)]
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move |connection: &mut Connection| {
            // Whoever asked may be gone by now; that is their business.
            _ = answer.send(job(connection));
        });
        self.jobs.send(job).map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?.map_err(StoreError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_broke_down_over_one_thing_takes_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("site.db")).expect("a store");
        let failed = store.call::<()>(|_| panic!("on purpose")).await;
        assert!(matches!(failed, Err(StoreError::Closed)), "{failed:?}");
        let one: i64 = store
            .call(|db| db.query_row("SELECT 1", (), |row| row.get(0)))
            .await
            .expect("it goes on");
        assert_eq!(one, 1);
    }
}
