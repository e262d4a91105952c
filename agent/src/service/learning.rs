//! What targets have taught, written into the owner's file.

use std::path::Path;

use serde_json::{Map, Value};
use tokio::{sync::mpsc, task::spawn_blocking};
use tracing::{info, warn};

use crate::{chain, config, engine::Learned};

/// Writes down whatever is learned, until the engine ends. The watch over the file takes it over from there.
pub(super) async fn write_down(path: &Path, learned: &mut mpsc::UnboundedReceiver<Learned>) {
    while let Some(learned) = learned.recv().await {
        let Learned { check, option, value } = learned.clone();
        let file = path.to_owned();
        let enter = move |map: &mut Map<String, Value>| enter(map, &learned);
        let written = spawn_blocking(move || config::edit(&file, enter)).await;
        let by_hand = format!("write `\"{option}\": \"{value}\"` into its options yourself");
        match written {
            Ok(Ok(true)) => {
                info!(check.name = %check, "`{option}` of `{check}` was seen for the first time and is in the configuration now");
            }
            Ok(Ok(false)) => {
                warn!(check.name = %check, "`{check}` does not stand in {}; {by_hand}", path.display());
            }
            Ok(Err(reason)) => {
                warn!(check.name = %check, error = chain(&reason), "`{option}` of `{check}` is not in the configuration; {by_hand}");
            }
            Err(reason) => warn!(check.name = %check, "{reason}; {by_hand}"),
        }
    }
}

/// Enters an option where its check stands and has none. What its owner wrote is never changed.
fn enter(map: &mut Map<String, Value>, learned: &Learned) {
    let Some(Value::Object(checks)) = map.get_mut("checks") else { return };
    let Some(Value::Object(check)) = checks.get_mut(learned.check.as_str()) else { return };
    let options = check.entry("options").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(options) = options {
        let there = options.entry(&learned.option).or_insert(Value::Null);
        if there.is_null() || there == "" {
            *there = learned.value.clone().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::CheckName;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn what_is_learned_is_written_and_what_stands_there_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.json");
        let before = json!({"checks": {
            "new": {"type": "ssh", "options": {"hostname": "a", "hostkey": null}},
            "known": {"type": "ssh", "options": {"hostkey": "AAAA"}},
        }});
        std::fs::write(&path, before.to_string()).expect("written");
        let (tell, mut learned) = mpsc::unbounded_channel();
        for check in ["new", "known", "elsewhere"] {
            let check = CheckName::try_from(check).expect("a name");
            tell.send(Learned { check, option: "hostkey".into(), value: "BBBB".into() })
                .expect("sent");
        }
        drop(tell);
        write_down(&path, &mut learned).await;
        let after: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("read")).expect("JSON");
        assert_eq!(after["checks"]["new"]["options"]["hostkey"], "BBBB");
        assert_eq!(after["checks"]["known"]["options"]["hostkey"], "AAAA");
        assert_eq!(after["checks"].as_object().expect("checks").len(), 2);
    }
}
