//! What a server says before the key exchange: lines that are free to it, and then its identification.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Most bytes that are taken in one key exchange. Real ones stay below 8 KiB.
const ALL: usize = 128 * 1024;

/// Most bytes in which a greeting is looked for.
const START: usize = 8 * 1024;

/// What a server says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Whole lines, as they came, to the identification. Bytes that are no UTF-8 become U+FFFD.
    pub(crate) lines: Vec<String>,
    /// Whether the last of them is the identification, `SSH-2.0-…`.
    pub(crate) complete: bool,
}

impl Greeting {
    /// Reads what came so far.
    pub(crate) fn read(start: &[u8]) -> Self {
        let mut greeting = Self::default();
        for line in start.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            greeting.lines.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            if line.starts_with(b"SSH-") {
                greeting.complete = true;
                break;
            }
        }
        greeting
    }

    /// Whether the server speaks the version of SSH that is in use.
    pub(crate) fn is_version_2(&self) -> bool {
        let known = |line: &String| line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-");
        self.complete && self.lines.last().is_some_and(known)
    }
}

/// The beginning of what a server says, shared with whoever waits for its end.
#[derive(Debug, Default)]
pub(super) struct Start {
    bytes: Mutex<Vec<u8>>,
    complete: Notify,
}

impl Start {
    /// What came so far.
    pub(super) fn so_far(&self) -> Greeting {
        Greeting::read(&self.bytes.lock())
    }

    /// Waits until the greeting is complete.
    pub(super) async fn complete(&self) {
        self.complete.notified().await;
    }

    fn add(&self, more: &[u8]) {
        let mut bytes = self.bytes.lock();
        if bytes.len() < START {
            bytes.extend_from_slice(more);
            if Greeting::read(&bytes).complete {
                self.complete.notify_one();
            }
        }
    }
}

/// A stream that notes how the server greets, takes no more than [`ALL`], and ends when nobody waits for it any more: the
/// session that reads from it is a task of its own.
pub(super) struct Heard<S> {
    stream: S,
    taken: usize,
    start: Arc<Start>,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Heard<S> {
    /// Listens on a stream until `over`.
    pub(super) fn new(stream: S, start: Arc<Start>, over: CancellationToken) -> Self {
        Self { stream, taken: 0, start, over: Box::pin(over.cancelled_owned()) }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.over.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_over(cx)?;
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let more = &into.filled()[before..];
        self.taken += more.len();
        if self.taken > ALL {
            let text = format!("it sent more than {} KiB", ALL / 1024);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, text)));
        }
        self.start.add(more);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_over(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_greeting_ends_with_the_identification() {
        let said = b"Welcome\r\n\xff\nSSH-2.0-OpenSSH_9.2 Debian\r\nSSH-no";
        let greeting = Greeting::read(said);
        assert_eq!(greeting.lines, ["Welcome", "\u{fffd}", "SSH-2.0-OpenSSH_9.2 Debian"]);
        assert!(greeting.is_version_2());
        assert!(!Greeting::read(&said[..20]).complete);
        assert!(Greeting::read(b"SSH-1.99-old\n").is_version_2());
        let old = Greeting::read(b"SSH-1.5-older\n");
        assert!(old.complete && !old.is_version_2());
        assert_eq!(Greeting::read(b""), Greeting::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_greeting_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let greeting = Greeting::read(&bytes);
            prop_assert!(greeting.lines.len() <= bytes.len());
            prop_assert!(greeting.complete || !greeting.is_version_2());
        }
    }
}
