//! Changing the owner's file.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value, ser::PrettyFormatter};

use super::{
    SaveError,
    atomic::{replace, target},
    format::{Document, Format, document},
    toml_edits,
};

/// Changes a configuration: reads the file as it is now, lets `change` do its work, and writes it back if anything is
/// different. Keys that nobody knows, their order, and in TOML the comments stay as they are. Whether it was written.
///
/// Two changes at once, in one process or in two, come one after the other.
///
/// # Errors
/// The file is no configuration, or it cannot be written; it is untouched then.
pub fn edit(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) -> Result<bool, SaveError> {
    let _held = hold(path)?;
    let Document { format, text, map: old } =
        document(path).map_err(|e| SaveError::Load(Box::new(e)))?;
    let mut new = old.clone();
    change(&mut new);
    if new == old {
        return Ok(false);
    }
    let text = match format {
        Format::Json => json(&new, &indent(&text)),
        Format::Toml => toml_edits::apply(&text, &old, &new)
            .map_err(|what| SaveError::Format { path: path.into(), what })?,
    };
    replace(path, text.as_bytes()).map(|()| true)
}

/// Writes a new configuration as JSON, in place of whatever is there.
///
/// # Errors
/// It cannot be written.
pub fn create(path: &Path, map: &Map<String, Value>) -> Result<(), SaveError> {
    let _held = hold(path)?;
    replace(path, json(map, "  ").as_bytes())
}

/// Holds off every other change of this file until it is dropped. The folder is locked, for the file itself is replaced.
fn hold(path: &Path) -> Result<File, SaveError> {
    let failed = |source: io::Error| SaveError::Write {
        path: path.into(),
        step: "cannot lock its folder",
        source,
    };
    let folder = match target(path)?.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let folder = File::open(folder).map_err(failed)?;
    folder.lock().map_err(failed)?;
    Ok(folder)
}

/// What a line of the next level begins with, in a file that someone may have laid out by hand.
pub(super) fn indent(text: &str) -> String {
    let second = text.lines().skip(1).find(|line| !line.trim().is_empty());
    let blank = second.map(|line| &line[..line.len() - line.trim_start().len()]);
    blank.filter(|blank| !blank.is_empty()).unwrap_or("  ").into()
}

pub(super) fn json(map: &Map<String, Value>, indent: &str) -> String {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    map.serialize(&mut serializer).expect("memory takes every write, and the keys are texts");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is UTF-8")
}
