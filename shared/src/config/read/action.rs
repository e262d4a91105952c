//! The `actions` section.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{delivery::delivery, options, policy};
use crate::{
    ActionName, Severity,
    config::{Action, Fault, Kinds, ORIGINAL_ACTIONS, Path, Site, near, table::Table},
};

/// Reads every action, and the names of those that are left out.
pub(super) fn actions(
    map: &Map<String, Value>,
    path: &Path,
    kinds: &impl Kinds,
    site: &Site,
    faults: &mut Vec<Fault>,
) -> (IndexMap<ActionName, Action>, Vec<String>) {
    let mut actions = IndexMap::new();
    let mut left_out = Vec::new();
    for (name, value) in map {
        let action = action(name, value, path.key(name), kinds, faults);
        let wrong = action.as_ref().and_then(|(_, it)| kinds.action_out_of_place(&it.kind, site));
        if let Some((wrong, right)) = wrong {
            faults.push(Fault::error(path.key(name).key("type"), wrong, right));
        }
        match action.filter(|_| wrong.is_none()) {
            Some((name, action)) => _ = actions.insert(name, action),
            None => left_out.push(name.clone()),
        }
    }
    failovers(&mut actions, path, faults);
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
    let severity = policy::severity(&mut table, "severity").unwrap_or(Severity::Warning);
    let sound = table.sound();
    // A fault in how it is told does not keep it from telling.
    let delivery = delivery(&mut table);
    faults.append(&mut table.close());
    let action = Action { kind: kind?.into(), options, severity, delivery };
    Some((name?, action)).filter(|_| sound)
}

/// A failover must be there, and one that leads back to where it came from would never end.
fn failovers(actions: &mut IndexMap<ActionName, Action>, path: &Path, faults: &mut Vec<Fault>) {
    let names: Vec<ActionName> = actions.keys().cloned().collect();
    for name in &names {
        let Some(next) = actions.get(name).and_then(|action| action.delivery.failover.clone())
        else {
            continue;
        };
        let place = path.key(name.as_str()).key("failover");
        let fault = if actions.contains_key(&next) {
            let mut way = vec![name.clone()];
            let mut at = Some(next);
            while let Some(next) = at.filter(|next| !way.contains(next)) {
                at = actions.get(&next).and_then(|action| action.delivery.failover.clone());
                way.push(next.clone());
                // The last of the way that leads back into itself.
                if at.as_ref().is_some_and(|at| way.contains(at)) {
                    break;
                }
            }
            let circle = way
                .last()
                .and_then(|last| actions.get(last))
                .is_some_and(|last| last.delivery.failover.as_ref() == Some(name));
            circle.then(|| {
                let way: Vec<&str> = way.iter().map(ActionName::as_str).collect();
                Fault::error(
                    place,
                    format!("a circle: {} stand in for each other", way.join(", ")),
                    "leave out one of these; until then this one has none",
                )
            })
        } else {
            let others: Vec<&str> =
                names.iter().filter(|other| *other != name).map(ActionName::as_str).collect();
            let wrong = format!("there is no action `{next}` to stand in");
            Some(Fault::error(place, wrong, near::instead(next.as_str(), &others, "actions")))
        };
        if let Some(fault) = fault {
            faults.push(fault);
            if let Some(action) = actions.get_mut(name) {
                action.delivery.failover = None;
            }
        }
    }
}
