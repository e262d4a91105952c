//! What all pages share.

use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use fletchck_agent::engine::{Board, Handle};
use fletchck_shared::{
    Secret, Tz,
    config::{Site, Web},
    policy::Silence,
};
use indexmap::IndexMap;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    session::{Book, Sessions},
    status::Status,
    throttle::Throttle,
    views::Views,
};

/// Browsers that may listen for changes at once.
const STREAMS: usize = 256;

/// What of the configuration the pages need. A reload puts a new one in the place of the old.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name shown at the top of every page.
    pub name: String,
    /// Argon2 hashes by user name. The user named "" holds the hash that is checked for unknown names.
    pub users: IndexMap<String, Secret>,
    /// Zone of times that belong to no check.
    pub zone: Tz,
    /// Times at which nobody is told of some checks, as the configuration has them, by name.
    pub windows: IndexMap<String, Silence>,
}

impl Settings {
    /// The settings of a site with this `webui` section, in its zone.
    pub fn new(web: &Web, site: &Site, zone: Tz) -> Self {
        let windows = site.maintenance.clone();
        Self { name: web.name.clone(), users: web.users.clone(), zone, windows }
    }

    /// The password hash of a user who may log in.
    pub(super) fn hash(&self, user: &str) -> Option<Secret> {
        if user.is_empty() { None } else { self.users.get(user).cloned() }
    }
}

/// What the pages show and whom they ask. Cheap to clone.
#[derive(Clone)]
pub struct WebState(Arc<Inner>);

struct Inner {
    settings: Arc<ArcSwap<Settings>>,
    engine: Handle,
    book: Book,
    throttle: Throttle,
    streams: Arc<Semaphore>,
    stop: CancellationToken,
    clock: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    /// Tells stamps of this process from those of another one, whose board also began to count at zero.
    nonce: u32,
    views: Cache<Views>,
    status: Cache<Status>,
}

impl WebState {
    /// Pages over an engine. `stop` ends the streams of changes, so that a server can stop.
    pub fn new(
        settings: Arc<ArcSwap<Settings>>,
        engine: Handle,
        sessions: Arc<dyn Sessions>,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            engine,
            book: Book::new(sessions),
            throttle: Throttle::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
            stop,
            clock: Box::new(Utc::now),
            nonce: rand::random(),
            views: Cache::default(),
            status: Cache::default(),
        }))
    }

    /// With another clock for logins, in tests.
    ///
    /// # Panics
    /// If the state was cloned before.
    #[cfg(test)]
    pub(crate) fn with_clock(
        mut self,
        clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
    ) -> Self {
        Arc::get_mut(&mut self.0).expect("not shared yet").clock = Box::new(clock);
        self
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    pub(super) fn engine(&self) -> &Handle {
        &self.0.engine
    }

    pub(super) fn board(&self) -> &Board {
        self.0.engine.board()
    }

    pub(super) fn book(&self) -> &Book {
        &self.0.book
    }

    pub(super) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(super) fn streams(&self) -> Arc<Semaphore> {
        self.0.streams.clone()
    }

    pub(super) fn stop(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        (self.0.clock)()
    }

    /// Names this state of the board among all there ever were.
    pub(super) fn stamp(&self) -> String {
        self.stamp_of(self.board().version())
    }

    /// The parts of the overview, made anew only after a change.
    pub(super) fn views(&self) -> Arc<Views> {
        self.0.views.get(self.board(), |version| {
            Views::of(self.board(), self.settings().zone, self.stamp_of(version))
        })
    }

    /// The `/status` of now, made anew only after a change.
    pub(super) fn status(&self) -> Arc<Status> {
        self.0.status.get(self.board(), |_| Status::of(self.board()))
    }

    fn stamp_of(&self, version: u64) -> String {
        format!("{:x}-{version:x}", self.0.nonce)
    }
}

/// What was made of a version of the board.
struct Cache<T>(RwLock<Option<(u64, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(RwLock::new(None))
    }
}

impl<T> Cache<T> {
    fn get(&self, board: &Board, make: impl FnOnce(u64) -> T) -> Arc<T> {
        // The version first: what changes while `make` reads has a higher one, and is made again.
        let version = board.version();
        if let Some((of, made)) = &*self.0.read().unwrap_or_else(PoisonError::into_inner)
            && *of == version
        {
            return made.clone();
        }
        let made = Arc::new(make(version));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((version, made.clone()));
        made
    }
}
