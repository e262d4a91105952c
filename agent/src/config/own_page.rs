//! Checks of a site's own page, where the command line has moved the pages or turned them off.

use std::net::IpAddr;

use fletchck_shared::config::Check;
use tracing::info;

use super::Loaded;
use crate::checks::https;

/// Port of the type where the options have none.
const DEFAULT_PORT: u64 = 443;

impl Loaded {
    /// Has the checks of this site's own page follow it: they ask at the port where it is now, and are paused where there
    /// is none, or any. A site must not raise an alarm over what its owner asked for.
    pub fn follow_pages(&mut self) {
        let Some(configured) = self.page_port else { return };
        let now = self.site.webui.as_ref().map(|web| web.port);
        if now == Some(configured) {
            return;
        }
        for (name, check) in &mut self.site.checks {
            if !asks_here(check, configured) {
                continue;
            }
            match now.filter(|port| *port != 0) {
                Some(port) => {
                    info!("`{name}` asks at port {port}, where the pages are");
                    check.options.insert("port".into(), port.into());
                }
                None => {
                    info!(
                        "`{name}` is paused, for there are no pages at a port that it could know"
                    );
                    check.paused = true;
                }
            }
        }
    }
}

/// Whether a check asks this machine at a port over HTTP.
fn asks_here(check: &Check, port: u16) -> bool {
    let option = |name: &str| check.options.get(name);
    let here = option("hostname").and_then(|host| host.as_str()).is_some_and(|host| {
        let bare = host.trim().trim_start_matches('[').trim_end_matches(']');
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    let asked = option("port").map_or(Some(DEFAULT_PORT), |port| port.as_u64());
    check.kind == https::KIND.name && here && asked == Some(port.into())
}
