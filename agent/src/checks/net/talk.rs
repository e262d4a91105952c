//! A conversation with a network service, kept to its time and told in one sentence however it ends.

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::time::timeout;

use super::{LineError, NetError, Reach, Steps};
use crate::checks::Look;

/// What the caller grants beyond the timeout, so that a look that takes too long can say where.
pub(crate) const GRACE: std::time::Duration = std::time::Duration::from_millis(50);

/// A check that talks with a network service.
#[async_trait]
pub(crate) trait Talk: Send + Sync {
    /// Where it goes.
    fn reach(&self) -> &Reach;

    /// The service as a sentence names it, `SMTP at mail.example.org:25`.
    fn service(&self) -> String;

    /// What it waited for in this step when its time ran out. The steps `dns`, `connect` and `tls` have words of their own.
    fn waited(&self, step: &str) -> String;

    /// Talks, and judges what was answered.
    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError>;
}

/// Why a conversation came to no answer that could be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    /// It could not be reached.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It broke off, or what it says is no line.
    #[error(transparent)]
    Line(#[from] LineError),
    /// It refused the login, which trying again does not mend, and may lock the user out.
    #[error("{0}")]
    Login(String),
    /// It answered what it must not: a clause that goes on from the service, `the greeting was "421 busy", wanted 220`.
    #[error("{0}")]
    Wrong(String),
}

impl TalkError {
    /// Name of a failure that further tries cannot mend.
    fn soft_fail(&self) -> Option<&'static str> {
        match self {
            Self::Net(error) => error.soft_fail(),
            Self::Login(_) => Some("login"),
            Self::Line(_) | Self::Wrong(_) => None,
        }
    }
}

/// Talks within the time there is. The phases and the conversation are in the outcome, however it ended.
pub(crate) async fn converse(talk: &impl Talk, look: &Look<'_>) -> Outcome {
    let mut steps = Steps::default();
    let limit = talk.reach().timeout;
    let ended = timeout(limit, talk.talk(look, &mut steps)).await;
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(talk, &error),
        Err(_) => {
            let waited = match steps.current() {
                Some("dns") => "the name servers did not answer".into(),
                Some("connect") => {
                    "no connection was taken (is the machine up, does a firewall drop it?)".into()
                }
                Some("tls") => "it was connected, and the TLS handshake did not end".into(),
                step => talk.waited(step.unwrap_or_default()),
            };
            let late = format!("did not answer within {} s: {waited}", limit.as_secs_f64());
            match steps.settled() {
                Some(outcome) => broken_off(talk, outcome, &format!("it {late}")),
                None => {
                    let text = format!("{} {late}", talk.service());
                    let line = format!("{}: {text}", talk.reach().target);
                    Outcome::fail(text).log([line])
                }
            }
        }
    };
    steps.complete(outcome)
}

/// The failure that an error is.
pub(crate) fn failed(talk: &impl Talk, error: &TalkError) -> Outcome {
    let outcome = Outcome::fail(format!("{}: {error}", talk.service()))
        .log([format!("{}: {error}", talk.reach().target)]);
    match error.soft_fail() {
        Some(name) => outcome.soft_fail(name),
        None => outcome,
    }
}

/// An outcome that stands, though the conversation then broke off, which is worth a look.
pub(crate) fn broken_off(talk: &impl Talk, mut outcome: Outcome, words: &str) -> Outcome {
    outcome.text.push_str(&format!(", but then {words}"));
    outcome.log.push(format!("{}: {words}", talk.reach().target));
    outcome.warning(true)
}
