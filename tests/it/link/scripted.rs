//! A broker that does as it is told: it records what arrives and answers, cuts or refuses by a script.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::Packet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What happens to a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// It is acknowledged.
    Ack,
    /// Acknowledgements go out in packs, the last first.
    AckReversed,
    /// The connection is cut instead of acknowledging it.
    CutBefore,
    /// The connection is cut behind the acknowledgement.
    CutAfter,
}

/// How MQTT 5 is refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// It is not.
    None,
    /// By a code.
    Code,
    /// By closing the connection.
    Close,
}

/// A message as it arrived, acknowledged or not.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) topic: String,
    pub(super) number: u64,
}

/// The broker. It ends with the value.
#[derive(Debug)]
pub(super) struct Scripted {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// Versions of the connections, in order.
    versions: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Scripted {
    pub(super) async fn start(
        session_present: bool,
        refusal: Refusal,
        mut script: impl FnMut(&Heard) -> Answer + Send + 'static,
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let versions = Arc::<Mutex<Vec<u8>>>::default();
        let task = tokio::spawn({
            let (heard, versions) = (heard.clone(), versions.clone());
            async move {
                let mut known = false;
                while let Ok((stream, _)) = listener.accept().await {
                    let present = session_present && known;
                    known = true;
                    // Its client is gone; the next one comes.
                    serve(stream, present, refusal, &mut script, &heard, &versions).await.ok();
                }
            }
        });
        Ok(Self { port, heard, versions, task })
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }

    pub(super) fn versions(&self) -> Vec<u8> {
        lock(&self.versions).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    present: bool,
    refusal: Refusal,
    script: &mut impl FnMut(&Heard) -> Answer,
    heard: &Mutex<Vec<Heard>>,
    versions: &Mutex<Vec<u8>>,
) -> Result<()> {
    let mut bytes = BytesMut::new();
    while bytes.len() < 9 || bytes.len() < 2 + usize::from(bytes[1]) {
        anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0);
    }
    // Fixed header, the name with its length, then the version.
    let version = bytes[8];
    lock(versions).push(version);
    match (version, refusal) {
        (5, Refusal::Code) => {
            stream.write_all(&[0x20, 2, 0, 1]).await?;
            return Ok(());
        }
        (5, Refusal::Close) => return Ok(()),
        (5, Refusal::None) => stream.write_all(&[0x20, 3, u8::from(present), 0, 0]).await?,
        _ => {
            stream.write_all(&[0x20, 2, u8::from(present), 0]).await?;
            // What follows is read as version 5 below; these tests only look at the version.
            while stream.read_buf(&mut bytes).await? > 0 {}
            return Ok(());
        }
    }
    let connect = 2 + usize::from(bytes[1]);
    bytes::Buf::advance(&mut bytes, connect);
    let mut reversed: Vec<u16> = Vec::new();
    loop {
        let packet = match Packet::read(&mut bytes, None) {
            Ok(packet) => packet,
            Err(rumqttc::v5::mqttbytes::Error::InsufficientBytes(_)) => {
                let read = timeout(Duration::from_millis(20), stream.read_buf(&mut bytes)).await;
                match read {
                    Ok(Ok(1..)) => {}
                    Ok(_) => return Ok(()),
                    Err(_) => acknowledge(&mut stream, &mut reversed).await?,
                }
                continue;
            }
            Err(error) => anyhow::bail!("{error}"),
        };
        match packet {
            Packet::Publish(publish) => {
                let message = Heard {
                    topic: String::from_utf8(publish.topic.to_vec())?,
                    number: String::from_utf8(publish.payload.to_vec())?.parse().unwrap_or(0),
                };
                let answer = script(&message);
                if !matches!(answer, Answer::CutBefore) {
                    lock(heard).push(message);
                }
                match answer {
                    Answer::CutBefore => return Ok(()),
                    Answer::AckReversed => {
                        reversed.push(publish.pkid);
                        if reversed.len() >= 8 {
                            acknowledge(&mut stream, &mut reversed).await?;
                        }
                    }
                    Answer::Ack | Answer::CutAfter => {
                        acknowledge(&mut stream, &mut vec![publish.pkid]).await?;
                        if matches!(answer, Answer::CutAfter) {
                            return Ok(());
                        }
                    }
                }
            }
            Packet::Disconnect(_) => return Ok(()),
            _ => {}
        }
    }
}

async fn acknowledge(stream: &mut TcpStream, ids: &mut Vec<u16>) -> Result<()> {
    for id in ids.drain(..).rev() {
        let [high, low] = id.to_be_bytes();
        stream.write_all(&[0x40, 2, high, low]).await?;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
