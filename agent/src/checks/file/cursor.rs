//! Where a log was read to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::super::{Opt, Options};

/// The original's options with its cursor.
pub(super) const OPTIONS: [Opt; 4] = [
    Opt::text(
        "_path",
        "none",
        "where the original left off, taken over at the first run: the file",
    ),
    Opt::number("_ino", "none", "its inode"),
    Opt::number("_dev", "none", "its device"),
    Opt::number("_cp", "none", "the place in it, in bytes"),
];

/// A place in a file, and what its lines said until there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The file's name: another begins at its end.
    pub(super) path: String,
    /// Inode and device: a file with others has taken its place.
    pub(super) ino: u64,
    pub(super) dev: u64,
    /// Bytes that were read; none as long as there was no file.
    pub(super) at: Option<u64>,
    /// Where the last line begins, as long as it has no end: once it grows, it is read again as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// Whether the last line that matched was a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failing: Option<bool>,
}

impl Cursor {
    /// The cursor of a file that is not there.
    pub(super) fn absent(path: &str) -> Self {
        Self { path: path.into(), ino: 0, dev: 0, at: None, line: None, failing: None }
    }

    /// As the check keeps it.
    pub(super) fn keep(&self) -> Value {
        json!(self)
    }

    /// The one the original left in the options.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let path = options.text("_path").map(str::to_owned);
        let mut number = |name| {
            let number = options.number(name, 0.0..=u64::MAX as f64, "a whole number");
            number.map(|number| number as u64)
        };
        let (ino, dev, at) = (number("_ino"), number("_dev"), number("_cp"));
        let (ino, dev) = (ino.unwrap_or_default(), dev.unwrap_or_default());
        Some(Self { path: path?, ino, dev, at, line: None, failing: None })
    }

    /// As the original keeps it in the options. A line without an end is read again there.
    pub(super) fn options(&self) -> Map<String, Value> {
        let found = self.at.is_some();
        let values = [
            self.path.as_str().into(),
            found.then_some(self.ino).into(),
            found.then_some(self.dev).into(),
            self.line.or(self.at).into(),
        ];
        OPTIONS.iter().map(|option| option.name.to_owned()).zip(values).collect()
    }

    /// What was kept.
    pub(super) fn of(kept: &Value) -> Option<Self> {
        Self::deserialize(kept).ok()
    }

    /// The one to begin from: what was kept, else the original's, if it is of this file.
    pub(super) fn resume(kept: Option<&Value>, seed: Option<&Self>, path: &str) -> Option<Self> {
        let kept = kept.and_then(Self::of);
        kept.or_else(|| seed.cloned()).filter(|cursor| cursor.path == path)
    }
}
