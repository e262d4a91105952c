//! Starts another router when one dies.

use std::sync::Arc;
use std::time::Duration;

use fletchck_agent::stay::stay;
use futures_util::FutureExt as _;
use rumqttd::local::LinkRx;

use super::gate::Gate;
use super::router::RouterHandle;

/// Pause before another start, doubled up to the longest while routers keep dying.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A router that lived this long starts the pauses anew.
const HEALTHY: Duration = Duration::from_secs(60);

/// Watches the router until the broker stops. When one dies, its sessions end, and clients that come back are served by the
/// next one. Retained messages are the gate's and stay.
pub(super) async fn run(gate: Arc<Gate>, watch: LinkRx) {
    let state = (gate.clone(), watch);
    stay("watching the message router", gate.stop.cancelled(), state, |(gate, watch)| {
        attend(gate, watch).boxed()
    })
    .await;
}

async fn attend(gate: &Gate, watch: &mut LinkRx) {
    let mut pause = PAUSE;
    loop {
        let started = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = gate.stop.cancelled() => return,
                // Nothing is subscribed on this link: only the router's end is heard.
                next = watch.next() => if next.is_err() { break },
            }
        }
        tracing::error!("the message router died, starting another; clients have to reconnect");
        gate.router().dead.cancel();
        gate.sleepers.sweep().await;
        pause = if started.elapsed() > HEALTHY { PAUSE } else { (2 * pause).min(LONGEST_PAUSE) };
        *watch = loop {
            tokio::select! {
                () = gate.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            match start(gate).await {
                Ok(watch) => break watch,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "no message router, trying again");
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
        };
    }
}

/// Forgets sessions whose time is up, until the broker stops.
pub(super) async fn sweep_sessions(gate: Arc<Gate>, every: Duration) {
    stay("forgetting old sessions", gate.stop.cancelled(), &gate, |gate| {
        sweep(gate, every).boxed()
    })
    .await;
}

async fn sweep(gate: &Gate, every: Duration) {
    loop {
        tokio::select! {
            () = gate.stop.cancelled() => return,
            () = tokio::time::sleep(every) => gate.sleepers.sweep().await,
        }
    }
}

async fn start(gate: &Gate) -> anyhow::Result<LinkRx> {
    let links = gate.settings.max_links();
    let (router, watch) = tokio::task::spawn_blocking(move || RouterHandle::start(links)).await??;
    *gate.router.write() = Arc::new(router);
    Ok(watch)
}
