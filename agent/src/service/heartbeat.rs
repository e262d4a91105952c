//! The heartbeat: an address that is asked for again and again while this site is well, so that somebody elsewhere notices
//! when it no longer is.

use std::{future::pending, time::Duration};

use fletchck_shared::config::{Fault, Heartbeat};
use futures_util::FutureExt as _;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};
use tracing::{info, warn};

use super::Faults;
use crate::{
    actions::{self, TellError},
    engine::{Handle, Refused, Request},
    stay::stay,
};

/// The section of the configuration that says whom to tell.
const PART: &str = "heartbeat";

/// From the start to the first one, or as long as from one to the next, if that is less. A site that ends again and again
/// soon after its start is not well.
const FIRST: Duration = Duration::from_secs(15);

/// Time for the engine to answer. The store takes five seconds to refuse.
const ANSWER: Duration = Duration::from_secs(10);

/// Time for whoever hears it, if they come no closer than that.
const HEARD: Duration = Duration::from_secs(10);

/// Sends heartbeats until dropped.
pub(super) struct Heart {
    configured: watch::Sender<Option<Heartbeat>>,
    task: JoinHandle<()>,
}

/// How it went last; each change is said once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Went {
    /// Nothing was sent yet.
    Nowhere,
    /// It was heard.
    Heard,
    /// Nobody took it.
    NotHeard,
    /// The site is not well.
    NotSent,
}

impl Heart {
    /// Sends the heartbeats of this configuration.
    pub(super) fn start(engine: Handle, faults: Faults, heartbeat: Option<Heartbeat>) -> Self {
        let (configured, watch) = watch::channel(heartbeat);
        let state = (engine, faults, watch);
        let part = stay("the heartbeat", pending(), state, |(engine, faults, watch)| {
            beat(engine, faults, watch, ask).boxed()
        });
        Self { configured, task: tokio::spawn(part) }
    }

