//! What must hold of tables that are merged, whatever is in them. See [`fletchck_agent::checks::properties`].

use serde_json::{Map, Value, json};

use super::{apply::apply, table};

/// A table of checks.
pub fn check_table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let import = match table::read(&text) {
        Ok((import, _)) => import,
        Err(faults) => return assert!(!faults.is_empty()),
    };
    let checks = import["checks"].as_object().expect("checks");
    for (name, check) in checks {
        assert!(!name.is_empty() && check["type"].is_string() && check["options"].is_object());
    }
    let mut site = Map::new();
    site.insert("checks".into(), json!({ "all": { "type": "sequence", "threshold": 2 } }));
    apply(&import, &mut site);
    for name in checks.keys() {
        assert!(site["checks"][name.as_str()].is_object());
    }
    let once = Value::Object(site.clone());
    apply(&import, &mut site);
    assert_eq!(Value::Object(site), once, "merging it again changes nothing");
}
