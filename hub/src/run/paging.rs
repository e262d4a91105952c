//! The pages, started, replaced and stopped as the configuration says.

use std::{path::Path, path::PathBuf, sync::Arc};

use anyhow::Context;
use arc_swap::ArcSwap;
use chrono_tz::Tz;
use fletchck_agent::{chain, engine::Handle};
use fletchck_shared::config::{Site, Web};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::web::{Listen, Server, Settings, WebState, session::SqliteSessions};

/// The pages, or none.
pub(super) struct Paging {
    store: PathBuf,
    engine: Handle,
    running: Option<Running>,
}

struct Running {
    /// Where they are, and who they are: elsewhere, and they are started anew.
    at: (String, u16, Option<PathBuf>, Option<PathBuf>),
    settings: Arc<ArcSwap<Settings>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Paging {
    /// Pages over an engine; sessions are kept in this store.
    pub(super) fn new(store: &Path, engine: Handle) -> Self {
        Self { store: store.into(), engine, running: None }
    }

    /// Has the pages that a configuration asks for.
    ///
    /// # Errors
    /// They cannot be started: the port is taken, or the certificate is none.
    pub(super) async fn keep_to(&mut self, site: &Site, zone: Tz) -> anyhow::Result<()> {
        let Some(web) = &site.webui else {
            self.stop().await;
            return Ok(());
        };
        let at = (web.hostname.clone(), web.port, web.cert.clone(), web.key.clone());
        if let Some(running) = &self.running
            && running.at == at
        {
            running.settings.store(Arc::new(Settings::new(web, zone)));
            return Ok(());
        }
        self.stop().await;
        let server = Server::bind(listen(web)?).await?;
        let settings = Arc::new(ArcSwap::from_pointee(Settings::new(web, zone)));
        let sessions = SqliteSessions::open(&self.store)
            .with_context(|| format!("opening the logins in {}", self.store.display()))?;
        let stop = CancellationToken::new();
        let state =
            WebState::new(settings.clone(), self.engine.clone(), Arc::new(sessions), stop.clone());
        let until = stop.clone();
        let task = tokio::spawn(async move {
            if let Err(reason) = server.run(state, until).await {
                error!(error = chain(&reason), "there are no pages any more");
            }
        });
        self.running = Some(Running { at, settings, stop, task });
        Ok(())
    }

    /// Stops the pages, if there are any.
    pub(super) async fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop.cancel();
        if let Err(reason) = running.task.await {
            error!("the pages broke down: {reason}");
        }
    }
}

fn listen(web: &Web) -> anyhow::Result<Listen> {
    let (cert, key) = web
        .cert
        .clone()
        .zip(web.key.clone())
        .context("the pages need `webui.cert` and `webui.key`; `fletchck init` makes both")?;
    let all = matches!(web.hostname.as_str(), "0.0.0.0" | "::");
    let hostname = if all { String::new() } else { web.hostname.clone() };
    Ok(Listen { hostname, port: web.port, cert, key })
}
