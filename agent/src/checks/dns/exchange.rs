//! A question to one name server, and its reply, over UDP or TCP. The messages are read here and not by the resolver's own
//! transports: those drop what is no reply, and a server that talks nonsense would be told from a silent one by nobody.

use std::{io, net::SocketAddr, time::Duration};

use hickory_resolver::proto::ProtoError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use super::{
    codes,
    question::Question,
    reply::{Reply, Stray},
};
use crate::checks::net::{NetError, Steps, connect, io_words};

/// Longest message there is, in bytes.
const MESSAGE: usize = 65_535;

/// Time until a question is sent again over UDP, which may have lost it. It doubles each time.
const AGAIN: Duration = Duration::from_secs(1);

/// Most messages that are no reply and are waited through. Nobody but the server, or who can guess our port, sends any.
const STRAYS: u32 = 100;

/// How a question is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) question: &'a Question,
    /// Whether signatures are to be checked, and that be told.
    pub(super) dnssec: bool,
    /// Whether over TCP from the beginning.
    pub(super) tcp: bool,
}

/// Why a server did not answer: a clause that goes on from the server.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Its time ran out; what was waited for.
    #[error("it did not answer in time: {0}")]
    Late(String),
    /// No connection is taken.
    #[error(transparent)]
    Connect(NetError),
    /// The network says no.
    #[error("{}{}", io_words(.0), advice(.0))]
    Network(#[source] io::Error),
    /// The connection ended before the answer did.
    #[error("it closed the connection before its answer was complete{0}")]
    Closed(String),
    /// What it sent is no reply.
    #[error("it sent something that {0}")]
    Nonsense(Stray),
    /// It never stops sending what is no reply.
    #[error("it sent {STRAYS} messages that are no reply, the last one {0}")]
    Flood(Stray),
    /// It answered that it does not answer.
    #[error("{}", codes::meaning(*.code, .reason.as_deref()))]
    Code {
        /// How it went.
        code: u16,
        /// What it says more of it.
        reason: Option<String>,
    },
    /// The answer does not fit into UDP, and over TCP there is none.
    #[error("its answer over UDP was cut off, because it is too long, and over TCP {0}")]
    CutOff(#[source] Box<NoAnswer>),
    /// The answer does not even fit into TCP.
    #[error("its answer over TCP is marked as cut off")]
    Truncated,
    /// The question is too long.
    #[error("the question cannot be written: {0}")]
    Question(#[from] ProtoError),
}

/// Asks a server, until this time.
pub(super) async fn ask(
    server: SocketAddr,
    asking: Asking<'_>,
    until: Instant,
    steps: &mut Steps,
) -> Result<Reply, NoAnswer> {
    let reply = if asking.tcp {
        over_tcp(server, asking, until, steps).await?
    } else {
        let reply = over_udp(server, asking, until, steps).await?;
        if reply.truncated {
            steps.note("* it is cut off, so the question is asked again over TCP");
            let whole = over_tcp(server, asking, until, steps).await;
            whole.map_err(|error| NoAnswer::CutOff(Box::new(error)))?
        } else {
            reply
        }
    };
    match reply.code {
        codes::NOERROR | codes::NXDOMAIN => Ok(reply),
        code => Err(NoAnswer::Code { code, reason: reply.reason }),
    }
}

async fn over_udp(
    server: SocketAddr,
    asking: Asking<'_>,
    until: Instant,
    steps: &mut Steps,
) -> Result<Reply, NoAnswer> {
    steps.begin("answer");
    let (id, message) = asking.question.message(asking.dnssec)?;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(NoAnswer::Network)?;
    // Now the kernel takes from nobody else, and tells when nothing listens there.
    socket.connect(server).await.map_err(NoAnswer::Network)?;
    let mut pause = AGAIN.min((until - Instant::now()) / 4);
    let mut strays = Strays::default();
    let mut received = Vec::with_capacity(MESSAGE);
    loop {
        steps.sent(&format!("{}, id {id}, over UDP to {server}", asking.question));
        socket.send(&message).await.map_err(NoAnswer::Network)?;
        let again = until.min(Instant::now() + pause);
        pause *= 2;
        loop {
            received.clear();
            match timeout_at(again, socket.recv_buf(&mut received)).await {
                Ok(Ok(_)) => match Reply::read(&received, id, asking.question, steps) {
                    Ok(reply) => return Ok(reply),
                    // The reply may still come: who is not the server must not be able to end the wait for it.
                    Err(stray) => strays.add(stray, steps)?,
                },
                Ok(Err(error)) => return Err(NoAnswer::Network(error)),
                Err(_) if again >= until => return Err(NoAnswer::Late(strays.waited())),
                Err(_) => break,
            }
        }
    }
}

async fn over_tcp(
    server: SocketAddr,
    asking: Asking<'_>,
    until: Instant,
    steps: &mut Steps,
) -> Result<Reply, NoAnswer> {
    let mut received = Vec::new();
    let ended = timeout_at(until, converse(server, asking, &mut received, steps)).await;
    match ended {
        Ok(ended) => ended,
        Err(_) if steps.current() == Some("connect") => Err(NoAnswer::Late(
            "no connection was taken (is the machine up, does a firewall drop it?)".into(),
        )),
        Err(_) => {
            let some = if received.is_empty() { "begin" } else { "come to its end" };
            Err(NoAnswer::Late(format!(
                "it was connected and asked over TCP, and its answer did not {some}"
            )))
        }
    }
}

async fn converse(
    server: SocketAddr,
    asking: Asking<'_>,
    received: &mut Vec<u8>,
    steps: &mut Steps,
) -> Result<Reply, NoAnswer> {
    steps.begin("connect");
    let (id, message) = asking.question.message(asking.dnssec)?;
    let mut stream =
        connect(&[server]).await.map_err(|error| NoAnswer::Connect(NetError::from(error)))?;
    steps.begin("answer");
    steps.sent(&format!("{}, id {id}, over TCP to {server}", asking.question));
    // Each message stands behind its length (RFC 1035 section 4.2.2), best in one packet with it.
    let length = u16::try_from(message.len()).map_err(|_| ProtoError::from("it is too long"))?;
    let framed = [&length.to_be_bytes()[..], &message].concat();
    stream.write_all(&framed).await.map_err(NoAnswer::Network)?;
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(NoAnswer::Closed(String::new()));
        }
        Err(error) => return Err(NoAnswer::Network(error)),
    };
    let mut stream = stream.take(length.into());
    stream.read_to_end(received).await.map_err(NoAnswer::Network)?;
    if received.len() < length.into() {
        return Err(NoAnswer::Closed(format!(", after {} of {length} bytes", received.len())));
    }
    let reply = Reply::read(received, id, asking.question, steps).map_err(NoAnswer::Nonsense)?;
    if reply.truncated { Err(NoAnswer::Truncated) } else { Ok(reply) }
}

/// What came that is no reply.
#[derive(Default)]
struct Strays {
    number: u32,
    last: Option<Stray>,
}

impl Strays {
    fn add(&mut self, stray: Stray, steps: &mut Steps) -> Result<(), NoAnswer> {
        steps.note(format!("* something came that {stray}"));
        self.number += 1;
        if self.number >= STRAYS {
            return Err(NoAnswer::Flood(stray));
        }
        self.last = Some(stray);
        Ok(())
    }

    /// What was waited for in vain.
    fn waited(self) -> String {
        match (self.number, self.last) {
            (_, None) => {
                "nothing came back over UDP (is the machine up, does a firewall drop it?)".into()
            }
            (1, Some(stray)) => format!("what it sent {stray}"),
            (number, Some(stray)) => format!("{number} messages came, and the last one {stray}"),
        }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => " (nothing listens there)",
        _ => "",
    }
}
