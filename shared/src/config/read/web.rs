//! The `webui` section.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    Secret,
    config::{Fault, Web, table::Table},
};

/// Reads the section. `None` with faults if the pages cannot be shown.
pub(super) fn web(mut table: Table<'_>, faults: &mut Vec<Fault>) -> Option<Web> {
    // The original's readme says `host`, the original itself reads `hostname`.
    let host = table.text("host");
    let hostname = table.get("hostname").and_then(Value::as_str);
    if table.get("hostname").is_some_and(|value| !value.is_string()) {
        _ = table.text("hostname");
    }
    if host.is_some() && hostname.is_some() && host != hostname {
        table.warn("host", "`hostname` says otherwise, and counts", "keep `hostname` alone");
    }
    // The original's readme names it among these keys as well.
    _ = table.get("base");
    let web = Web {
        name: table.text("name").unwrap_or("Fletchck").into(),
        hostname: hostname.or(host).unwrap_or("localhost").into(),
        port: table.whole("port", 0..=65_535).map_or(PORT, |port| port as u16),
        address: table.parse("address", "`https://status.example.org` for example", |text| {
            let web = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
            if web { Ok(text.to_owned()) } else { Err("it is no address of a web page") }
        }),
        cert: table.text("cert").map(PathBuf::from),
        key: table.text("key").map(PathBuf::from),
        users: IndexMap::new(),
    };
    if web.cert.is_some() != web.key.is_some() {
        let (has, lacks) = if web.cert.is_some() { ("cert", "key") } else { ("key", "cert") };
        table.error(lacks, format!("missing beside `{has}`"), "the path of its PEM file");
    }
    let users = match table.object("users") {
        None => IndexMap::new(),
        Some(map) => {
            let path = table.path("users");
            let mut users = IndexMap::new();
            for (name, hash) in map {
                match hash {
                    Value::String(hash) if hash.starts_with("$argon2") => {
                        users.insert(name.clone(), Secret::new(hash.clone()));
                    }
                    // One user who cannot log in is no reason to show pages to nobody.
                    _ => faults.push(Fault::error(
                        path.key(name),
                        "this is no argon2 hash, so this user cannot log in",
                        "set a password with `fletchck passwd`",
                    )),
                }
            }
            users
        }
    };
    let sound = table.sound();
    faults.append(&mut table.close());
    sound.then_some(Web { users, ..web })
}

/// Port where the section has none.
const PORT: u16 = 8443;
