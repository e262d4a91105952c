//! Options of a check or an action: what there are, and how they are read.

mod read;

use std::fmt;

pub use read::{OptionFault, Options};

/// One option of a type of check or action.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its key.
    pub name: &'static str,
    /// What is given for it.
    pub shape: Shape,
    /// Its default in words, or "required".
    pub default: &'static str,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

/// What is given for an option, as the reference page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text on one line.
    Text,
    /// The path of a file; a relative one begins at the folder of the configuration.
    File,
    /// A text that is shown to nobody, or the path of a file that holds it under the same key with `_file` behind it.
    Secret,
    /// Whether or not.
    Flag,
    /// A number.
    Number,
    /// A time in seconds.
    Seconds,
    /// A port of a service.
    Port,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of names of checks.
    Checks,
    /// Names with a text each.
    Table,
}

impl Opt {
    /// An option of some shape.
    pub const fn new(
        name: &'static str,
        shape: Shape,
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self { name, shape, default, meaning }
    }

    /// A text on one line.
    pub const fn text(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::Text, default, meaning)
    }

    /// The path of a file.
    pub const fn file(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::File, default, meaning)
    }

    /// Whether or not.
    pub const fn flag(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::Flag, default, meaning)
    }

    /// A number.
    pub const fn number(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::Number, default, meaning)
    }

    /// A time in seconds.
    pub const fn seconds(name: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::Seconds, default, meaning)
    }

    /// A port of a service.
    pub const fn port(default: &'static str) -> Self {
        Self::new("port", Shape::Port, default, "port of the server")
    }

    /// A text that is shown to nobody.
    pub const fn secret(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Shape::Secret, "none", meaning)
    }

    /// One of these words.
    pub const fn choice(
        name: &'static str,
        words: &'static [&'static str],
        default: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::new(name, Shape::Choice(words), default, meaning)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::File => "path of a file",
            Self::Secret => "secret",
            Self::Flag => "true or false",
            Self::Number => "number",
            Self::Seconds => "seconds",
            Self::Port => "port",
            Self::Choice(words) => return f.write_str(&words.join(", ")),
            Self::Texts => "list of texts",
            Self::Checks => "list of checks",
            Self::Table => "names with a text each",
        })
    }
}
