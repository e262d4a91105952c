//! A client made of bytes, so that it can also send what no library would.

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::setup::LIMIT;

pub(super) use fletchck_tests::frame::{packet, text};

pub(super) const V4: u8 = 4;
pub(super) const V5: u8 = 5;

/// A connection that understands just enough.
pub(super) struct Raw {
    pub(super) stream: TcpStream,
    pub(super) level: u8,
}

/// What a CONNECT says.
#[derive(Clone, Default)]
pub(super) struct Hello<'a> {
    pub(super) id: &'a str,
    pub(super) keep_session: bool,
    pub(super) keep_alive: u16,
    pub(super) will: Option<(&'a str, &'a str)>,
    pub(super) login: Option<(&'a str, &'a str)>,
    /// MQTT 5 properties without their length.
    pub(super) properties: &'a [u8],
}

impl Hello<'_> {
    pub(super) fn bytes(&self, level: u8) -> Vec<u8> {
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', level];
        let mut flags = if self.keep_session { 0 } else { 2 };
        flags |= if self.will.is_some() { 4 | 8 } else { 0 };
        flags |= if self.login.is_some() { 0xc0 } else { 0 };
        body.push(flags);
        body.extend(self.keep_alive.to_be_bytes());
        if level == V5 {
            body.push(self.properties.len() as u8);
            body.extend(self.properties);
        }
        body.extend(text(self.id));
        if let Some((topic, payload)) = self.will {
            if level == V5 {
                body.push(0);
            }
            body.extend([text(topic), text(payload)].concat());
        }
        if let Some((user, password)) = self.login {
            body.extend([text(user), text(password)].concat());
        }
        packet(0x10, &body)
    }
}

impl Raw {
    /// Connects and expects to be let in. Answers whether there was a session.
    pub(super) async fn enter(port: u16, level: u8, hello: &Hello<'_>) -> Result<(Self, bool)> {
        let (raw, answer) = Self::knock(port, level, hello).await?;
        let [flags, code, ..] = answer[..] else { bail!("short answer to a connect") };
        ensure!(code == 0, "refused with {code}");
        Ok((raw, flags & 1 != 0))
    }

    /// Connects and answers the CONNACK's body.
    pub(super) async fn knock(port: u16, level: u8, hello: &Hello<'_>) -> Result<(Self, Vec<u8>)> {
        let mut raw = Self { stream: TcpStream::connect(("127.0.0.1", port)).await?, level };
        raw.send(&hello.bytes(level)).await?;
        let (header, body) = raw.read().await?.context("closed without an answer")?;
        ensure!(header == 0x20, "answered with {header:#x}");
        Ok((raw, body))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The next packet; `None` once the connection is closed.
    pub(super) async fn read(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        timeout(LIMIT, self.read_on()).await.context("the broker says nothing")?
    }

    async fn read_on(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let Ok(header) = self.stream.read_u8().await else { return Ok(None) };
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Some((header, body)))
    }

    /// The next packet of a type, leaving out others.
    pub(super) async fn read_type(&mut self, kind: u8) -> Result<Vec<u8>> {
        loop {
            let (header, body) = self.read().await?.context("closed")?;
            if header >> 4 == kind {
                return Ok(body);
            }
        }
    }

    /// Reads until the connection is closed. Answers the reason of an MQTT 5 DISCONNECT.
    pub(super) async fn closed(&mut self) -> Result<Option<u8>> {
        let mut reason = None;
        while let Some((header, body)) = self.read().await? {
            if header == 0xe0 {
                reason = body.first().copied();
            }
        }
        Ok(reason)
    }

    /// Subscribes with one filter; answers the code.
    pub(super) async fn subscribe(&mut self, filter: &str, qos: u8) -> Result<u8> {
        self.send(&subscribe(self.level, filter, qos)).await?;
        let body = self.read_type(9).await?;
        body.last().copied().context("empty suback")
    }

    /// Publishes with QoS 1; answers the reason of the acknowledgement.
    pub(super) async fn publish(&mut self, topic: &str, payload: &str, retain: bool) -> Result<u8> {
        self.send(&publish(self.level, topic, payload, 1, retain)).await?;
        let body = self.read_type(4).await?;
        Ok(body.get(2).copied().unwrap_or(0))
    }

    /// The next message: topic and payload. QoS 1 is acknowledged.
    pub(super) async fn message(&mut self) -> Result<(String, String)> {
        loop {
            let (header, body) = self.read().await?.context("closed")?;
            if header >> 4 != 3 {
                continue;
            }
            let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = String::from_utf8(body[2..2 + length].to_vec())?;
            let mut rest = &body[2 + length..];
            if header & 6 != 0 {
                let id = [rest[0], rest[1]];
                rest = &rest[2..];
                self.send(&packet(0x40, &id)).await?;
            }
            if self.level == V5 {
                rest = &rest[1 + usize::from(rest[0])..];
            }
            return Ok((topic, String::from_utf8(rest.to_vec())?));
        }
    }

    pub(super) async fn leave(mut self) -> Result<()> {
        self.send(&[0xe0, 0]).await?;
        self.closed().await?;
        Ok(())
    }
}

pub(super) fn publish(level: u8, topic: &str, payload: &str, qos: u8, retain: bool) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend([0, 7]);
    }
    if level == V5 {
        body.push(0);
    }
    body.extend(payload.as_bytes());
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

pub(super) fn subscribe(level: u8, filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 9];
    if level == V5 {
        body.push(0);
    }
    body.extend(text(filter));
    body.push(qos);
    packet(0x82, &body)
}

pub(super) fn unsubscribe(level: u8, filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 9];
    if level == V5 {
        body.push(0);
    }
    for filter in filters {
        body.extend(text(filter));
    }
    packet(0xa2, &body)
}
