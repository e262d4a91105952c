//! A call of the system that may never return, as one that looks at the files of a dead file server.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// Stack of the thread, in bytes: what is called opens, reads or asks, and does no more.
const STACK: usize = 128 * 1024;

/// A place for one call at a time.
///
/// It is made on a thread of its own, for it cannot be ended. While one still owes its answer there is no other, so that a
/// file server that is away for days holds one thread; and it is none that a shutdown waits for.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    owing: Arc<AtomicBool>,
}

/// Why there is no answer: the end of a sentence that begins with what was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AsideError {
    /// The call before this one has not returned.
    #[error("still has not answered: is its file server away?")]
    Owing,
    /// It did not return in time.
    #[error("did not answer within {} s: is its file server away?", .0.as_secs_f64())]
    Late(Duration),
    /// The system has no thread to spare.
    #[error("was not looked at: no thread to do it ({0})")]
    NoThread(#[source] io::Error),
    /// The call ended without an answer.
    #[error("was not looked at")]
    Lost,
}

impl Aside {
    /// Calls, and waits for the answer for so long.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AsideError> {
        if self.owing.swap(true, Ordering::AcqRel) {
            return Err(AsideError::Owing);
        }
        let owed = Owed(Arc::clone(&self.owing));
        let (answer, receiver) = oneshot::channel();
        let thread = thread::Builder::new().name("aside".into()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let value = call();
            drop(owed);
            // An answer that comes too late has nobody left to hear it.
            drop(answer.send(value));
        });
        spawned.map_err(AsideError::NoThread)?;
        match timeout(patience, receiver).await {
            Ok(answer) => answer.map_err(|_| AsideError::Lost),
            Err(_) => Err(AsideError::Late(patience)),
        }
    }
}

/// An answer that is owed until this is dropped.
struct Owed(Arc<AtomicBool>);

impl Drop for Owed {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn one_that_owes_an_answer_is_not_asked_again() {
        let (aside, second) = (Aside::default(), Duration::from_secs(1));
        let (go, wait) = mpsc::channel::<()>();
        let late = aside.ask(Duration::from_millis(20), move || wait.recv().ok()).await;
        let words = "did not answer within 0.02 s: is its file server away?";
        assert_eq!(late.expect_err("too late").to_string(), words);
        assert!(matches!(aside.ask(second, || 1).await, Err(AsideError::Owing)));
        drop(go);
        while aside.owing.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert_eq!(aside.ask(second, || 2).await.expect("an answer"), 2);
        assert!(!aside.owing.load(Ordering::Acquire));
    }

    #[tokio::test]
    async fn a_call_that_falls_over_owes_nothing() {
        let aside = Aside::default();
        let lost = aside.ask(Duration::from_secs(1), || panic!("as it must")).await;
        assert!(matches!(lost, Err::<(), _>(AsideError::Lost)));
        assert_eq!(aside.ask(Duration::from_secs(1), || 1).await.expect("an answer"), 1);
    }
}
