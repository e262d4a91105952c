//! One live session for each client id: a new one waits until the old one has left.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, watch};

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
    client: Mutex<Option<Client>>,
}

/// A session's hold on its client id. Dropped, it lets the next one in.
pub(super) struct Seat {
    clients: Arc<Clients>,
    id: Arc<str>,
    number: u64,
    slot: Arc<Slot>,
    newest: watch::Receiver<(u64, bool)>,
    entered: Option<OwnedMutexGuard<()>>,
}

impl Clients {
    /// Pushes out whoever has the client id and waits until it has left. `None`: a newer session came in the meantime.
    pub(super) async fn enter(self: &Arc<Self>, client: Client, clean: bool) -> Option<Seat> {
        let id = client.id.clone();
        let slot = self.slots.lock().entry(id.clone()).or_default().clone();
        let mut number = 0;
        slot.newest.send_modify(|newest| {
            number = newest.0 + 1;
            *newest = (number, clean);
        });
        let newest = slot.newest.subscribe();
        let lock = slot.entered.clone();
        let mut seat = Seat { clients: self.clone(), id, number, slot, newest, entered: None };
        let entered = tokio::select! {
            entered = lock.lock_owned() => entered,
            _ = seat.pushed() => return None,
        };
        seat.entered = Some(entered);
        *seat.slot.client.lock() = Some(client);
        Some(seat)
    }

    /// Everyone connected now.
    pub(super) fn list(&self) -> Vec<Client> {
        let slots = self.slots.lock();
        slots.values().filter_map(|slot| slot.client.lock().clone()).collect()
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
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut slots = self.clients.slots.lock();
        if self.entered.is_some() {
            *self.slot.client.lock() = None;
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
        let mut first = clients.enter(client(), true).await.expect("free");
        let second = tokio::spawn({
            let clients = clients.clone();
            async move { clients.enter(client(), true).await.is_some() }
        });
        assert!(first.pushed().await, "the newer one starts clean");
        let third = tokio::spawn({
            let clients = clients.clone();
            async move { clients.enter(client(), false).await.is_some() }
        });
        assert!(!second.await.expect("no panic"), "overtaken while waiting");
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.expect("no panic"));
        assert!(clients.slots.lock().is_empty() && clients.list().is_empty());
    }
}
