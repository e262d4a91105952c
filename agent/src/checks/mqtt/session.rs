//! One short session with a broker: it leaves nothing behind.

use std::{io, time::Duration};

use bytes::BytesMut;
use fletchck_shared::config::Protocol;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

use super::watch::Message;
use crate::{
    checks::net::{Steps, TalkError, io_words, told},
    link::{
        failure::reason,
        frame::{Frame, Frames},
        packet::{self, Filter, Hello, Incoming},
    },
};

/// Bytes read at once.
const READ: usize = 8 * 1024;

/// Time for the last packet to go out.
const LEAVE: Duration = Duration::from_millis(20);

/// The id of the one SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;

/// A connection to a broker, whatever it runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A session that the broker has accepted.
pub(super) struct Session {
    stream: Box<dyn Stream>,
    frames: Frames,
    protocol: Protocol,
    /// Longest silence that the broker bears.
    pub(super) keep_alive: Duration,
}

/// Why a broker accepts no session.
#[derive(Debug)]
pub(super) enum Entry {
    /// It may be that it does not speak this version of MQTT: a clause.
    Foreign(String),
    /// It answered, and another version makes no difference.
    Refused(TalkError),
}

/// What a broker says within a session.
#[derive(Debug)]
pub(super) enum Said {
    /// It sends messages of the topic from now on.
    Granted,
    /// A message of the topic.
    Message(Message),
    /// Anything else.
    Other,
}

impl Session {
    /// Says CONNECT and waits until the broker accepts; the step `login`.
    pub(super) async fn open(
        mut stream: Box<dyn Stream>,
        protocol: Protocol,
        hello: &Hello<'_>,
        steps: &mut Steps,
    ) -> Result<Self, Entry> {
        steps.begin("login");
        let user = hello.username.map_or(String::new(), |user| format!(", user {user}"));
        steps.sent(&format!("CONNECT MQTT {} as {}{user}", version(protocol), hello.client_id));
        let mut out = BytesMut::new();
        packet::connect(protocol, hello, &mut out)
            .map_err(|error| Entry::Refused(TalkError::Wrong(error)))?;
        write(&mut stream, &out).await.map_err(|error| unanswered(protocol, Some(&error)))?;
        let keep_alive = hello.keep_alive;
        let mut session = Self { stream, frames: Frames::default(), protocol, keep_alive };
        match session.answer().await? {
            Incoming::Accepted { limits, .. } => {
                steps.got("CONNACK: accepted");
                if let Some(seconds @ 1..) = limits.keep_alive {
                    session.keep_alive = Duration::from_secs(seconds.into());
                }
                Ok(session)
            }
            Incoming::Refused(code) => {
                steps.got(&format!("CONNACK: refused, code {code:#04x}"));
                Err(refused(protocol, code, hello))
            }
            _ => Err(Entry::Foreign("it answered CONNECT with something else than CONNACK".into())),
        }
    }

    /// Says SUBSCRIBE; the step `subscribe`.
    pub(super) async fn subscribe(
        &mut self,
        topic: &str,
        steps: &mut Steps,
    ) -> Result<(), TalkError> {
        steps.begin("subscribe");
        steps.sent(&format!("SUBSCRIBE {topic}"));
        let mut out = BytesMut::new();
        let filter = Filter { text: topic, qos: 0, own: true };
        packet::subscribe(self.protocol, SUBSCRIBE_ID, &[filter], &mut out)
            .map_err(TalkError::Wrong)?;
        self.write(&out).await
    }

    /// Says that it is still there.
    pub(super) async fn ping(&mut self) -> Result<(), TalkError> {
        let mut out = BytesMut::new();
        packet::ping(&mut out);
        self.write(&out).await
    }

    /// Waits for what the broker says next. Nothing is lost when this is dropped.
    pub(super) async fn next(&mut self, topic: &str, steps: &mut Steps) -> Result<Said, TalkError> {
        let frame = match self.frame().await.map_err(broken)? {
            Frame::Whole(frame) => frame,
            Frame::TooLarge { topic: other, .. } if other != topic => return Ok(Said::Other),
            Frame::TooLarge { retain, bytes, .. } => {
                steps.got(&format!("PUBLISH{}, {bytes} bytes, which is not read", kept(retain)));
                let message = Message { payload: None, bytes, retained: retain, expiry: None };
                return Ok(Said::Message(message));
            }
        };
        let incoming = packet::read(self.protocol, frame)
            .map_err(|error| TalkError::Wrong(format!("what it says is no MQTT: {error}")))?;
        match incoming {
            Incoming::SubAck(codes) => match codes.first() {
                Some(code @ 0..=2) => {
                    steps.got(&format!("SUBACK: granted with QoS {code}"));
                    Ok(Said::Granted)
                }
                code => Err(not_granted(*code.unwrap_or(&0x80), topic, steps)),
            },
            Incoming::Publish(publish) if publish.topic == topic => {
                let (payload, retained) = (publish.payload, publish.retain);
                let text = String::from_utf8_lossy(&payload);
                let bytes = payload.len();
                steps.got(&format!("PUBLISH{}, {bytes} bytes: {}", kept(retained), told(&text)));
                let expiry = publish.expiry;
                Ok(Said::Message(Message { payload: Some(payload), bytes, retained, expiry }))
            }
            Incoming::Disconnect(code) => {
                let why = reason(code);
                steps.got(&format!("DISCONNECT: {why}"));
                Err(TalkError::Wrong(format!("it ended the session: {why}")))
            }
            Incoming::Accepted { .. } | Incoming::Refused(_) => {
                Err(TalkError::Wrong("it answered CONNECT a second time".into()))
            }
            _ => Ok(Said::Other),
        }
    }

