//! One live session for each client id: a new one waits until the old one has left.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio_util::sync::CancellationToken;

use super::access::Rights;
use super::codec::Version;

/// A connected client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Client id.
    pub id: Arc<str>,
    /// User it logged in as.
    pub user: Option<Arc<str>>,
    /// Address it comes from.
    pub peer: IpAddr,
    /// Protocol it speaks.
    pub version: Version,
    /// When it was admitted.
    pub since: SystemTime,
}

/// All client ids that are connected or about to be.
#[derive(Default)]
pub(super) struct Clients {
    slots: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    /// Held by the session that is in; the next one waits for it.
    entered: Arc<tokio::sync::Mutex<()>>,
    /// Number of the newest session and whether it starts clean.
    newest: watch::Sender<(u64, bool)>,
    seated: Mutex<Option<Seated>>,
}

/// Who is in.
struct Seated {
    client: Client,
    rights: Arc<Rights>,
    dismissed: CancellationToken,
}

/// A session's hold on its client id. Dropped, it lets the next one in.
pub(super) struct Seat {
    clients: Arc<Clients>,
    id: Arc<str>,
    number: u64,
    slot: Arc<Slot>,
    newest: watch::Receiver<(u64, bool)>,
    dismissed: CancellationToken,
    entered: Option<OwnedMutexGuard<()>>,
}

impl Clients {
    /// Pushes out whoever has the client id and waits until it has left. `None`: a newer session came in the meantime.
    pub(super) async fn enter(
        self: &Arc<Self>,
        client: Client,
        rights: &Arc<Rights>,
        clean: bool,
    ) -> Option<Seat> {
        let id = client.id.clone();
        let slot = self.slots.lock().entry(id.clone()).or_default().clone();
        let mut number = 0;
        slot.newest.send_modify(|newest| {
            number = newest.0 + 1;
            *newest = (number, clean);
        });
        let newest = slot.newest.subscribe();
        let lock = slot.entered.clone();
        let (clients, dismissed) = (self.clone(), CancellationToken::new());
        let mut seat = Seat { clients, id, number, slot, newest, dismissed, entered: None };
        let entered = tokio::select! {
            entered = lock.lock_owned() => entered,
            _ = seat.pushed() => return None,
        };
        seat.entered = Some(entered);
        let (rights, dismissed) = (rights.clone(), seat.dismissed.clone());
        *seat.slot.seated.lock() = Some(Seated { client, rights, dismissed });
        Some(seat)
    }

    /// Has everyone leave for whom `stays` is not true.
    pub(super) fn dismiss_unless(&self, stays: impl Fn(&Client, &Arc<Rights>) -> bool) {
        for slot in self.slots.lock().values() {
            if let Some(Seated { client, rights, dismissed }) = &*slot.seated.lock()
                && !stays(client, rights)
            {
                dismissed.cancel();
            }
        }
    }

    /// Everyone connected now.
    pub(super) fn list(&self) -> Vec<Client> {
        let slots = self.slots.lock();
        let client =
            |slot: &Arc<Slot>| slot.seated.lock().as_ref().map(|seated| seated.client.clone());
        slots.values().filter_map(client).collect()
    }
}

impl Seat {
    /// Waits for a newer session of the same client id. Answers whether that one starts clean.
    pub(super) async fn pushed(&mut self) -> bool {
        let number = self.number;
        let newest = self.newest.wait_for(|newest| newest.0 != number).await;
        // The sender is in the slot that this seat holds, so it is there.
        newest.is_ok_and(|newest| newest.1)
    }

    /// Cancelled once the session has to leave.
    pub(super) fn dismissed(&self) -> CancellationToken {
        self.dismissed.clone()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut slots = self.clients.slots.lock();
        if self.entered.is_some() {
            *self.slot.seated.lock() = None;
        }
        self.entered = None;
        // The map's and this one: nobody else waits for the client id.
        if Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client {
            id: "a".into(),
            user: None,
            peer: IpAddr::from([127, 0, 0, 1]),
            version: Version::V3,
            since: SystemTime::UNIX_EPOCH,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_gets_in_when_the_old_one_has_left() {
        let clients = Arc::new(Clients::default());
        let mut first = clients.enter(client(), &Arc::default(), true).await.expect("free");
        let second = tokio::spawn({
            let clients = clients.clone();
            async move { clients.enter(client(), &Arc::default(), true).await.is_some() }
        });
        assert!(first.pushed().await, "the newer one starts clean");
        let third = tokio::spawn({
            let clients = clients.clone();
            async move { clients.enter(client(), &Arc::default(), false).await.is_some() }
        });
        assert!(!second.await.expect("no panic"), "overtaken while waiting");
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.expect("no panic"));
        assert!(clients.slots.lock().is_empty() && clients.list().is_empty());
    }
}
