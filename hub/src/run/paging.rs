//! The pages, started, replaced and stopped as the configuration says.

use std::{path::Path, path::PathBuf, sync::Arc};

use anyhow::Context;
use arc_swap::ArcSwap;
use fletchck_agent::{chain, engine::Handle, pem::PairFiles};
use fletchck_shared::Tz;
use fletchck_shared::config::{Fault, Site, Web};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    identity::Identity,
    web::{Listen, Server, Settings, WebState, session::SqliteSessions},
};

/// The pages, or none.
pub(super) struct Paging {
    store: PathBuf,
    engine: Handle,
    identity: Arc<Identity>,
    running: Option<Running>,
}

struct Running {
    /// Where they are: elsewhere, and they are started anew.
    listen: Listen,
    settings: Arc<ArcSwap<Settings>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Paging {
    /// Pages over an engine; sessions are kept in this store.
    pub(super) fn new(store: &Path, engine: Handle) -> Self {
        Self { store: store.into(), engine, identity: Arc::default(), running: None }
    }

    /// Has the pages that a configuration asks for, with the certificate as it is now, and answers with what keeps them
    /// from being that.
    pub(super) async fn keep_to(&mut self, site: &Site, zone: Tz) -> Vec<Fault> {
        let Some(web) = &site.webui else {
            self.stop().await;
            return Vec::new();
        };
        let mut faults: Vec<_> = self.identify(web).await.into_iter().collect();
        let settings = Arc::new(Settings::new(web, site, zone));
        let listen = listen(web);
        match &self.running {
            Some(running) if running.listen == listen && !running.task.is_finished() => {
                running.settings.store(settings);
            }
            _ => faults.extend(self.settle(listen, settings).await.err().map(|reason| {
                let right = "an address of this machine with a port that nobody else has; it is tried again by itself";
                Fault::error("webui.port", chain(reason.as_ref()), right)
            })),
        }
        faults
    }

    /// Has the pages show their certificate as it is now, or one that stands in for it.
    async fn identify(&self, web: &Web) -> Option<Fault> {
        let files = web.cert.clone().zip(web.key.clone());
        let (path, why) = match files.map(|(cert, key)| PairFiles { cert, key }) {
            Some(files) => {
                let reason = self.identity.renew(&files).await.err()?;
                let path = if files.blames_key(&reason) { "webui.key" } else { "webui.cert" };
                (path, chain(&reason))
            }
            None => ("webui.cert", "there is no certificate".to_owned()),
        };
        let right = "`cert` and `key` with the paths of PEM files, as `fletchck init` makes them; they are looked at again by themselves";
        if self.identity.owned() {
            let why = format!("{why}; the certificate before it is still shown");
            return Some(Fault::warning(path, why, right));
        }
        let stands_in = match self.identity.stand_in() {
            Ok(()) => {
                "the pages show one that was made for this run, which browsers warn of".into()
            }
            Err(reason) => format!("nor can one be made: {}", chain(reason.as_ref())),
        };
        Some(Fault::error(path, format!("{why}; {stands_in}"), right))
    }

    /// Moves the pages to where they are wanted, and answers there.
    async fn settle(&mut self, wanted: Listen, settings: Arc<Settings>) -> anyhow::Result<()> {
        let same_port =
            self.running.as_ref().is_some_and(|running| running.listen.port == wanted.port);
        if !same_port {
            let server = Server::bind(&wanted, self.identity.clone()).await?;
            self.stop().await;
            return self.answer(server, wanted, settings);
        }
        // The old pages must go first; if the new ones cannot come, the old ones come back.
        let before =
            self.running.as_ref().map(|old| (old.listen.clone(), old.settings.load_full()));
        self.stop().await;
        match (Server::bind(&wanted, self.identity.clone()).await, before) {
            (Ok(server), _) => self.answer(server, wanted, settings),
            (Err(reason), Some((old, settings))) if old != wanted => {
                let server = Server::bind(&old, self.identity.clone()).await;
                self.answer(server.context("the pages before")?, old, settings)?;
                Err(reason.into())
            }
            (Err(reason), _) => Err(reason.into()),
        }
    }

    fn answer(
        &mut self,
        server: Server,
        listen: Listen,
        settings: Arc<Settings>,
    ) -> anyhow::Result<()> {
        let sessions = SqliteSessions::open(&self.store)
            .with_context(|| format!("opening the logins in {}", self.store.display()))?;
        let stop = CancellationToken::new();
        let settings = Arc::new(ArcSwap::new(settings));
        let state =
            WebState::new(settings.clone(), self.engine.clone(), Arc::new(sessions), stop.clone());
        let until = stop.clone();
        let task = tokio::spawn(async move {
            if let Err(reason) = server.run(state, until).await {
                error!(
                    error = chain(&reason),
                    "there are no pages any more, they are started anew"
                );
            }
        });
        self.running = Some(Running { listen, settings, stop, task });
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

fn listen(web: &Web) -> Listen {
    let all = matches!(web.hostname.as_str(), "0.0.0.0" | "::");
    let hostname = if all { String::new() } else { web.hostname.clone() };
    Listen { hostname, port: web.port }
}
