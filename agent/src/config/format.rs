//! The two languages a configuration may be written in.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use config::{FileFormat, Source};
use fletchck_shared::config::Fault;
use serde_json::{Map, Value};

use super::layer;
use crate::chain;

/// Why a file is no configuration. None of these is ever overwritten.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{path} is empty; restore it, or remove it and make a new site with `fletchck init`")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has bytes that are no text.
    #[error("{path}, line {line}: this is not UTF-8 text; save the file as UTF-8")]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line of the first such byte, from 1.
        line: usize,
    },
    /// It is no JSON.
    #[error("{path}: this is not JSON")]
    Json {
        /// The file.
        path: PathBuf,
        /// What, with line and column.
        #[source]
        source: serde_json::Error,
    },
    /// It is no TOML.
    #[error("{path}: this is not TOML: {what}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What, with line and column.
        what: String,
    },
    /// It is JSON, but not a configuration.
    #[error("{path}: this is {found}, and a configuration is an object, `{{…}}`")]
    NotObject {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The sources could not be laid over each other.
    #[error("cannot merge the sources of {path}")]
    Merge {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<config::ConfigError>,
    },
}

impl LoadError {
    /// The same as a fault to show, of a file that is called so, with what to do about it.
    pub fn fault(&self, shown: impl Into<String>, right: &str) -> Fault {
        let text = chain(self);
        // The fault names the file already.
        let name = self.path().display().to_string();
        let wrong = text.strip_prefix(&name).unwrap_or(&text).trim_start_matches([':', ',', ' ']);
        Fault { file: Some(shown.into()), ..Fault::error("the file", wrong, right) }
    }

    fn path(&self) -> &Path {
        let (Self::Read { path, .. }
        | Self::Empty { path }
        | Self::NotText { path, .. }
        | Self::Json { path, .. }
        | Self::Toml { path, .. }
        | Self::NotObject { path, .. }
        | Self::Merge { path, .. }) = self;
        path
    }
}

/// The language of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, as the original's.
    Json,
    /// TOML.
    Toml,
}

/// A file that was read.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) format: Format,
    pub(super) text: String,
    pub(super) map: Map<String, Value>,
}

/// Reads one file.
pub(super) fn document(path: &Path) -> Result<Document, LoadError> {
    let read = |source| LoadError::Read { path: path.into(), source };
    parse(path, fs::read(path).map_err(read)?)
}

/// Reads the content of one file.
pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Document, LoadError> {
    let path = path.to_path_buf();
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            return Err(LoadError::NotText { path, line });
        }
    };
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text);
    if text.trim().is_empty() {
        return Err(LoadError::Empty { path });
    }
    let format = Format::of(&path, &text);
    let value = match format {
        Format::Json => match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(source) => return Err(LoadError::Json { path, source }),
        },
        Format::Toml => match config::File::from_str(&text, FileFormat::Toml).collect() {
            Ok(map) => Value::Object(
                map.into_iter().map(|(key, value)| (key, layer::to_json(value))).collect(),
            ),
            Err(e) => return Err(LoadError::Toml { path, what: one_line(&e.to_string()) }),
        },
    };
    match value {
        Value::Object(map) => Ok(Document { format, text, map }),
        other => Err(LoadError::NotObject { path, found: found(&other) }),
    }
}

impl Format {
    /// By the name of the file, else by how its text begins.
    fn of(path: &Path, text: &str) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::Toml,
            Some("json") => Self::Json,
            // A table of TOML begins with a bracket too, but never with one alone, or one of these.
            _ => match serde_json::from_str::<serde::de::IgnoredAny>(text) {
                Ok(_) => Self::Json,
                Err(_) if text.trim_start().starts_with('{') => Self::Json,
                Err(_) => Self::Toml,
            },
        }
    }
}

/// The place and the reason; between them the parser draws the line of the file.
fn one_line(error: &str) -> String {
    let mut lines = error.lines().filter(|line| !line.trim().is_empty());
    match (lines.next(), lines.next_back()) {
        (Some(place), Some(reason)) => format!("{place}: {reason}"),
        _ => error.into(),
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
