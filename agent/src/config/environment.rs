//! Values from the environment: `FLETCHCK__MQTT__PASSWORD`, `FLETCHCK__CHECKS__ROOT__OPTIONS__LEVEL`.
//!
//! Names of variables are in capitals and have neither dots nor spaces, while names of checks may have all of that. So a
//! part of a variable's name stands for the key that is the same once case and all but letters and digits are disregarded.

use std::borrow::Cow;

use config::{ConfigError, Environment, Source};
use fletchck_shared::config::{Fault, Kinds, SECRETS, near};
use serde_json::{Map, Value};

/// How variables that belong to the configuration begin.
pub const PREFIX: &str = "FLETCHCK__";

/// One value from the environment.
#[derive(Debug)]
pub(super) struct Override {
    /// The variable's name.
    pub(super) variable: String,
    /// The keys its value belongs to, as the configuration writes them.
    pub(super) keys: Vec<String>,
    pub(super) value: Value,
}

/// Sections and the keys they may have. `*` stands for any name.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "timezone",
            "agent",
            "webui",
            "mqtt",
            "broker",
            "fleet",
            "limits",
            "defaults",
            "groups",
            "maintenance",
            "heartbeat",
            "uplink",
            "actions",
            "checks",
        ],
    ),
    ("agent", &["id", "labels"]),
    ("webui", &["name", "hostname", "host", "port", "address", "cert", "key", "users"]),
    (
        "mqtt",
        &[
            "hostname",
            "port",
            "tls",
            "cafile",
            "ca",
            "username",
            "password",
            "password_file",
            "clientid",
            "persist",
            "qos",
            "retain",
            "basetopic",
            "autoadd",
            "debug",
            "protocol",
            "fleet",
        ],
    ),
    ("broker", &["listeners", "users", "maxConnections"]),
    ("broker.users.*", &["password", "publish", "subscribe"]),
    ("fleet", &["prefix", "hub", "actions", "grace"]),
    ("limits", &["probes", "remotes"]),
    ("defaults", POLICY),
    ("groups.*", POLICY),
    ("heartbeat", &["url", "url_file", "cafile", "every"]),
    (
        "actions.*",
        &["type", "options", "severity", "failover", "retryFor", "gather", "rate", "quiet"],
    ),
    ("actions.*.quiet", &["from", "to", "days", "timezone", "except"]),
    (
        "checks.*",
        &[
            "type",
            "subType",
            "trigger",
            "threshold",
            "window",
            "recover",
            "retries",
            "priority",
            "paused",
            "failAction",
            "passAction",
            "severity",
            "remind",
            "escalate",
            "flapping",
            "skip",
            "group",
            "uplink",
            "publish",
            "remoteId",
            "options",
            "actions",
            "depends",
        ],
    ),
];

/// Keys by which a check, a group or the site decides about alerts.
const POLICY: &[&str] = &[
    "threshold",
    "window",
    "recover",
    "retries",
    "failAction",
    "passAction",
    "severity",
    "remind",
    "escalate",
    "flapping",
    "skip",
    "actions",
];

/// Where a key may be any word. A new one is taken in small letters.
const FREE: &[&str] = &["agent.labels"];

/// Keys whose values are texts even if they look like numbers.
const TEXTS: &[&str] = &[
    "timezone",
    "uplink",
    "group",
    "address",
    "topic",
    "chat",
    "user",
    "id",
    "name",
    "hostname",
    "host",
    "cert",
    "key",
    "cafile",
    "ca",
    "username",
    "clientid",
    "basetopic",
    "protocol",
    "prefix",
    "type",
    "subType",
    "publish",
    "remoteId",
    "volume",
];

