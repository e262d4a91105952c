//! A server that says the same whatever it hears.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use fletchck_shared::Outcome;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
};

use super::fit;

/// Nothing here waits for a network or a clock.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().build().expect("it needs nothing of the system")
});

/// What a server says, then the end of the connection.
#[derive(Debug)]
pub(in crate::checks) struct Scripted {
    said: Vec<u8>,
    at: usize,
    /// Most bytes that are read at once.
    piece: usize,
    /// Whether it waits until it has heard something, and who waits for that.
    silent: bool,
    waiting: Option<Waker>,
}

impl Scripted {
    /// It says nothing before it has heard something, as a web server.
    pub(in crate::checks) fn when_asked(self) -> Self {
        Self { silent: true, ..self }
    }
}

/// Talks with a server that says this at once, and again with one that says it in pieces of so many bytes. What comes of it
/// must be the same, bounded, and fit to be shown; it is returned.
pub(in crate::checks) fn converse<F: Future<Output = Outcome>>(
    said: &[u8],
    piece: usize,
    talk: impl Fn(Scripted) -> F,
) -> Outcome {
    let [whole, pieces] = [usize::MAX, piece.max(1)].map(|piece| {
        let server = Scripted { said: said.to_vec(), at: 0, piece, silent: false, waiting: None };
        // How long each phase took is no part of the answer.
        RUNTIME.block_on(talk(server)).phases(Vec::new())
    });
    assert_eq!(whole, pieces, "the same in pieces of {piece}");
    assert_eq!(whole, whole.clone().bounded(), "bounded");
    assert!(!whole.text.is_empty(), "a sentence");
    let lines = [&whole.text].into_iter().chain(&whole.level).chain(&whole.log);
    lines.chain(&whole.conversation).for_each(|line| fit(line));
    whole
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.silent {
            self.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let left = self.said.len() - self.at;
        let end = self.at + left.min(self.piece).min(into.remaining());
        into.put_slice(&self.said[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.silent = false;
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
        Poll::Ready(Ok(from.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
