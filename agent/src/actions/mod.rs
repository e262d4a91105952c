//! The types of actions. [`KINDS`] is the only list of them.

pub mod log;
mod notice;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use notice::Notice;

use crate::options::{Opt, OptionFault, Options};

/// Every type of action.
pub const KINDS: &[ActionKind] = &[log::KIND];

/// One type of action.
#[derive(Debug)]
pub struct ActionKind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// How it tells, in one line.
    pub summary: &'static str,
    /// Its options, in the order they are shown.
    pub options: &'static [Opt],
    /// Reads its options; [`ActionKind::action`] is how it is called.
    pub build: Build,
}

/// Reads the options of an action and makes what runs from them. What is wrong is noted with the options.
pub type Build = fn(&mut Options<'_>) -> Option<Arc<dyn Action>>;

/// A way to tell people of a transition.
#[async_trait]
pub trait Action: Send + Sync {
    /// Tells of one transition.
    ///
    /// # Errors
    /// Why it was not told, and whether trying again can help.
    async fn tell(&self, notice: &Notice) -> Result<(), TellError>;
}

/// Why an action could not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TellError {
    /// Whether it will fail the same way every time.
    pub permanent: bool,
    /// What happened, and what to do.
    pub text: String,
}

/// The type of this name.
pub fn kind(name: &str) -> Option<&'static ActionKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl ActionKind {
    /// Makes what runs from these options, and tells all that is wrong with them. With nothing but warnings there is an
    /// action, with any other fault there is none.
    pub fn action(
        &self,
        options: &Map<String, Value>,
    ) -> (Option<Arc<dyn Action>>, Vec<OptionFault>) {
        Options::read(options, self.options, self.build)
    }
}