/// The values that variables add to `map`, and a warning for each variable that belongs to nothing.
///
/// # Errors
/// A value that is no text.
pub(super) fn overrides(
    variables: impl IntoIterator<Item = (String, String)>,
    map: &Map<String, Value>,
    kinds: &impl Kinds,
) -> Result<(Vec<Override>, Vec<Fault>), ConfigError> {
    // No separator is given to the crate: it would turn it into a dot, and a key with a dot could not be told apart.
    let source = Environment::with_prefix(PREFIX.trim_end_matches('_'))
        .prefix_separator("__")
        .source(Some(variables.into_iter().collect()));
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (name, value) in source.collect()? {
        let variable = format!("{PREFIX}{}", name.to_uppercase());
        let text = value.into_string()?;
        match keys(&name, map, kinds) {
            Ok(keys) => {
                let value = typed(&keys, text, map);
                found.push(Override { variable, keys, value });
            }
            Err(right) => faults.push(Fault {
                file: Some("the environment".into()),
                ..Fault::warning(variable, "this variable stands for no key", right)
            }),
        }
    }
    // The order of variables is the system's and means nothing.
    found.sort_by(|a, b| a.variable.cmp(&b.variable));
    faults.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, faults))
}

/// The keys that the rest of a variable's name stands for, or what would be right.
fn keys(name: &str, map: &Map<String, Value>, kinds: &impl Kinds) -> Result<Vec<String>, String> {
    let mut keys: Vec<String> = Vec::new();
    let mut here = Some(map);
    for word in name.split("__") {
        let known = known(&keys, kinds);
        let there = here.into_iter().flat_map(Map::keys).map(String::as_str);
        let mut all: Vec<&str> = known.iter().map(AsRef::as_ref).chain(there).collect();
        all.sort_unstable();
        all.dedup();
        let fits: Vec<&str> = all.iter().copied().filter(|key| plain(key) == plain(word)).collect();
        let key = match fits.as_slice() {
            [key] => (*key).to_owned(),
            [] if FREE.contains(&keys.join(".").as_str()) => word.to_owned(),
            [] => {
                return Err(match near::nearest(word, all) {
                    Some(near) => format!("did you mean `{}`?", near.to_uppercase()),
                    None => format!("there is no `{word}`; unset it, or mend its name"),
                });
            }
            several => return Err(format!("it may mean any of {}", several.join(", "))),
        };
        here = here.and_then(|map| map.get(&key)).and_then(Value::as_object);
        keys.push(key);
    }
    Ok(keys)
}

/// The keys that the configuration may have at a place, whether it has them or not.
fn known(keys: &[String], kinds: &impl Kinds) -> Vec<Cow<'static, str>> {
    if let [section, _, options] = keys
        && options == "options"
        && (section == "checks" || section == "actions")
    {
        // Which options there are is the type's business; the type itself stands one object further up.
        let types = if section == "checks" { kinds.checks() } else { kinds.actions() };
        let options = types.into_iter().flat_map(|kind| {
            let options = match section.as_str() {
                "checks" => kinds.check_options(kind),
                _ => kinds.action_options(kind),
            };
            options.unwrap_or_default()
        });
        let files = SECRETS.iter().map(|key| Cow::Owned(format!("{key}_file")));
        return options.chain(SECRETS.iter().copied()).map(Cow::Borrowed).chain(files).collect();
    }
    let fits = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('.').filter(|part| !part.is_empty()).collect();
        parts.len() == keys.len()
            && parts.iter().zip(keys).all(|(part, key)| *part == "*" || part == key)
    };
    let known = KNOWN.iter().find(|(pattern, _)| fits(pattern));
    known.into_iter().flat_map(|(_, keys)| *keys).copied().map(Cow::Borrowed).collect()
}

/// A key without case and with `_` for all that a variable's name cannot have.
fn plain(key: &str) -> String {
    key.chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect()
}

/// A text where the key has one, else whatever the text is as JSON.
fn typed(keys: &[String], text: String, map: &Map<String, Value>) -> Value {
    let key = keys.last().map(String::as_str).unwrap_or_default();
    let secret = key.strip_suffix("_file").unwrap_or(key);
    let label = keys.first().is_some_and(|section| section == "agent");
    if label || TEXTS.contains(&key) || SECRETS.contains(&secret) {
        return Value::String(text);
    }
    let mut at = Some(map);
    let mut old = None;
    for key in keys {
        old = at.and_then(|map| map.get(key));
        at = old.and_then(Value::as_object);
    }
    match old {
        Some(Value::String(_)) => Value::String(text),
        _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}
