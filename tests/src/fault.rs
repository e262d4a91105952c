//! Faults on the network: a proxy that cuts, stalls, delays and refuses, and addresses where nothing answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// What the proxy does with what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on at once.
    Pass,
    /// Passes everything on, each piece later by this much in each direction.
    Delay(Duration),
    /// Keeps connections open and accepts new ones, but passes nothing on until the mode changes.
    Stall,
    /// Resets every connection, old and new.
    Refuse,
}

/// A TCP proxy in front of a port of 127.0.0.1.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub port: u16,
    state: watch::Sender<State>,
    accept: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections of an older generation have been cut.
    generation: u64,
}

impl Proxy {
    /// Starts to pass connections on to `target`.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(target: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (state, watched) = watch::channel(State { mode: Mode::Pass, generation: 0 });
        let accept = tokio::spawn(accept(listener, target, watched));
        Ok(Self { port, state, accept })
    }

    /// Behaves differently from now on, towards open connections too.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Resets all open connections; new ones are welcome.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// An address where a connection attempt is neither accepted nor refused: packets seem to vanish.
#[derive(Debug)]
pub struct Blackhole {
    /// Where to connect in vain.
    pub port: u16,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    /// Fills a listener's queue of one, after which the kernel drops further attempts.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open() -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(0)?;
        let port = listener.local_addr()?.port();
        let queued = vec![TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?];
        Ok(Self { port, _listener: listener, _queued: queued })
    }
}

/// A server that accepts every connection and never says anything.
#[derive(Debug)]
pub struct Silence {
    /// Where to connect.
    pub port: u16,
    accept: JoinHandle<()>,
}

impl Silence {
    /// Starts to accept and say nothing.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accept = tokio::spawn(async move {
            let mut held = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                // Until the other side is tired of it.
                held.spawn(
                    async move { tokio::io::copy(&mut stream, &mut tokio::io::sink()).await },
                );
                while held.try_join_next().is_some() {}
            }
        });
        Ok(Self { port, accept })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// A port of 127.0.0.1 where connections are refused.
pub fn refused() -> u16 {
    crate::port::free()
}

async fn accept(listener: TcpListener, target: u16, state: watch::Receiver<State>) {
    // Connections end with the listener, whose owner has gone away.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(connection(client, target, state.clone()));
    }
}

async fn connection(mut client: TcpStream, target: u16, mut state: watch::Receiver<State>) {
    let generation = state.borrow().generation;
    let passing = relay(&mut client, target, state.clone());
    let cut = state.wait_for(|now| now.mode == Mode::Refuse || now.generation != generation);
    tokio::select! {
        _ = cut => {}
        // How the connection ended is what a test wants to see at its own end of it.
        _ = passing => return,
    }
    // Closing then resets. It fails only for a connection that is gone already.
    client.set_zero_linger().ok();
}

async fn relay(client: &mut TcpStream, target: u16, state: watch::Receiver<State>) -> Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        pass(from_client, to_server, state.clone()),
        pass(from_server, to_client, state),
    )?;
    Ok(())
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut state: watch::Receiver<State>,
) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        let mode = state.wait_for(|now| now.mode != Mode::Stall).await?.mode;
        if let Mode::Delay(delay) = mode {
            sleep(delay).await;
        }
        if count == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&buffer[..count]).await?;
    }
}
