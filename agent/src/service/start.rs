//! What happens once, at the start.

use std::path::{Path, PathBuf};

use anyhow::Context;
use fletchck_shared::{AgentId, config::Site, topic::Topic};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;
use tracing_subscriber::EnvFilter;

use crate::store::Store;

/// What is logged where `FLETCHCK_LOG` says nothing else. rumqttd opens spans at error level for every message, which would
/// cost more than the message; what matters of it is told by the broker.
const LOG: &str = "info,rumqttc=error,rumqttd=off,tokio_cron_scheduler=error";

/// The store of a site: beside its configuration, under the same name.
pub fn store_path(config: &Path) -> PathBuf {
    config.with_extension("db")
}

/// Logs to standard error, as `FLETCHCK_LOG` says.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("FLETCHCK_LOG").unwrap_or_else(|_| EnvFilter::new(LOG));
    // The service manager has its own clock; a person at a terminal is glad of one.
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let logger =
        logger.with_target(false).with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if let Err(reason) = logger.try_init() {
        warn!("logging was set up before: {reason}");
    }
}

/// Raises the number of files this process may have open to what the system allows: each probe that waits for a target,
/// and each agent, holds one.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(reason) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        warn!("the limit of open files stays at {:?}: {reason}", limit.current);
    }
}

/// The id of this program: its owner's, or one made of the host name once and kept.
pub(super) async fn agent_id(site: &Site, store: &Store) -> anyhow::Result<AgentId> {
    if let Some(id) = &site.agent.id {
        return Ok(id.clone());
    }
    if let Some(id) = site.mqtt.as_ref().and_then(|mqtt| mqtt.client_id.as_deref())
        && let Ok(id) = AgentId::try_from(id)
        && id.as_str() != Topic::HUB
    {
        return Ok(id);
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.split('.').next().unwrap_or_default().chars().take(50).collect();
    let host = AgentId::nearest(&host).map_or_else(|| "agent".to_owned(), |id| id.to_string());
    // Two machines of one name, cloned from one image for example, must not push each other off the broker.
    let made = format!("{host}-{:06x}", rand::random::<u32>() >> 8);
    let kept = store.once("agent", made).await?;
    AgentId::try_from(kept).context("the id kept in the store is none; set `agent.id`")
}
