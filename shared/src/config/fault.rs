//! What is wrong with a configuration.

use std::fmt;

use super::Path;

/// Whether a fault keeps a part of the site from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The part runs; its owner should look at it. An unknown key, for example.
    Warning,
    /// The part does not run, and stays in the file as it is.
    Error,
}

/// One thing that is wrong with a configuration: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether the part runs all the same.
    pub severity: Severity,
    /// The file it stands in and the line, `site.json:12`, where it came from one; else what it came from.
    pub file: Option<String>,
    /// The path within the configuration, `checks.root.options.level` for example.
    pub path: String,
    /// What is wrong.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

impl Fault {
    /// A fault that keeps its part from running.
    pub fn error(
        path: impl Into<String>,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            file: None,
            path: path.into(),
            wrong: wrong.into(),
            right: right.into(),
        }
    }

    /// A fault that its part runs with.
    pub fn warning(
        path: impl Into<String>,
        wrong: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, wrong, right) }
    }

    /// Where it is, what is wrong and what would be right, without how grave it is.
    pub fn told(&self) -> String {
        let file = self.file.iter().map(|file| format!("{file}: ")).collect::<String>();
        format!("{file}{}: {}; {}", self.path, self.wrong, self.right)
    }

    /// The same fault, where its path begins at a part of the configuration.
    #[must_use]
    pub fn within(mut self, part: &Path) -> Self {
        self.path = part.join(&self.path).into();
        self
    }
}

/// One line: `error: FILE: checks.root.options.level: 900 is over 100; a percentage from 1 to 100`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.told())
    }
}
