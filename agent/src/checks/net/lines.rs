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
    /// Bytes of the lines so far.
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
                let end = looked + end;
                self.bounded(end)?;
                self.taken += end + 1;
                let line: Vec<u8> = self.waiting.drain(..=end).collect();
                let line = line.trim_ascii_end();
                let line = String::from_utf8_lossy(line).into_owned();
                steps.got(&line);
                return Ok(line);
            }
            looked = self.waiting.len();
            self.bounded(looked)?;
            let mut piece = [0; 4096];
            match self.stream.read(&mut piece).await {
                Ok(0) => return Err(LineError::Closed),
                Ok(some) => self.waiting.extend_from_slice(&piece[..some]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(LineError::Closed);
                }
                Err(error) => return Err(LineError::Broken(error)),
            }
        }
    }

    /// Whether a line may have so many bytes; in however many pieces they come.
    fn bounded(&self, bytes: usize) -> Result<(), LineError> {
        let left = ALL.saturating_sub(self.taken);
        match bytes {
            _ if bytes <= LINE.min(left) => Ok(()),
            _ if left < LINE => Err(LineError::TooMuch),
            _ => Err(LineError::LongLine),
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
        lines_in_pieces(said, 1 << 20).await
    }

    async fn lines_in_pieces(said: &[u8], piece: usize) -> (Vec<String>, LineError) {
        let (mut server, client) = tokio::io::duplex(piece);
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

    /// The longest line was once up to half as long again, as the end of it came with its beginning or not.
    #[tokio::test]
    async fn how_long_a_line_may_be_does_not_depend_on_its_pieces() {
        for (length, fits) in [(LINE, true), (LINE + 1, false), (LINE + 4000, false)] {
            let said = [&vec![b'a'; length][..], b"\n"].concat();
            for piece in [1, 1000, 4096, 1 << 20] {
                let (all, error) = lines_in_pieces(&said, piece).await;
                assert_eq!(all.len(), usize::from(fits), "{length} in pieces of {piece}");
                assert_eq!(matches!(error, LineError::Closed), fits, "{error}");
            }
        }
        let said = b"0123456789abcde\n".repeat(ALL / 16 + 300);
        for piece in [999, 4096, 1 << 20] {
            let (all, error) = lines_in_pieces(&said, piece).await;
            assert!(matches!(error, LineError::TooMuch), "{error}");
            assert_eq!(all.len(), ALL / 16, "in pieces of {piece}");
        }
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
