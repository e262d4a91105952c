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
    /// It answered what it must not: a clause that goes on from the service, `the greeting was "421 busy", wanted 220`.
    #[error("{0}")]
    Wrong(String),
}

/// Talks within the time there is. The phases and the conversation are in the outcome, however it ended.
pub(crate) async fn converse(talk: &impl Talk, look: &Look<'_>) -> Outcome {
    let mut steps = Steps::default();
    let limit = talk.reach().timeout;
    let ended = timeout(limit, talk.talk(look, &mut steps)).await;
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            let text = format!("{}: {error}", talk.service());
            let soft_fail = match &error {
                TalkError::Net(error) => error.soft_fail(),
                TalkError::Line(_) | TalkError::Wrong(_) => None,
            };
            let outcome = Outcome::fail(text).log([format!("{}: {error}", talk.reach().target)]);
            match soft_fail {
                Some(name) => outcome.soft_fail(name),
                None => outcome,
            }
        }
        Err(_) => {
            let waited = match steps.current() {
                Some("dns") => "the name servers did not answer".into(),
                Some("connect") => {
                    "no connection was taken (is the machine up, does a firewall drop it?)".into()
                }
                Some("tls") => "it was connected, and the TLS handshake did not end".into(),
                step => talk.waited(step.unwrap_or_default()),
            };
            let text = format!(
                "{} did not answer within {} s: {waited}",
                talk.service(),
                limit.as_secs_f64()
            );
            Outcome::fail(text.clone()).log([format!("{}: {text}", talk.reach().target)])
        }
    };
    steps.complete(outcome)
}
