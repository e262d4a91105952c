//! What the original cannot load: one check of a type that it does not know ends it.

use std::collections::HashSet;

use fletchck_shared::config::{Fault, ORIGINAL_CHECKS, Path, Severity};
use serde_json::{Map, Value};

/// A type that only older versions of the original have.
const GONE: &str = "upstest";

/// Leaves out the checks that the original cannot load, with their names in the lists of others, and says so.
pub(super) fn fit(document: &mut Map<String, Value>, faults: &[Fault], warnings: &mut Vec<String>) {
    let Some(Value::Object(checks)) = document.get_mut("checks") else { return };
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error);
    let errors: HashSet<&str> = errors.map(|fault| fault.path.as_str()).collect();
    let root = Path::root().key("checks");
    let mut left_out = HashSet::new();
    checks.retain(|name, check| {
        // The original passes over what is no object.
        let Value::Object(check) = check else { return true };
        let path = root.key(name);
        let known = |kind: &&str| ORIGINAL_CHECKS.contains(kind) && *kind != GONE;
        let why = match check.get("type").and_then(Value::as_str) {
            None => "it has no type".into(),
            Some(kind) if !known(&kind) => format!("the original has no type `{kind}`"),
            Some(_) if errors.contains(path.key("trigger").as_str()) => {
                "its trigger is faulty, and that ends the original".into()
            }
            Some(_) => return true,
        };
        warnings.push(format!("{path} is left out: {why}"));
        left_out.insert(name.clone());
        false
    });
    for (name, check) in checks.iter_mut() {
        let path = root.key(name);
        for (list, path) in [
            ("/depends", path.key("depends")),
            ("/options/checks", path.key("options").key("checks")),
        ] {
            let Some(Value::Array(names)) = check.pointer_mut(list) else { continue };
            names.retain(|name| {
                let gone = name.as_str().is_some_and(|name| left_out.contains(name));
                if gone {
                    warnings.push(format!("{path} is without {name}, which is left out"));
                }
                !gone
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn checks_that_would_end_the_original_are_left_out_and_named() {
        let mut site = json!({ "checks": {
            "port": { "type": "tcp" },
            "ups": { "type": "upstest" },
            "root": { "type": "disk", "depends": ["port", "ram"] },
            "ram": { "type": "memory" },
            "never": { "type": "cpu", "trigger": { "cron": { "hour": 99 } } },
            "all": { "type": "sequence", "options": { "checks": ["root", "port"] } },
            "odd": 5,
        } });
        let faults = [Fault::error("checks.never.trigger", "99 is over 23", "0 to 23")];
        let mut warnings = Vec::new();
        fit(site.as_object_mut().expect("an object"), &faults, &mut warnings);
        let left = json!({ "checks": {
            "root": { "type": "disk", "depends": ["ram"] },
            "ram": { "type": "memory" },
            "all": { "type": "sequence", "options": { "checks": ["root"] } },
            "odd": 5,
        } });
        assert_eq!(site, left);
        insta::assert_snapshot!(warnings.join("\n"), @r#"
        checks.port is left out: the original has no type `tcp`
        checks.ups is left out: the original has no type `upstest`
        checks.never is left out: its trigger is faulty, and that ends the original
        checks.root.depends is without "port", which is left out
        checks.all.options.checks is without "port", which is left out
        "#);
    }
}
