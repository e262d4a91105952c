//! How a letter is to be heard, for services that show or sound it differently.

use super::{Letter, Notice};

/// How a letter is to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// It is a test.
    Test,
    /// All is well.
    Good,
    /// It can wait: a warning, or a check that goes back and forth.
    Worry,
    /// It cannot wait.
    Bad,
}

impl Tone {
    /// Of what is told of one check.
    pub(super) fn of(notice: &Notice) -> Self {
        match notice.word() {
            "TEST" => Self::Test,
            "PASS" | "ONLINE" => Self::Good,
            "FAIL" | "OFFLINE" => Self::Bad,
            _ => Self::Worry,
        }
    }

    /// A sign that is seen before the words are read.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Test => "⚪",
            Self::Good => "🟢",
            Self::Worry => "🟠",
            Self::Bad => "🔴",
        }
    }
}

impl Letter {
    /// The gravest of its tones.
    pub(super) fn tone(&self) -> Tone {
        let tones = self.entries.iter().map(|entry| Tone::of(&entry.notice));
        tones.max().unwrap_or(Tone::Test)
    }
}
