//! Reading a configuration.

mod action;
mod broker;
mod check;
mod checks;
mod delivery;
mod edges;
mod fleet;
mod maintenance;
mod mqtt;
mod options;
mod policy;
mod web;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use serde_json::Value;

use self::policy::Partial;
use super::{Fault, Heartbeat, Kinds, Path, Site, table::Table};
use crate::{
    ActionName, CheckName, Tz,
    schedule::{self, TriggerError},
};

/// Makes typed values of a configuration, and tells everything that is wrong with it. What has a fault of severity
/// [`Severity::Error`](super::Severity::Error) is left out of the site, as small a part as runs alone: a check, an
/// action, a name in a list, a section. The rest runs.
///
/// `host` is the zone of the machine; a configuration without one of its own has its old times in it.
pub fn read(value: &Value, kinds: &impl Kinds, host: Tz) -> (Site, Vec<Fault>) {
    let mut site = Site::default();
    let mut table = match Table::of(value, Path::root()) {
        Ok(table) => table,
        Err(fault) => return (site, vec![fault]),
    };
    // Runtime data of the original's: where the file lies, and what happened lately.
    _ = (table.get("base"), table.get("log"));
    site.timezone = table.parse("timezone", ZONE_RIGHT, zone);
    let mut faults = Vec::new();
    if let Some(map) = table.object("agent") {
        site.agent = fleet::agent(Table::new(map, table.path("agent")), &mut faults);
    }
    if let Some(map) = table.object("webui") {
        site.webui = web::web(Table::new(map, table.path("webui")), &mut faults);
    }
    if let Some(map) = table.object("mqtt") {
        site.mqtt = mqtt::mqtt(Table::new(map, table.path("mqtt")), &mut faults);
    }
    if let Some(map) = table.object("broker") {
        let page = site.webui.as_ref().is_some_and(|web| web.cert.is_some() && web.key.is_some());
        site.broker = broker::broker(Table::new(map, table.path("broker")), page, &mut faults);
    }
    if let (Some(mqtt), true) = (&mut site.mqtt, site.broker.is_some())
        && mqtt.hostname.take().is_some()
    {
        // What is published would go to one of the two, and nobody could say to which.
        faults.push(Fault::error(
            "mqtt.hostname",
            "this site has a broker of its own, and names another one",
            "leave out `mqtt.hostname`, and the own broker is used; or leave out `broker`",
        ));
    }
    if let Some(map) = table.object("limits") {
        site.limits = fleet::limits(Table::new(map, table.path("limits")), &mut faults);
    }
    let mut left_out = Vec::new();
    if let Some(map) = table.object("actions") {
        let path = table.path("actions");
        (site.actions, left_out) = action::actions(map, &path, kinds, &site, &mut faults);
    }
    let actions = edges::Names::new(site.actions.keys().cloned(), left_out);
    site.fleet.hub = site.broker.is_some();
    if let Some(map) = table.object("fleet") {
        site.fleet =
            fleet::fleet(Table::new(map, table.path("fleet")), &site, &actions, &mut faults);
        faults.extend(fleet::by_way_of_the_broker_alone(&site, kinds));
    }
    site.incomplete =
        value.get("checks").is_some_and(|checks| !checks.is_object() && !checks.is_null());
    let defaults = match table.object("defaults") {
        Some(map) => decided(Table::new(map, table.path("defaults")), &actions, &mut faults),
        None => Partial::default(),
    };
    let mut groups = HashMap::new();
    if let Some(map) = table.object("groups") {
        let path = table.path("groups");
        for (name, value) in map {
            match Table::of(value, path.key(name)) {
                Ok(table) => {
                    groups.insert(name.clone(), decided(table, &actions, &mut faults));
                }
                Err(fault) => faults.push(fault),
            }
        }
    }
    site.defaults = defaults.clone().decided().policy;
    if let Some(map) = table.object("maintenance") {
        let zone = site.timezone.unwrap_or(host);
        let path = table.path("maintenance");
        site.maintenance = maintenance::maintenance(map, &path, zone, &mut faults);
    }
    if let Some(map) = table.object("heartbeat") {
        site.heartbeat = heartbeat(Table::new(map, table.path("heartbeat")), &mut faults);
    }
    let uplink = table.text("uplink");
    if let Some(map) = table.object("checks") {
        let path = table.path("checks");
        let common = check::Common {
            actions: &actions,
            defaults: &defaults,
            groups: &groups,
            zone: site.timezone.unwrap_or(host),
        };
        site.checks = checks::checks(map, &path, kinds, &site, &common, &mut faults);
        let names = map.keys().filter_map(|key| CheckName::try_from(key.as_str()).ok());
        site.left_out = names.filter(|name| !site.checks.contains_key(name)).collect();
    }
    if let Some(name) = uplink {
        let left_out = site.left_out.iter().map(|name| name.as_str().to_owned());
        let names = edges::Names::new(site.checks.keys().cloned(), left_out);
        match names.find(name, &Path::root().key("uplink"), "check", "nothing depends on it") {
            Ok(name) => site.uplink = Some(name),
            Err(fault) => faults.push(fault),
        }
    }
    let mut all = table.close();
    all.append(&mut faults);
    (site, all)
}

/// What the site, or a group, decides about alerts.
fn decided(
    mut table: Table<'_>,
    actions: &edges::Names<ActionName>,
    faults: &mut Vec<Fault>,
) -> Partial {
    let partial = Partial::read(&mut table, actions, faults);
    faults.append(&mut table.close());
    partial
}

fn heartbeat(mut table: Table<'_>, faults: &mut Vec<Fault>) -> Option<Heartbeat> {
    let url = options::secret(&mut table, "url", "url_file");
    if url.is_none() && table.sound() {
        table.error(
            "url",
            "missing",
            "the address to ask for, `https://hc-ping.com/…` for example",
        );
    }
    let url = url.filter(|url| {
        let web = ["http://", "https://"].iter().any(|scheme| url.reveal().starts_with(scheme));
        if !web {
            table.error("url", "it is no address of a web server", "`https://…`");
        }
        web
    });
    let every = table.whole("every", 5..=86_400).unwrap_or(60);
    let ca_file = table.text("cafile").filter(|text| !text.is_empty()).map(PathBuf::from);
    faults.append(&mut table.close());
    Some(Heartbeat { url: url?, ca_file, every: Duration::from_secs(every.unsigned_abs()) })
}

/// What to write for a time zone.
const ZONE_RIGHT: &str =
    "the name of a zone, `Australia/Adelaide` for example, or null for the host's";

/// The zone of a name, in any case.
fn zone(name: &str) -> Result<Tz, String> {
    schedule::zone(name).map_err(|e| match e {
        TriggerError::Zone { hint, .. } => format!("there is no such zone, {hint}"),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests;