    /// Says goodbye, so that the broker does not wonder.
    pub(super) async fn leave(mut self, steps: &mut Steps) {
        steps.sent("DISCONNECT");
        let mut out = BytesMut::new();
        packet::disconnect(&mut out);
        let goodbye = async {
            write(&mut self.stream, &out).await?;
            self.stream.shutdown().await
        };
        // A broker that does not hear it notices the end of the connection.
        match timeout(LEAVE, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => steps.note(format!("* {}", io_words(&error))),
            Err(_) => steps.note("* it does not take the last packet"),
        }
    }

    /// The answer to CONNECT.
    async fn answer(&mut self) -> Result<Incoming, Entry> {
        let protocol = self.protocol;
        let frame = match self.frame().await {
            Ok(Frame::Whole(frame)) => frame,
            Ok(Frame::TooLarge { .. }) => {
                return Err(Entry::Foreign("it answered CONNECT with a message".into()));
            }
            Err(Broken::Closed) => return Err(unanswered(protocol, None)),
            Err(Broken::Io(error)) => return Err(unanswered(protocol, Some(&error))),
            Err(Broken::NoMqtt(words)) => return Err(Entry::Foreign(words)),
        };
        packet::read(protocol, frame).map_err(|error| Entry::Foreign(no_mqtt(&error)))
    }

    async fn frame(&mut self) -> Result<Frame, Broken> {
        loop {
            match self.frames.next() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(Broken::NoMqtt(no_mqtt(&error))),
            }
            let buffer = &mut self.frames.buffer;
            buffer.reserve(READ);
            match self.stream.read_buf(buffer).await {
                Ok(0) => return Err(Broken::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(Broken::Closed);
                }
                Err(error) => return Err(Broken::Io(error)),
            }
            match buffer.as_ref() {
                [0x15, 3, ..] => {
                    return Err(Broken::NoMqtt("what answers there is TLS: set `tls`".into()));
                }
                [b'H', b'T', b'T', b'P', ..] => {
                    return Err(Broken::NoMqtt("what answers there is HTTP".into()));
                }
                _ => {}
            }
        }
    }

    async fn write(&mut self, out: &[u8]) -> Result<(), TalkError> {
        write(&mut self.stream, out).await.map_err(|error| broken(Broken::Io(error)))
    }
}

/// Why nothing more can be read.
enum Broken {
    Closed,
    Io(io::Error),
    /// A clause.
    NoMqtt(String),
}

async fn write(stream: &mut Box<dyn Stream>, out: &[u8]) -> io::Result<()> {
    stream.write_all(out).await?;
    stream.flush().await
}

fn broken(broken: Broken) -> TalkError {
    TalkError::Wrong(match broken {
        Broken::Closed => "it closed the connection while messages were waited for".into(),
        Broken::Io(error) => io_words(&error),
        Broken::NoMqtt(words) => words,
    })
}

fn unanswered(protocol: Protocol, error: Option<&io::Error>) -> Entry {
    let how = error.map_or("it closed the connection".into(), io_words);
    Entry::Foreign(format!(
        "{how} instead of an answer to CONNECT (does the port speak MQTT {}, or TLS?)",
        version(protocol)
    ))
}

/// A refusal by its code in CONNACK.
fn refused(protocol: Protocol, code: u8, hello: &Hello<'_>) -> Entry {
    let old = protocol == Protocol::V311;
    let login = |why: &str| {
        Entry::Refused(TalkError::Login(match hello.username {
            Some(user) => format!(
                "it refuses the login of {user} ({why}): check `username`, `password` and what this user may do"
            ),
            None => {
                format!("it lets nobody in without a login ({why}): give `username` and `password`")
            }
        }))
    };
    let wrong = |words: String| Entry::Refused(TalkError::Wrong(words));
    match code {
        1 | 0x84 => Entry::Foreign(format!("it does not speak MQTT {}", version(protocol))),
        2 if old => wrong(client_id(hello)),
        0x85 => wrong(client_id(hello)),
        3 if old => wrong("it is unavailable".into()),
        0x88 => wrong("it is unavailable".into()),
        4 if old => login("user or password are wrong"),
        0x86 => login("user or password are wrong"),
        5 if old => login("not authorised"),
        0x87 => login("not authorised"),
        0x8a => login("banned"),
        0x8c => login("it wants another way of logging in"),
        code => wrong(format!("it refuses the connection: {}", reason(code))),
    }
}

fn client_id(hello: &Hello<'_>) -> String {
    format!("it refuses the client id {}: choose another `clientId`", hello.client_id)
}

fn not_granted(code: u8, topic: &str, steps: &mut Steps) -> TalkError {
    // MQTT 3.1.1 has this code alone, for every reason.
    let why = if code == 0x80 { "it does not say why".into() } else { reason(code) };
    steps.got(&format!("SUBACK: refused, code {code:#04x}"));
    TalkError::Login(format!(
        "it does not let this user hear {topic} ({why}): check what the user may read"
    ))
}

fn no_mqtt(error: &str) -> String {
    format!("what it answers is no MQTT: {error}")
}

fn kept(retained: bool) -> &'static str {
    if retained { ", retained" } else { "" }
}

fn version(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V5 => "5",
        Protocol::V311 => "3.1.1",
    }
}
