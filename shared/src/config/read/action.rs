//! The `actions` section.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::options;
use crate::{
    ActionName,
    config::{Action, Fault, Kinds, ORIGINAL_ACTIONS, Path, near, table::Table},
};

/// Reads every action, and the names of those that are left out.
pub(super) fn actions(
    map: &Map<String, Value>,
    path: &Path,
    kinds: &impl Kinds,
    faults: &mut Vec<Fault>,
) -> (IndexMap<ActionName, Action>, Vec<String>) {
    let mut actions = IndexMap::new();
    let mut left_out = Vec::new();
    for (name, value) in map {
        match action(name, value, path.key(name), kinds, faults) {
            Some((name, action)) => _ = actions.insert(name, action),
            None => left_out.push(name.clone()),
        }
    }
    (actions, left_out)
}

fn action(
    name: &str,
    value: &Value,
    path: Path,
    kinds: &impl Kinds,
    faults: &mut Vec<Fault>,
) -> Option<(ActionName, Action)> {
    let mut table = match Table::of(value, path.clone()) {
        Ok(table) => table,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let name = ActionName::try_from(name)
        .map_err(|e| faults.push(Fault::error(path, e.to_string(), "another name")))
        .ok();
    let kind = table.text("type").map(|kind| if kind == "cksms" { "sms" } else { kind });
    let empty = Map::new();
    let given = table.object("options").unwrap_or(&empty);
    let mut options = Map::new();
    match kind.map(|kind| (kind, kinds.action_options(kind))) {
        None if table.sound() => {
            table.error("type", "missing", format!("one of {}", kinds.actions().join(", ")));
        }
        None => {}
        Some((kind, Some(names))) => {
            let path = table.path("options");
            let mut wrong = Vec::new();
            options = options::known(given, &path, &names, &mut wrong);
            wrong.extend(kinds.action(kind, &options).into_iter().map(|fault| fault.within(&path)));
            wrong.into_iter().for_each(|fault| table.push(fault));
        }
        Some((kind, None)) if ORIGINAL_ACTIONS.contains(&kind) => table.error(
            "type",
            format!("this version of fletchck does not run `{kind}` actions yet, it tells nobody"),
            format!("until it does, use {}", kinds.actions().join(", ")),
        ),
        Some((kind, None)) => {
            let right = near::instead(kind, &kinds.actions(), "types of actions");
            table.error("type", format!("there is no type of action `{kind}`"), right);
        }
    }
    let sound = table.sound();
    faults.append(&mut table.close());
    Some((name?, Action { kind: kind?.into(), options })).filter(|_| sound)
}
