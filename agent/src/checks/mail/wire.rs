//! The lines of a mail server, and what is noted of them on the way.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::checks::net::{LineError, Lines, Steps};

/// What mail can be spoken on.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A conversation with a mail server.
#[derive(Debug)]
pub(super) struct Wire<'a, S> {
    /// What is said.
    pub(super) lines: Lines<S>,
    /// How far it has come.
    pub(super) steps: &'a mut Steps,
    /// The answers, as the original logs them.
    pub(super) log: Vec<String>,
    /// Commands so far, for the tags of IMAP.
    pub(super) commands: u32,
}

impl<'a, S: Stream> Wire<'a, S> {
    /// A conversation that goes on, with what was logged before.
    pub(super) fn new(stream: S, steps: &'a mut Steps, log: Vec<String>) -> Self {
        Self { lines: Lines::new(stream), steps, log, commands: 0 }
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> Result<String, LineError> {
        self.lines.line(self.steps).await
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, line: &str) -> Result<(), LineError> {
        self.lines.send(line, self.steps).await
    }

    /// Sends a line with a secret in it, and notes it without.
    pub(super) async fn send_as(&mut self, line: &str, noted: &str) -> Result<(), LineError> {
        self.lines.send_as(line, noted, self.steps).await
    }
}
