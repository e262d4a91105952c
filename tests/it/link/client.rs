//! A link to a broker, and what the tests see of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fletchck_agent::link::{
    Arrived, Failure, Greeting, LinkState, MemoryOutbox, Outgoing, Running, Settings, Subscription,
    spawn,
};
use fletchck_shared::{config::Mqtt as Config, topic::TopicFilter};
use fletchck_tests::{
    mosquitto::Mosquitto,
    pki::Pki,
    wait::{PATIENCE, until},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(super) struct Client {
    outbox: Arc<MemoryOutbox>,
    pub(super) arrived: mpsc::Receiver<Arrived>,
    pub(super) running: Running,
    stop: CancellationToken,
}

impl Client {
    /// A link with room for what comes in.
    pub(super) fn start(settings: Settings, greeting: impl Greeting) -> Self {
        Self::with_room(settings, greeting, 1024)
    }

    /// One whose consumer takes `room` messages before it is full.
    pub(super) fn with_room(settings: Settings, greeting: impl Greeting, room: usize) -> Self {
        let outbox = Arc::<MemoryOutbox>::default();
        let (sender, arrived) = mpsc::channel(room);
        let stop = CancellationToken::new();
        let running = spawn(settings, outbox.clone(), greeting, sender, stop.clone());
        Self { outbox, arrived, running, stop }
    }

    /// Adds a message to keep.
    pub(super) fn add(&self, topic: &str, number: u64, qos: u8) {
        let payload = number.to_string().into();
        self.outbox.add(Outgoing {
            id: 0,
            topic: topic.into(),
            payload,
            qos,
            retain: true,
            keep: true,
        });
    }

    pub(super) async fn state(
        &mut self,
        matches: impl Fn(&LinkState) -> bool,
    ) -> Result<LinkState> {
        let mut watch = self.running.state.clone();
        let state = tokio::time::timeout(PATIENCE, watch.wait_for(matches)).await;
        let state = state.map(|state| state.map(|state| state.clone()));
        let now = self.running.state.borrow().clone();
        Ok(state.with_context(|| format!("the link stayed {now:?}"))??)
    }

    pub(super) async fn up(&mut self) -> Result<LinkState> {
        self.state(|state| matches!(state, LinkState::Up { .. })).await
    }

    pub(super) async fn down(&mut self) -> Result<Failure> {
        match self.state(|state| matches!(state, LinkState::Down { .. })).await? {
            LinkState::Down { why, .. } => Ok(why),
            other => bail!("{other:?}"),
        }
    }

    pub(super) async fn all_sent(&self) -> Result<()> {
        let sent = async || self.outbox.is_empty().then_some(());
        until(3 * PATIENCE, "the broker to acknowledge everything", sent).await
    }

    pub(super) async fn next(&mut self) -> Result<Arrived> {
        let arrived = tokio::time::timeout(PATIENCE, self.arrived.recv()).await;
        arrived.context("nothing arrived")?.context("the link is gone")
    }

    pub(super) async fn leave(self) -> Result<()> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(3), self.running.task).await??;
        Ok(())
    }
}

pub(super) fn config(port: u16) -> Config {
    Config {
        hostname: Some("127.0.0.1".into()),
        port,
        tls: false,
        ca_file: None,
        ca: None,
        username: None,
        password: None,
        client_id: None,
        persist: false,
        qos: 1,
        retain: true,
        base_topic: None,
        auto_add: false,
        debug: false,
        protocol: None,
        fleet: true,
    }
}

pub(super) fn settings(config: &Config) -> Result<Settings> {
    let id = format!("link-{:016x}", rand::random::<u64>());
    let mut settings = Settings::new(config, &id);
    settings.longest_wait = Duration::from_millis(200);
    Ok(settings)
}

pub(super) fn hears(settings: &mut Settings, filter: &str, qos: u8) -> Result<()> {
    let filter = TopicFilter::try_from(filter)?;
    settings.subscriptions = vec![Subscription { qos, ..Subscription::new(filter) }];
    Ok(())
}

pub(super) async fn broker() -> Result<(tempfile::TempDir, Pki, Mosquitto)> {
    let dir = tempfile::TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let broker = Mosquitto::start(&pki).await?;
    Ok((dir, pki, broker))
}
