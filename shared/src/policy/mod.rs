//! Whom a state is told to, and when: the alert policy.
//!
//! [`decide`] holds what was told against how things stand, and says what is to be told now. It asks no clock: the time is
//! passed in, and the time to ask again comes back. So no failure is forgotten that could not be told at the time, and
//! none is told twice.

mod alert;
mod decide;
mod flapping;
mod hidden;
mod hours;
mod rules;
mod silence;

#[cfg(test)]
mod replay;

pub use alert::{Ack, Alert, Told};
pub use decide::{Decision, Standing, decide};
pub use flapping::Flapping;
pub use hidden::{Hidden, HiddenBy};
pub use hours::QuietHours;
pub use rules::{Policy, Remind, Step};
pub use silence::{Pattern, Silence, SilenceKind, Span, Subject, When};

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum News {
    /// It fails.
    Failed,
    /// It fails otherwise than was told.
    Changed,
    /// It still fails, and nobody has acknowledged that.
    Reminder,
    /// Those who were told before have not acknowledged it.
    Escalated,
    /// Somebody has taken it on. Told to those alone who keep an account of that.
    Acknowledged,
    /// It is well again.
    Recovered,
    /// It goes back and forth; nothing more is told until it is steady.
    Flapping,
    /// It no longer goes back and forth.
    Steady,
    /// Nothing happened: somebody tries whether this way of telling works.
    Test,
}
