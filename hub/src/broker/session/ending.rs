//! How a session ends, and what is left of it.

use std::io;
use std::time::Duration;

use rumqttd::protocol::DisconnectReasonCode as Reason;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::super::codec::Fault;
use super::super::router::Gone;
use super::super::sleeping::Sleeper;
use super::super::takeover::Seat;
use super::super::will::Will;
use super::Session;

/// How long a client may take to accept the last words.
pub(in crate::broker) const FAREWELL: Duration = Duration::from_secs(1);
/// After the router died, clients have this long to come back before their wills are sent.
const GRACE: Duration = Duration::from_secs(10);

/// How a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("left")]
    Left { will: bool, expiry: Option<u32> },
    #[error("closed the connection")]
    Closed,
    #[error("connection lost")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("nothing heard for 1.5 times its keep alive")]
    Idle,
    #[error("taken over by a newer connection")]
    Pushed { clean: bool },
    #[error("too slow for what it subscribed to")]
    Slow,
    #[error(transparent)]
    Router(#[from] Gone),
    #[error("its user is another one now, or none any more")]
    Dismissed,
    #[error("the broker stops")]
    Stopping,
}

impl<S> Session<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Ends the session. The client id is free for the next one when all of it is done: a will is sent before a newer
    /// connection of the same client says anything.
    pub(super) async fn finish(mut self, end: End, will: Option<Will>, seat: Seat) {
        self.say_farewell(&end).await;
        drop(self.link.take());
        // Publishers wait no longer for it.
        self.slots.clear();
        let expiry = match end {
            End::Left { expiry: Some(expiry), .. } if self.expiry > 0 => expiry.min(self.expiry),
            _ => self.expiry,
        };
        let goes_on = expiry > 0 && !matches!(end, End::Pushed { clean: true } | End::Router(_));
        self.keep_or_forget(goes_on.then_some(expiry)).await;
        let will = will.filter(|_| match end {
            End::Left { will, .. } => will,
            // The hub's own end says nothing about its clients.
            End::Stopping => false,
            End::Pushed { .. } => !goes_on,
            _ => true,
        });
        if let Some(mut will) = will {
            if matches!(end, End::Router(_)) {
                will.delay = will.delay.max(GRACE);
            }
            let most = match end {
                End::Router(_) => GRACE,
                _ => Duration::from_secs(expiry.into()),
            };
            let (client, usage) = (self.client.clone(), self.usage.clone());
            if will.delay.min(most).is_zero() {
                will.send(&self.gate, &client, &usage).await;
            } else {
                will.send_later(&self.gate, client, usage, most);
            }
        }
        if self.denied > 0 {
            tracing::warn!(client.id = %self.client, count = self.denied, "messages refused");
        }
        drop(seat);
    }

    async fn keep_or_forget(&mut self, expiry: Option<u32>) {
        let name = self.name.take().filter(|_| self.resumable);
        let Some(name) = name.filter(|_| !self.router.dead.is_cancelled()) else {
            self.leave_routes();
            return;
        };
        let sleeper = Sleeper {
            name,
            user: self.user.clone(),
            subscriptions: std::mem::take(&mut self.subscriptions),
            received: std::mem::take(&mut self.received),
            until: Instant::now() + Duration::from_secs(expiry.unwrap_or(0).into()),
            router: self.router.clone(),
        };
        let sleepers = &self.gate.sleepers;
        sleepers.put(self.client.clone(), sleeper).await;
        if expiry.is_none() {
            sleepers.end(&self.client).await;
        }
    }

    fn leave_routes(&mut self) {
        for (filter, subscription) in self.subscriptions.drain() {
            subscription.leave(&self.gate.routes, &filter);
        }
    }

    async fn say_farewell(&mut self, end: &End) {
        let reason = match end {
            End::Left { .. } | End::Closed | End::Io(_) => return,
            End::Fault(fault) => fault.reason(),
            End::Idle => Reason::KeepAliveTimeout,
            End::Pushed { .. } => Reason::SessionTakenOver,
            End::Slow => Reason::QuotaExceeded,
            End::Router(_) => Reason::UnspecifiedError,
            End::Dismissed => Reason::AdministrativeAction,
            End::Stopping => Reason::ServerShuttingDown,
        };
        self.version.farewell(reason, &mut self.write);
        let (io, write) = (&mut self.io, &mut self.write);
        let farewell = async {
            while !write.is_empty() {
                io.write_buf(write).await?;
            }
            io.shutdown().await
        };
        if !matches!(timeout(FAREWELL, farewell).await, Ok(Ok(()))) {
            tracing::trace!(client.id = %self.client, "last words not delivered");
        }
    }
}