    /// Sends those of another one from now on.
    pub(super) fn keep_to(&self, heartbeat: Option<&Heartbeat>) {
        self.configured.send_if_modified(|configured| {
            let changed = configured.as_ref() != heartbeat;
            *configured = heartbeat.cloned();
            changed
        });
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(heartbeat: &Heartbeat) -> Result<(), TellError> {
    let limit = heartbeat.every.min(HEARD);
    let ca_file = heartbeat.ca_file.as_deref();
    actions::fetch(heartbeat.url.reveal(), ca_file, limit).await.map(drop)
}

async fn beat(
    engine: &Handle,
    faults: &Faults,
    configured: &mut watch::Receiver<Option<Heartbeat>>,
    ask: impl AsyncFn(&Heartbeat) -> Result<(), TellError>,
) {
    let mut went = Went::Nowhere;
    let first = configured.borrow().as_ref().map_or(FIRST, |heartbeat| heartbeat.every.min(FIRST));
    let mut next = Instant::now() + first;
    loop {
        let heartbeat = configured.borrow_and_update().clone();
        let wait = async {
            match heartbeat {
                Some(_) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            changed = configured.changed() => {
                if changed.is_err() {
                    return;
                }
                faults.part(PART, Vec::new());
                (went, next) = (Went::Nowhere, Instant::now());
            }
            () = wait => {
                let Some(heartbeat) = &heartbeat else { continue };
                let (goes, why) = once(engine, heartbeat, &ask).await;
                say(faults, (went, goes), why);
                went = goes;
                // None is made up for.
                next = (next + heartbeat.every).max(Instant::now());
            }
        }
    }
}

/// Sends one, if the site is well.
async fn once(
    engine: &Handle,
    heartbeat: &Heartbeat,
    ask: &impl AsyncFn(&Heartbeat) -> Result<(), TellError>,
) -> (Went, String) {
    let well = timeout(ANSWER, engine.ask(Request::Pulse)).await.unwrap_or_else(|_| {
        let why = format!("the engine does not answer within {} s", ANSWER.as_secs());
        Err(Refused::Late(why))
    });
    match well {
        Err(why) => (Went::NotSent, why.to_string()),
        Ok(()) => match ask(heartbeat).await {
            Ok(()) => (Went::Heard, String::new()),
            Err(failure) => (Went::NotHeard, failure.text),
        },
    }
}

/// Says what changed, and shows what is wrong now.
fn say(faults: &Faults, (went, goes): (Went, Went), why: String) {
    let fault = match goes {
        Went::Nowhere | Went::Heard => None,
        Went::NotHeard => Some(Fault::warning(
            "heartbeat.url",
            format!("nobody hears the heartbeat: {why}"),
            "the address that whoever watches this site has given",
        )),
        Went::NotSent => Some(Fault::warning(
            PART,
            format!("no heartbeat is sent, for this site is not well: {why}"),
            "a site that is well; the log says what is wrong",
        )),
    };
    if went != goes {
        match (&fault, went) {
            (Some(fault), _) => warn!("{}", fault.told()),
            (None, Went::Nowhere) => info!("the heartbeat is heard"),
            (None, _) => info!("the heartbeat is heard again"),
        }
    }
    faults.part(PART, fault.into_iter().collect());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fletchck_shared::Secret;
    use parking_lot::Mutex;
    use tokio::{sync::mpsc, time::sleep};

    use super::*;
    use crate::engine::{Board, Inbox};

    fn every(seconds: u64) -> Option<Heartbeat> {
        let url = Secret::new("https://watch.example/secret");
        Some(Heartbeat { url, ca_file: None, every: Duration::from_secs(seconds) })
    }

    /// A heart that beats; the engine's end of it; its configuration; and at which seconds it was heard.
    struct Beating {
        inbox: Inbox,
        board: Arc<Board>,
        configured: watch::Sender<Option<Heartbeat>>,
        heard: mpsc::UnboundedReceiver<u64>,
        /// What whoever hears it answers.
        answer: Arc<Mutex<Result<(), TellError>>>,
    }

    fn begin(heartbeat: Option<Heartbeat>) -> Beating {
        let board = Arc::<Board>::default();
        let (engine, inbox) = Handle::new(board.clone(), Arc::default(), 8);
        let faults = Faults::new(board.clone(), Vec::new());
        let (configured, mut watch) = watch::channel(heartbeat);
        let (tell, heard) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new(Ok(())));
        let (answers, began) = (answer.clone(), Instant::now());
        tokio::spawn(async move {
            beat(&engine, &faults, &mut watch, async move |_: &Heartbeat| {
                tell.send(began.elapsed().as_secs()).expect("the test listens");
                answers.lock().clone()
            })
            .await;
        });
        Beating { inbox, board, configured, heard, answer }
    }

    impl Beating {
        /// Lets so many seconds pass, in which the engine answers like this; `None`: it hangs. When it was heard.
        async fn pass(&mut self, seconds: u64, answer: Option<Result<(), Refused>>) -> Vec<u64> {
            let end = sleep(Duration::from_secs(seconds));
            tokio::pin!(end);
            loop {
                tokio::select! {
                    biased;
                    Some((request, asker)) = self.inbox.requests.recv(), if answer.is_some() => {
                        assert!(matches!(request, Request::Pulse), "{request:?}");
                        // It may have given up.
                        asker.send(answer.clone().expect("it answers")).ok();
                    }
                    () = &mut end => break,
                }
            }
            std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
        }

        fn faults(&self) -> Vec<String> {
            self.board.faults().iter().map(|fault| fault.wrong.clone()).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_is_well_is_heard_on_its_grid() {
        let mut site = begin(every(60));
        assert_eq!(site.pass(200, Some(Ok(()))).await, [15, 75, 135, 195]);
        let mut quick = begin(every(5));
        assert_eq!(quick.pass(16, Some(Ok(()))).await, [5, 10, 15]);
        let mut none = begin(None);
        assert!(none.pass(1000, Some(Ok(()))).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_stops_it_and_none_is_made_up_for() {
        let mut site = begin(every(20));
        assert_eq!(site.pass(30, Some(Ok(()))).await, [15]);
        assert!(site.pass(100, None).await.is_empty());
        assert_eq!(
            site.faults(),
            [
                "no heartbeat is sent, for this site is not well: the engine does not answer within 10 s"
            ]
        );
        let heard = site.pass(50, Some(Ok(()))).await;
        assert!(!heard.is_empty() && heard.len() <= 3, "{heard:?}");
        assert!(site.faults().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_refuses_and_checks_that_are_late_stop_it() {
        let mut site = begin(every(20));
        for refused in
            [Refused::Store("disk full".into()), Refused::Late("`a` should have run".into())]
        {
            assert!(site.pass(60, Some(Err(refused.clone()))).await.is_empty());
            assert!(site.faults()[0].ends_with(&refused.to_string()), "{:?}", site.faults());
            assert!(!site.pass(60, Some(Ok(()))).await.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_hears_is_shown_until_somebody_does() {
        let mut site = begin(every(10));
        *site.answer.lock() = Err(TellError::passing("the service answered 503"));
        assert_eq!(site.pass(25, Some(Ok(()))).await, [10, 20], "it goes on");
        assert_eq!(site.faults(), ["nobody hears the heartbeat: the service answered 503"]);
        *site.answer.lock() = Ok(());
        site.pass(10, Some(Ok(()))).await;
        assert!(site.faults().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn another_configuration_counts_at_once() {
        let mut site = begin(every(60));
        assert_eq!(site.pass(20, Some(Ok(()))).await, [15]);
        site.configured.send_replace(every(10));
        assert_eq!(site.pass(25, Some(Ok(()))).await, [20, 30, 40]);
        site.configured.send_replace(None);
        assert!(site.pass(100, Some(Ok(()))).await.is_empty());
    }
}
