//! Paths of files among the options of checks and actions.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    actions,
    checks::{self, Opt, Shape},
};

/// Makes every relative path of a file begin at the folder of the configuration, wherever the program was started.
pub(super) fn from_folder(map: &mut Map<String, Value>, folder: &Path) {
    let of_check = |kind: &str| checks::kind(kind).map(|kind| kind.options);
    let of_action = |kind: &str| actions::kind(kind).map(|kind| kind.options);
    section(map.get_mut("checks"), folder, of_check);
    section(map.get_mut("actions"), folder, of_action);
}

fn section(
    entries: Option<&mut Value>,
    folder: &Path,
    options_of: impl Fn(&str) -> Option<&'static [Opt]>,
) {
    for entry in entries.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        let known = entry.get("type").and_then(Value::as_str).and_then(&options_of);
        let Some(Value::Object(options)) = entry.get_mut("options") else { continue };
        for file in known.into_iter().flatten().filter(|option| option.shape == Shape::File) {
            if let Some(Value::String(path)) = options.get_mut(file.name)
                && !path.is_empty()
                // A folder whose name is no text cannot stand in an option.
                && let Ok(absolute) = folder.join(&*path).into_os_string().into_string()
            {
                *path = absolute;
            }
        }
    }
}
