//! The two directions of one connection.

use std::io;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    time::Instant,
};

use super::{dial::Stream, frame::Frames};

/// Bytes read at once.
const READ: usize = 16 * 1024;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Output {
    buffer: BytesMut,
    queued: u64,
}

impl Output {
    /// Adds what `packet` writes.
    pub(super) fn write<T>(&mut self, packet: impl FnOnce(&mut BytesMut) -> T) -> T {
        let before = self.buffer.len();
        let result = packet(&mut self.buffer);
        self.queued += (self.buffer.len() - before) as u64;
        result
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// Bytes that were ever added.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    #[cfg(test)]
    pub(super) fn take(&mut self) -> BytesMut {
        self.buffer.split()
    }
}

/// The writing direction.
pub(super) struct Writer {
    half: WriteHalf<Box<dyn Stream>>,
    pub(super) output: Output,
    unflushed: bool,
    /// Bytes that the system, or TLS, has taken.
    pub(super) written: u64,
    /// When it last took some.
    pub(super) at: Instant,
}

impl Writer {
    pub(super) fn new(half: WriteHalf<Box<dyn Stream>>, output: Output) -> Self {
        let written = output.queued() - output.waiting() as u64;
        Self { half, output, unflushed: true, written, at: Instant::now() }
    }

    /// Whether there is anything to do.
    pub(super) fn busy(&self) -> bool {
        self.unflushed || self.output.waiting() > 0
    }

    /// Writes some of what waits. Nothing is lost when this is dropped halfway.
    pub(super) async fn step(&mut self) -> io::Result<()> {
        if self.output.waiting() > 0 {
            let count = self.half.write_buf(&mut self.output.buffer).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.written += count as u64;
            self.unflushed = true;
            self.at = Instant::now();
        } else {
            self.half.flush().await?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Closes the direction.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.half.shutdown().await
    }
}

/// The reading direction.
pub(super) struct Reader {
    half: ReadHalf<Box<dyn Stream>>,
    pub(super) frames: Frames,
    /// When bytes last came.
    pub(super) at: Instant,
}

impl Reader {
    pub(super) fn new(half: ReadHalf<Box<dyn Stream>>, frames: Frames) -> Self {
        Self { half, frames, at: Instant::now() }
    }

    /// Reads some bytes; 0: the broker closed the connection. Nothing is lost when this is dropped halfway.
    pub(super) async fn step(&mut self) -> io::Result<usize> {
        self.frames.buffer.reserve(READ);
        let count = self.half.read_buf(&mut self.frames.buffer).await?;
        self.at = Instant::now();
        Ok(count)
    }
}
