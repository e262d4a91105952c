//! The `broker` section.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    Secret,
    config::{Broker, BrokerUser, Fault, Listener, Path, table::Table},
    topic::TopicFilter,
};

/// Reads the section. `page` says whether the pages have a certificate that listeners may use. A listener or a user
/// with a fault is left out; a broker with a fault of its own does not run.
pub(super) fn broker(mut table: Table<'_>, page: bool, faults: &mut Vec<Fault>) -> Option<Broker> {
    let max_connections = table.whole("maxConnections", 1..=1_000_000);
    let list = table.list("listeners");
    let path = table.path("listeners");
    let listeners = list
        .iter()
        .enumerate()
        .filter_map(|(index, value)| listener(value, path.index(index), page, faults))
        .collect();
    let mut users = IndexMap::new();
    if let Some(map) = table.object("users") {
        let path = table.path("users");
        for (name, value) in map {
            if let Some(user) = user(name, value, path.key(name), faults) {
                users.insert(name.clone(), user);
            }
        }
    }
    let sound = table.sound();
    faults.append(&mut table.close());
    sound.then_some(Broker {
        listeners,
        users,
        max_connections: max_connections.and_then(|n| NonZeroU32::new(n as u32)),
    })
}

fn listener(value: &Value, path: Path, page: bool, faults: &mut Vec<Fault>) -> Option<Listener> {
    let mut table = match Table::of(value, path) {
        Ok(table) => table,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let right = "an address and a port, `0.0.0.0:8883` or `[::]:8883` for example";
    let listen = table.parse("listen", right, str::parse::<SocketAddr>);
    if listen.is_none() && table.sound() {
        table.error("listen", "missing", right);
    }
    let tls = table.flag("tls", false);
    let cert = table.text("cert").map(PathBuf::from);
    let key = table.text("key").map(PathBuf::from);
    if cert.is_some() != key.is_some() {
        let (has, lacks) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
        table.error(lacks, format!("missing beside `{has}`"), "the path of its PEM file");
    } else if tls && cert.is_none() && !page {
        table.error(
            "tls",
            "there is no certificate: neither here nor in `webui`",
            "`cert` and `key` with the paths of PEM files",
        );
    }
    let sound = table.sound();
    faults.append(&mut table.close());
    Some(Listener { listen: listen?, tls, cert, key }).filter(|_| sound)
}

fn user(name: &str, value: &Value, path: Path, faults: &mut Vec<Fault>) -> Option<BrokerUser> {
    let mut table = match Table::of(value, path) {
        Ok(table) => table,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let right = "an argon2 hash; `fletchck add-agent NAME` makes one";
    let password = match table.secret("password") {
        Some(hash) if hash.starts_with("$argon2") => Secret::new(hash),
        Some(_) => {
            table.error("password", "this is no argon2 hash", right);
            Secret::default()
        }
        None => {
            if table.sound() {
                table.error("password", "missing", right);
            }
            Secret::default()
        }
    };
    if name.is_empty() {
        table.error("password", "a user must have a name", "a name, that of its agent for example");
    }
    let publish = filters(&mut table, "publish");
    let subscribe = filters(&mut table, "subscribe");
    let sound = table.sound();
    faults.append(&mut table.close());
    sound.then_some(BrokerUser { password, publish, subscribe })
}

fn filters(table: &mut Table<'_>, key: &'static str) -> Vec<TopicFilter> {
    let path = table.path(key);
    let mut filters = Vec::new();
    for (index, text) in table.texts(key) {
        match TopicFilter::try_from(text) {
            Ok(filter) => filters.push(filter),
            Err(e) => table.push(Fault::error(
                path.index(index),
                e.to_string(),
                "a topic filter, `home/#` for example",
            )),
        }
    }
    filters
}
