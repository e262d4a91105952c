//! Servers that do what no real one does: answer garbage, without end, a byte at a time, or half.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::Result;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

/// Bytes of an answer that is far too long.
const ENDLESS: usize = 100_000_000;

/// What a server does once it is connected, and has heard something where it is not the first to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Never says a word.
    Silent,
    /// Says what belongs to no protocol, and hangs up.
    Garbage,
    /// Begins well and goes on for 100 MB.
    Endless,
    /// Begins well, one byte a second.
    Trickle,
    /// Breaks off half way through a good beginning.
    Cut,
    /// Hangs up without a word.
    HangUp,
}

impl Bad {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Silent, Self::Garbage, Self::Endless, Self::Trickle, Self::Cut, Self::HangUp];
}

/// How a protocol begins.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Whether the server waits to be spoken to.
    pub listens: bool,
    /// The beginning of a good answer.
    pub opening: &'static [u8],
    /// What a good answer may go on with, again and again.
    pub more: &'static [u8],
}

/// A server on a port of 127.0.0.1 that misbehaves, until dropped.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub port: u16,
    accept: JoinHandle<()>,
}

impl Scripted {
    /// Starts to misbehave: with `tls`, inside of it.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(bad: Bad, manner: Manner, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let acceptor = tls.map(TlsAcceptor::from);
        Self::serve(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                match acceptor {
                    None => misbehave(stream, bad, manner).await,
                    Some(acceptor) => misbehave(acceptor.accept(stream).await?, bad, manner).await,
                }
            }
        })
        .await
    }

    /// Starts to do this with every connection.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn serve<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accept = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                // How a conversation ends is judged at its other end.
                connections.spawn(each(stream));
            }
        });
        Ok(Self { port, accept })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn misbehave<S>(mut stream: S, bad: Bad, manner: Manner) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if manner.listens {
        let mut heard = [0; 4096];
        _ = stream.read(&mut heard).await?;
    }
    match bad {
        Bad::Silent => std::future::pending().await,
        Bad::HangUp => {}
        Bad::Garbage => {
            let mut garbage = vec![0; 16 * 1024];
            StdRng::seed_from_u64(7).fill_bytes(&mut garbage);
            stream.write_all(&garbage).await?;
        }
        Bad::Cut => stream.write_all(&manner.opening[..manner.opening.len() / 2]).await?,
        Bad::Trickle => {
            for byte in manner.opening.iter().chain(manner.more.iter().cycle()) {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        Bad::Endless => {
            stream.write_all(manner.opening).await?;
            let more = manner.more.repeat(16 * 1024 / manner.more.len() + 1);
            for _ in 0..ENDLESS / more.len() {
                stream.write_all(&more).await?;
            }
        }
    }
    stream.shutdown().await?;
    Ok(())
}
