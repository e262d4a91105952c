//! Lines on a stream, bounded: a server decides what it says, not how much of it is taken.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Steps, io_words};

/// Longest line that is taken, in bytes.
const LINE: usize = 8 * 1024;

/// Longest part of an unexpected line that is told, in characters.
const TOLD: usize = 120;

/// Most bytes that are taken in one conversation.
const ALL: usize = 256 * 1024;

/// Lines on a stream, in both directions, each noted in the steps.
#[derive(Debug)]
pub(crate) struct Lines<S> {
    stream: S,
    waiting: Vec<u8>,
    taken: usize,
}

/// Why there was no line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    /// The other side ended the connection.
    #[error("it closed the connection before its answer was complete")]
    Closed,
    /// The connection broke.
    #[error("{}", io_words(.0))]
    Broken(#[source] io::Error),
    /// A line has no end.
    #[error("it sent a line of more than {LINE} bytes")]
    LongLine,
    /// The answer has no end.
    #[error("it sent more than {} KiB", ALL / 1024)]
    TooMuch,
    /// It spoke before it was asked, where what it says could be taken for an answer under TLS.
    #[error(
        "it sent something between its answer to STARTTLS and the TLS handshake, which somebody may have put there"
    )]
    Unasked,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    /// Lines on this stream.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, waiting: Vec::new(), taken: 0 }
    }

    /// The stream, for a TLS handshake: nothing may wait on it.
    pub(crate) fn bare(self) -> Result<S, LineError> {
        if self.waiting.is_empty() { Ok(self.stream) } else { Err(LineError::Unasked) }
    }

    /// The next line, without its end. Bytes that are no UTF-8 become U+FFFD.
    pub(crate) async fn line(&mut self, steps: &mut Steps) -> Result<String, LineError> {
        let mut looked = 0;
        loop {
            if let Some(end) = self.waiting[looked..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.waiting.drain(..=looked + end).collect();
                let line = line.trim_ascii_end();
                let line = String::from_utf8_lossy(line).into_owned();
                steps.got(&line);
                return Ok(line);
            }
            looked = self.waiting.len();
            if looked > LINE {
                return Err(LineError::LongLine);
            }
            if self.taken > ALL {
                return Err(LineError::TooMuch);
            }
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await {
                Ok(0) => return Err(LineError::Closed),
                Ok(some) => {
                    self.taken += some;
                    self.waiting.extend_from_slice(&piece[..some]);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(LineError::Closed);
                }
                Err(error) => return Err(LineError::Broken(error)),
            }
        }
    }

    /// Sends a line.
    pub(crate) async fn send(&mut self, line: &str, steps: &mut Steps) -> Result<(), LineError> {
        self.send_as(line, line, steps).await
    }

    /// Sends a line with a secret in it, and notes it without.
    pub(crate) async fn send_as(
        &mut self,
        line: &str,
        noted: &str,
        steps: &mut Steps,
    ) -> Result<(), LineError> {
        steps.sent(noted);
        let line = format!("{line}\r\n");
        self.stream.write_all(line.as_bytes()).await.map_err(LineError::Broken)?;
        self.stream.flush().await.map_err(LineError::Broken)
    }
}

/// As much of an unexpected line as a sentence tells.
pub(crate) fn told(line: &str) -> String {
    line.chars().take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(said: &[u8]) -> (Vec<String>, LineError) {
        let (mut server, client) = tokio::io::duplex(1 << 20);
        let said = said.to_vec();
        tokio::spawn(async move {
            // Whoever has heard enough hangs up.
            server.write_all(&said).await.ok();
        });
        let (mut lines, mut steps) = (Lines::new(client), Steps::default());
        let mut all = Vec::new();
        loop {
            match lines.line(&mut steps).await {
                Ok(line) => all.push(line),
                Err(error) => return (all, error),
            }
        }
    }

    #[tokio::test]
    async fn lines_end_as_they_may() {
        let (all, error) = lines(b"220 a\r\nb\n\n\xffc").await;
        assert_eq!(all, ["220 a", "b", ""]);
        assert!(matches!(error, LineError::Closed));
    }

    #[tokio::test]
    async fn neither_a_line_nor_an_answer_is_endless() {
        let (_, error) = lines(&vec![b'a'; 1 << 20]).await;
        assert!(matches!(error, LineError::LongLine), "{error}");
        let (_, error) = lines(&b"ab\r\n".repeat(1 << 18)).await;
        assert!(matches!(error, LineError::TooMuch), "{error}");
    }

    #[tokio::test]
    async fn what_is_said_before_tls_is_no_answer_in_it() {
        let (mut server, client) = tokio::io::duplex(1024);
        server.write_all(b"220 go ahead\r\n250 injected\r\n").await.expect("sent");
        let (mut lines, mut steps) = (Lines::new(client), Steps::default());
        assert_eq!(lines.line(&mut steps).await.expect("a line"), "220 go ahead");
        assert!(matches!(lines.bare(), Err(LineError::Unasked)));
    }
}
