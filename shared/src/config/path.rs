//! Where a value stands within a configuration.

use std::fmt;

/// The way to a value: `checks.root.options.level`. A key that is no plain word is quoted: `checks."Web.Site A".type`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// The whole configuration.
    pub fn root() -> Self {
        Self::default()
    }

    /// The value of a key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let plain =
            !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
        let key = if plain { key.to_owned() } else { serde_json::Value::from(key).to_string() };
        Self(if self.0.is_empty() { key } else { format!("{}.{key}", self.0) })
    }

    /// One element of a list, the first being 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// A way that goes on from here, already written as one.
    #[must_use]
    pub fn join(&self, rest: &str) -> Self {
        match (self.0.as_str(), rest) {
            (_, "") => self.clone(),
            ("", rest) => Self(rest.into()),
            (here, rest) => Self(format!("{here}.{rest}")),
        }
    }

    /// Whether a value that stands at `path`, as text, is this one or within it.
    pub fn holds(&self, path: &str) -> bool {
        match path.strip_prefix(self.0.as_str()) {
            Some(rest) => self.0.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the file") } else { f.write_str(&self.0) }
    }
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_no_words_are_quoted() {
        let checks = Path::root().key("checks");
        assert_eq!(
            checks.key("root").key("actions").index(0).to_string(),
            "checks.root.actions[0]"
        );
        assert_eq!(checks.key("Web.Site A").to_string(), r#"checks."Web.Site A""#);
        assert_eq!(checks.key("").to_string(), r#"checks."""#);
        assert_eq!(Path::root().to_string(), "the file");
    }

    #[test]
    fn a_path_holds_what_is_below_it() {
        let root = Path::root().key("checks").key("root");
        assert!(root.holds("checks.root") && root.holds("checks.root.type"));
        assert!(!root.holds("checks.rooted") && !root.holds("checks"));
        assert!(Path::root().holds("anything"));
    }
}
