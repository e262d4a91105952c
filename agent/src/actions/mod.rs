//! The types of actions, each a way to tell people of what happens. [`KINDS`] is the only list of them.

pub mod alertmanager;
pub mod apprise;
mod cut;
pub mod discord;
pub mod email;
pub mod exec;
pub mod gotify;
mod letter;
pub mod log;
pub mod matrix;
mod message;
pub mod mqtt;
mod notice;
pub mod ntfy;
pub mod pagerduty;
pub mod pushover;
pub mod slack;
pub mod sms;
pub mod teams;
pub mod telegram;
#[cfg(test)]
mod testing;
mod tone;
mod web;
pub mod webhook;
mod words;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use letter::{Entry, Letter};
pub use notice::{FailingMember, Notice};

pub(crate) use web::fetch;

use crate::{
    options::{Opt, OptionFault, Options},
    store::Store,
};

/// Every type of action.
pub const KINDS: &[ActionKind] = &[
    alertmanager::KIND,
    apprise::KIND,
    discord::KIND,
    email::KIND,
    exec::KIND,
    gotify::KIND,
    log::KIND,
    matrix::KIND,
    mqtt::KIND,
    ntfy::KIND,
    pagerduty::KIND,
    pushover::KIND,
    slack::KIND,
    sms::KIND,
    teams::KIND,
    telegram::KIND,
    webhook::KIND,
];

/// One type of action.
#[derive(Debug)]
pub struct ActionKind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// How it tells, in one line.
    pub summary: &'static str,
    /// Its options, in the order they are shown.
    pub options: &'static [Opt],
    /// Whether people read it one message at a time, so that what comes close together is better told at once.
    pub gathers: bool,
    /// Reads its options; [`ActionKind::action`] is how it is called.
    pub build: Build,
}

/// Reads the options of an action and makes what runs from them. What is wrong is noted with the options.
pub type Build = fn(&mut Options<'_>) -> Option<Arc<dyn Action>>;

/// A way to tell people.
#[async_trait]
pub trait Action: Send + Sync {
    /// Those who are told apart from each other: what reaches one is not told again for the sake of another. One group
    /// without a name is the rule.
    fn groups(&self) -> Vec<String> {
        vec![String::new()]
    }

    /// Whether it keeps an account of who has taken a failure on, and is told of that.
    fn acknowledges(&self) -> bool {
        false
    }

    /// Tells one group. It ends by itself within a bound of its own, and says what the other side answered, in one
    /// line, without secrets.
    ///
    /// # Errors
    /// Why it was not told, and whether trying again can help.
    async fn tell(&self, letter: &Letter, to: &To<'_>) -> Result<String, TellError>;
}

/// Whom a letter goes to, and what there is to send it with.
#[derive(Clone, Copy, Debug)]
pub struct To<'a> {
    /// One of the action's groups.
    pub group: &'a str,
    /// The store, for what leaves by way of the outbox.
    pub store: &'a Store,
    /// Whether somebody waits for the answer, to see whether this way of telling works.
    pub trial: bool,
}

/// Why an action could not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TellError {
    /// Whether it will fail the same way every time.
    pub permanent: bool,
    /// How long the other side wants to be left alone.
    pub retry_after: Option<Duration>,
    /// What happened, and what to do. In one line, without secrets.
    pub text: String,
}

impl TellError {
    /// A failure that may be over at the next try.
    pub fn passing(text: impl Into<String>) -> Self {
        Self { permanent: false, retry_after: None, text: text.into() }
    }

    /// A failure that will be the same at every try.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { permanent: true, retry_after: None, text: text.into() }
    }

    /// With the time for which the other side wants to be left alone.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
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
