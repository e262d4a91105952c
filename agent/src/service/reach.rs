//! Whether the broker is there that everything from elsewhere is heard through, and that the engine knows of it.

use std::future::pending;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tracing::warn;

use crate::{
    engine::{Handle, Refused, Request},
    stay::stay,
};

/// How it stands with the broker of a site: the one at the other end of its link, or its own. Cheap to clone.
///
/// Whoever has to do with a broker says here how it stands. The engine is told of each change, one after another: that it
/// is away for as long as it is, whatever the reason and whether or not it was ever there; and that it is back.
#[derive(Clone, Debug)]
pub struct Reach(watch::Sender<Standing>);

/// How it stands with the broker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Why nothing is heard; `None`: the broker is there, or it is not known yet whether it is.
    pub away: Option<String>,
    /// When it came, or came back, last. What was heard before says nothing of who is connected now.
    pub came: Option<DateTime<Utc>>,
    /// Counts how often the engine is to be told again that it is away.
    again: u64,
}

impl Reach {
    /// Nothing is known of a broker yet. Ends with the engine.
    pub(super) fn new(engine: Handle) -> Self {
        let (standing, watch) = watch::channel(Standing::default());
        let what = "telling the engine how it stands with the broker";
        let state = (engine, watch, Standing::default());
        tokio::spawn(stay(what, pending(), state, |(engine, watch, told)| {
            tell(engine, watch, told).boxed()
        }));
        Self(standing)
    }

    /// The broker is there since then.
    pub fn there(&self, since: DateTime<Utc>) {
        self.0.send_if_modified(|standing| {
            let changed = standing.away.take().is_some() || standing.came != Some(since);
            standing.came = Some(since);
            changed
        });
    }

    /// The broker is away, and why.
    pub fn away(&self, why: impl Into<String>) {
        let why = why.into();
        self.0.send_if_modified(|standing| {
            let changed = standing.away.as_ref() != Some(&why);
            standing.away = Some(why);
            changed
        });
    }

    /// There is no broker that anyone would miss.
    pub(super) fn unknown(&self) {
        self.0.send_if_modified(|standing| {
            let before = (standing.away.take(), standing.came.take());
            before != (None, None)
        });
    }

    /// How it stands, from now on.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.subscribe()
    }

    /// The engine has other checks now: those that nobody can be heard of are to be known as such.
    pub(super) fn tell_again(&self) {
        self.0.send_modify(|standing| standing.again += 1);
    }
}

async fn tell(engine: &Handle, standing: &mut watch::Receiver<Standing>, told: &mut Standing) {
    // What it broke down over is told again.
    standing.mark_changed();
    while standing.changed().await.is_ok() {
        let now = standing.borrow_and_update().clone();
        let request = match &now.away {
            Some(why) if told.away != now.away || told.again != now.again => {
                Request::BrokerAway(why.clone())
            }
            None if told.away.is_some() || told.came != now.came => Request::BrokerBack,
            Some(_) | None => continue,
        };
        match engine.ask(request).await {
            Err(Refused::Stopping) => return,
            Err(refused) => {
                warn!("the engine does not know how it stands with the broker: {refused}")
            }
            Ok(()) => {}
        }
        *told = now;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::engine::{Board, Inbox};

    /// What the engine is asked next, in short; `None`: nothing.
    async fn asked(inbox: &mut Inbox) -> Option<String> {
        let next = timeout(Duration::from_secs(60), inbox.requests.recv()).await.ok()?;
        let (request, answer) = next.expect("it asks");
        answer.send(Ok(())).expect("it waits");
        Some(match request {
            Request::BrokerAway(why) => why,
            Request::BrokerBack => "back".into(),
            other => panic!("{other:?}"),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn the_engine_is_told_whenever_it_stands_otherwise_with_the_broker() {
        let (engine, mut inbox) = Handle::new(Arc::<Board>::default(), Arc::default(), 8);
        let reach = Reach::new(engine);
        let at = |second| DateTime::from_timestamp(second, 0).expect("a time");
        assert_eq!(asked(&mut inbox).await, None, "nothing is known yet");
        reach.away("it was never there");
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("it was never there"));
        reach.away("it was never there");
        assert_eq!(asked(&mut inbox).await, None);
        reach.away("the password is wrong");
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("the password is wrong"));
        reach.tell_again();
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("the password is wrong"));
        reach.there(at(1));
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("back"));
        reach.there(at(1));
        reach.tell_again();
        assert_eq!(asked(&mut inbox).await, None);
        // Gone and back before anyone could be told: everyone has to connect anew, and has time to.
        reach.away("gone");
        reach.there(at(2));
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("back"));
        reach.away("gone");
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("gone"));
        reach.there(at(2));
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("back"));
        // And once the configuration has no broker any more, none is away.
        reach.away("gone");
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("gone"));
        reach.unknown();
        assert_eq!(asked(&mut inbox).await.as_deref(), Some("back"));
    }
}
