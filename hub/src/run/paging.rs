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

/// Host name, port, certificate and key.
type At = (String, u16, Option<PathBuf>, Option<PathBuf>);

/// The pages, or none.
pub(super) struct Paging {
    store: PathBuf,
    engine: Handle,
    running: Option<Running>,
}

struct Running {
    /// Where they are, and who they are: elsewhere, and they are started anew.
    at: At,
    listen: Listen,
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
        let wanted = listen(web)?;
        // Where the port is the same, the old pages must go first; if the new ones cannot come, the old ones come back.
        let same_port =
            self.running.as_ref().is_some_and(|running| running.listen.port == wanted.port);
        let before = match &self.running {
            Some(running) if same_port => {
                let Running { at, listen, settings, .. } = running;
                Some((at.clone(), listen.clone(), settings.clone()))
            }
            _ => None,
        };
        if same_port {
            self.stop().await;
        }
        match Server::bind(wanted.clone()).await {
            Ok(server) => {
                self.stop().await;
                let settings = Arc::new(ArcSwap::from_pointee(Settings::new(web, zone)));
                self.answer(server, wanted, at, settings)
            }
            Err(reason) => {
                if let Some((at, listen, settings)) = before {
                    let server = Server::bind(listen.clone()).await.context("the old pages")?;
                    self.answer(server, listen, at, settings)?;
                }
                Err(reason.into())
            }
        }
    }

    fn answer(
        &mut self,
        server: Server,
        listen: Listen,
        at: At,
        settings: Arc<ArcSwap<Settings>>,
    ) -> anyhow::Result<()> {
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
        self.running = Some(Running { at, listen, settings, stop, task });
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
