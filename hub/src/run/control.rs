//! The socket of the command line, kept to the configuration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use fletchck_agent::{engine::Handle, stay::stay};
use fletchck_shared::Tz;
use fletchck_shared::config::Site;
use futures_util::FutureExt as _;
use indexmap::IndexMap;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::web::{Settings, WebState, control, session::SqliteSessions};

/// The socket of the command line.
pub(super) struct Control {
    settings: Arc<ArcSwap<Settings>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Control {
    /// Answers on this socket.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub(super) fn start(
        socket: PathBuf,
        store: &Path,
        engine: Handle,
        site: &Site,
        zone: Tz,
    ) -> anyhow::Result<Self> {
        let sessions = SqliteSessions::open(store)
            .with_context(|| format!("opening the logins in {}", store.display()))?;
        let settings = Arc::new(ArcSwap::from_pointee(of(site, zone)));
        let stop = CancellationToken::new();
        let state = WebState::new(settings.clone(), engine, Arc::new(sessions), stop.clone());
        let until = stop.clone();
        let task = tokio::spawn(async move {
            stay("the socket of the command line", until.cancelled(), socket, |socket| {
                control::answer(socket, state.clone(), until.clone()).boxed()
            })
            .await;
        });
        Ok(Self { settings, stop, task })
    }

    /// Takes over what changed.
    pub(super) fn keep_to(&self, site: &Site, zone: Tz) {
        self.settings.store(Arc::new(of(site, zone)));
    }

    /// Ends.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        if let Err(reason) = (&mut self.task).await {
            error!("the socket of the command line broke down: {reason}");
        }
    }
}

fn of(site: &Site, zone: Tz) -> Settings {
    let name = site.webui.as_ref().map_or_else(|| "Fletchck".into(), |web| web.name.clone());
    // Nobody logs in here.
    Settings { name, users: IndexMap::new(), zone, windows: site.maintenance.clone() }
}
