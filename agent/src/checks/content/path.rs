//! A path to values in a JSON text.

use std::fmt;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::{
    document::{NoDocument, Way},
    fit::unfit,
};
use crate::checks::Options;

/// A path to values, and as it was written.
#[derive(Debug)]
pub(in crate::checks) struct Path {
    path: JsonPath,
    way: Way,
    text: String,
}

impl Path {
    /// Reads an option that is a path, if it is given.
    pub(in crate::checks) fn read(options: &mut Options<'_>, name: &'static str) -> Option<Self> {
        let text = options.text(name).filter(|text| !text.is_empty())?;
        if let Some((wrong, right)) = unfit(text) {
            options.fault(name, wrong, right);
            return None;
        }
        match JsonPath::parse(text) {
            Ok(path) => Some(Self { path, way: Way::of(text), text: text.into() }),
            Err(error) => {
                let wrong = format!("it is no JSONPath: {error}");
                options.fault(name, wrong, "one as in `$.queue.length`");
                None
            }
        }
    }

    /// What of a text may be looked at.
    ///
    /// # Errors
    /// It is no JSON, or too much of it is on the path.
    pub(in crate::checks) fn read_in(&self, text: &[u8]) -> Result<Value, NoDocument> {
        self.way.read(text)
    }

    /// All values that are there.
    pub(in crate::checks) fn all<'d>(&self, document: &'d Value) -> Vec<&'d Value> {
        self.path.query(document).all()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
