//! The `mqtt` section.

use std::path::PathBuf;

use super::options::secret;
use crate::{
    config::{Fault, Mqtt, Protocol, table::Table},
    topic::TopicFilter,
};

/// Reads the section. `None` with faults if there can be no link.
pub(super) fn mqtt(mut table: Table<'_>, faults: &mut Vec<Fault>) -> Option<Mqtt> {
    let tls = table.flag("tls", false);
    let mqtt = Mqtt {
        hostname: table.text("hostname").map(String::from),
        port: table.whole("port", 1..=65_535).map_or(if tls { 8883 } else { 1883 }, |p| p as u16),
        tls,
        ca_file: table.text("cafile").map(PathBuf::from),
        ca: table.text("ca").map(String::from),
        username: table.text("username").map(String::from),
        password: secret(&mut table, "password", "password_file"),
        client_id: table.text("clientid").map(String::from),
        persist: table.flag("persist", true),
        qos: table.whole("qos", 0..=2).map_or(1, |qos| qos as u8),
        retain: table.flag("retain", true),
        base_topic: table.parse(
            "basetopic",
            "a topic to subscribe to, `fletchck/#` for example",
            TopicFilter::try_from,
        ),
        auto_add: table.flag("autoadd", true),
        debug: table.flag("debug", false),
        protocol: table.parse("protocol", "\"5\", \"3.1.1\", or null for either", protocol),
        fleet: table.flag("fleet", true),
    };
    if let Some(ca) = &mqtt.ca {
        if !ca.contains("-----BEGIN CERTIFICATE-----") {
            table.error(
                "ca",
                "no certificate in it",
                "PEM text, or the path of a file as `cafile`",
            );
        }
        if mqtt.ca_file.is_some() {
            table.warn("cafile", "`ca` is given as well; both are trusted", "keep one of them");
        }
    }
    if !tls && (mqtt.ca.is_some() || mqtt.ca_file.is_some()) {
        let key = if mqtt.ca.is_some() { "ca" } else { "cafile" };
        table.warn(key, "not used without TLS", "set `tls` to true");
    }
    if mqtt.username.is_none() && mqtt.password.is_some() {
        table.warn("username", "missing beside a password", "the user's name at the broker");
    }
    let sound = table.sound();
    faults.append(&mut table.close());
    sound.then_some(mqtt)
}

fn protocol(text: &str) -> Result<Protocol, &'static str> {
    match text {
        "5" | "5.0" => Ok(Protocol::V5),
        "3.1.1" => Ok(Protocol::V311),
        _ => Err("unknown version of MQTT"),
    }
}
