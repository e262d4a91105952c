//! What must hold of configuration files, whatever is in them. See [`crate::checks::properties`].

use std::path::Path;

use fletchck_shared::{
    Tz,
    config::{self, Path as Way},
};
use serde_json::{Value, json as value};

use super::{
    Built, Format,
    edit::{indent, json},
    format::{Document, parse},
    lines, toml_edits,
};

/// A configuration. The first byte says what its name ends with.
pub fn configuration(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let name = Path::new(["x.conf", "x.json", "x.toml"][usize::from(how % 3)]);
    let document = match parse(name, bytes.to_vec()) {
        Ok(document) => document,
        Err(error) => return assert!(!crate::chain(&error).is_empty()),
    };
    told(&document);
    edited(name, &document);
}

/// Every line that is told is one of the file's.
fn told(document: &Document) {
    let last = document.text.matches('\n').count() + 1;
    let lines = lines::lines(document);
    assert!(lines.values().all(|line| (1..=last).contains(line)), "{lines:?}");
    assert!(lines::twice(document).iter().all(|(_, line)| (1..=last).contains(line)));
    for key in document.map.keys() {
        let path = Way::root().key(key);
        assert!(lines::nearest(&lines, path.as_str()).is_some(), "{path} stands nowhere");
    }
    let value = Value::Object(document.map.clone());
    let (site, faults) = config::read(&value, &Built, Tz::UTC);
    for fault in &faults {
        assert!(!fault.to_string().contains('\n'), "{fault}");
    }
    for name in site.checks.keys() {
        assert!(value["checks"][name.as_str()].is_object(), "{name} is no check");
    }
}

/// What is changed in it is changed, and nothing else.
fn edited(name: &Path, document: &Document) {
    let mut new = document.map.clone();
    if let Some(first) = new.keys().next().cloned() {
        new.shift_remove(&first);
    }
    new.insert(
        "added".into(),
        value!({ "a b": [1, { "c": "d\n\"" }], "e": { "f": -1.5, "g": {} } }),
    );
    let text = match document.format {
        Format::Json => json(&new, &indent(&document.text)),
        Format::Toml => {
            toml_edits::apply(&document.text, &document.map, &new).expect("it was TOML")
        }
    };
    let again = parse(name, text.clone().into_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(again.map, new, "{text}");
}
