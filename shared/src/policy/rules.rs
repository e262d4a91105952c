//! What the owner of a check has decided about its alerts.

use std::time::Duration;

use crate::{ActionName, Severity, state::Failure};

/// What the owner of a check has decided about its alerts: by the check itself, its group or the site.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Whether a failure is told (`failAction`).
    pub fail_action: bool,
    /// Whether a recovery is told (`passAction`).
    pub pass_action: bool,
    /// How grave a failure is (`severity`); `None`: nobody has decided that here.
    pub severity: Option<Severity>,
    /// When those who were told are told again (`remind`).
    pub remind: Option<Remind>,
    /// Who else is told once a failure was not acknowledged for long (`escalate`), soonest first.
    pub escalate: Vec<Step>,
    /// Whether a check that goes back and forth is told as that (`flapping`).
    pub flapping: bool,
    /// Whether it is not run while what it depends on fails, as in the original (`skip`).
    pub skip: bool,
}

/// Reminders of a failure that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Remind {
    /// From the first alert to the first reminder.
    pub every: Duration,
    /// What each pause is longer by than the one before, as a factor; 1: all are equal.
    pub backoff: f64,
    /// Most reminders; `None`: until it is over.
    pub most: Option<u32>,
}

/// A step of an escalation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// From when those before it were told, or were to be ([`Alert::opened`](super::Alert::opened)), to this step, while nobody has acknowledged it.
    pub after: Duration,
    /// Who is told then.
    pub actions: Vec<ActionName>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            fail_action: true,
            pass_action: true,
            severity: None,
            remind: None,
            escalate: Vec::new(),
            flapping: true,
            skip: true,
        }
    }
}

impl Policy {
    /// How grave a failure is. A warning is one whatever its owner has decided; of others, what is decided here holds, or
    /// else what their agent says of them (`said`).
    pub fn severity_of(&self, failure: &Failure, said: Option<Severity>) -> Severity {
        match failure {
            Failure::Warning => Severity::Warning,
            Failure::Whole | Failure::Members(_) => self.grade(said),
        }
    }

    /// How grave a failure is that is no warning. `said` as in [`Policy::severity_of`].
    pub fn grade(&self, said: Option<Severity>) -> Severity {
        self.severity.or(said).unwrap_or(Severity::Critical)
    }
}

/// Longest pause between two reminders, whatever they grow by.
const PAUSE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Remind {
    /// The pause after so many reminders; `None`: there are no more.
    pub fn pause(&self, sent: u32) -> Option<Duration> {
        if self.most.is_some_and(|most| sent >= most) {
            return None;
        }
        let factor = self.backoff.max(1.0).powi(sent.min(1000).cast_signed());
        let seconds = self.every.as_secs_f64() * factor;
        Some(
            Duration::try_from_secs_f64(seconds)
                .unwrap_or(PAUSE_MAX)
                .min(PAUSE_MAX.max(self.every)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_here_is_more_than_what_an_agent_says() {
        use Severity::{Critical, Warning};
        for (here, said, grade) in [
            (None, None, Critical),
            (None, Some(Warning), Warning),
            (Some(Warning), None, Warning),
            (Some(Critical), Some(Warning), Critical),
            (Some(Warning), Some(Critical), Warning),
        ] {
            let policy = Policy { severity: here, ..Policy::default() };
            assert_eq!(policy.severity_of(&Failure::Whole, said), grade, "{here:?} {said:?}");
            assert_eq!(policy.severity_of(&Failure::Members("a".into()), said), grade);
            assert_eq!(policy.severity_of(&Failure::Warning, said), Warning);
        }
    }

    #[test]
    fn pauses_between_reminders_grow_up_to_a_bound_and_end() {
        let hour = Duration::from_secs(3600);
        let remind = Remind { every: hour, backoff: 2.0, most: Some(3) };
        let pauses: Vec<_> = (0..4).map(|sent| remind.pause(sent)).collect();
        assert_eq!(pauses, [Some(hour), Some(hour * 2), Some(hour * 4), None]);
        let endless = Remind { most: None, ..remind };
        assert_eq!(endless.pause(u32::MAX), Some(PAUSE_MAX));
    }
}
