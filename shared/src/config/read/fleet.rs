//! The `agent`, `fleet` and `limits` sections. Their faults keep one value from being used, never the program from
//! running.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{edges::Names, policy};
use crate::{
    ActionName, AgentId,
    config::{Agent, Fault, Fleet, Kinds, Limits, Site, table::Table},
    topic::Topic,
};

pub(super) fn agent(mut table: Table<'_>, faults: &mut Vec<Fault>) -> Agent {
    let right = "letters, digits, `.`, `_` and `-`; without one, an id is made from the host name";
    let id = table.parse("id", right, |text| match AgentId::try_from(text) {
        Ok(id) if id.as_str() == Topic::HUB => Err("this name is the hub's own".to_owned()),
        read => read.map_err(|e| e.to_string()),
    });
    let mut labels = BTreeMap::new();
    if let Some(map) = table.object("labels") {
        let path = table.path("labels");
        for (key, value) in map {
            match value {
                Value::String(text) => _ = labels.insert(key.clone(), text.clone()),
                Value::Bool(_) | Value::Number(_) => {
                    _ = labels.insert(key.clone(), value.to_string());
                }
                _ => faults.push(Fault::error(path.key(key), "no label", "a text in quotes")),
            }
        }
    }
    faults.append(&mut table.close());
    Agent { id, labels }
}

pub(super) fn fleet(
    mut table: Table<'_>,
    site: &Site,
    actions: &Names<ActionName>,
    faults: &mut Vec<Fault>,
) -> Fleet {
    let default = Fleet { hub: site.broker.is_some(), ..Fleet::default() };
    let prefix =
        table.parse("prefix", "one or more topic levels, `fletchck` for example", |text| {
            Topic::try_from(text).map_err(|e| e.to_string()).and_then(|_| {
                let empty = text.split('/').any(str::is_empty);
                if empty { Err("it has an empty level".into()) } else { Ok(text.to_owned()) }
            })
        });
    let mut missing = Vec::new();
    let told = policy::told(&mut table, actions, &mut missing).unwrap_or_default();
    missing.into_iter().for_each(|fault| table.push(fault));
    let fleet = Fleet {
        prefix: prefix.unwrap_or(default.prefix),
        hub: table.flag("hub", default.hub),
        actions: told,
        grace: table
            .whole("grace", 0..=86_400)
            .map_or(default.grace, |seconds| Duration::from_secs(seconds.unsigned_abs())),
    };
    faults.append(&mut table.close());
    fleet
}

/// That whoever is to be told of a lost broker would be told by way of it. A message counts as told once it waits for the
/// broker, so nothing ever stands in for such an action.
pub(super) fn by_way_of_the_broker_alone(site: &Site, kinds: &impl Kinds) -> Option<Fault> {
    let told = &site.fleet.actions;
    let needs_broker = |name| {
        let action = site.actions.get(name);
        action.is_some_and(|action| kinds.needs_broker(&action.kind))
    };
    (!told.is_empty() && told.iter().all(needs_broker)).then(|| {
        Fault::warning(
            "fleet.actions",
            "nobody hears that the broker is lost: it would be told by way of the broker, and waits for it",
            "an action of another type than `mqtt` beside them; `failover` does not help",
        )
    })
}

pub(super) fn limits(mut table: Table<'_>, faults: &mut Vec<Fault>) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        probes: table.whole("probes", 1..=100_000).map_or(default.probes, |n| n as usize),
        remotes: table.whole("remotes", 0..=10_000_000).map_or(default.remotes, |n| n as usize),
    };
    faults.append(&mut table.close());
    limits
}
