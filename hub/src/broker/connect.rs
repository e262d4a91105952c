//! From the first byte to the login: which protocol, who it is, whether it may.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Buf, BytesMut};
use rand::distr::{Alphanumeric, SampleString};
use rumqttd::protocol::{
    Connect, ConnectProperties, ConnectReturnCode as Code, LastWill, LastWillProperties, Login,
    Packet,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::access::{Refusal, Rights};
use super::codec::{self, Fault, PACKET_MAX, Version};
use super::gate::Gate;
use super::listener::Pending;
use super::session::{self, Terms};
use super::will::Will;

/// Longest client id, in bytes.
const CLIENT_MAX: usize = 128;

/// Why a connection does not become a session.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("connection lost")]
    Io(#[from] io::Error),
    #[error("no login in time")]
    Late,
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("refused: {0:?}")]
    Refused(Code),
    #[error("login refused: {0}")]
    Login(Refusal),
    #[error("the broker stops")]
    Stopping,
}

/// The parts of a CONNECT.
struct Greeting {
    version: Version,
    connect: Connect,
    properties: ConnectProperties,
    will: Option<(LastWill, Option<LastWillProperties>)>,
    login: Option<Login>,
}

/// One connection among all that are logged in. Counted until dropped.
pub(super) struct Counted(Arc<Gate>);

impl Counted {
    fn new(gate: &Arc<Gate>) -> Option<Self> {
        let counted = Self(gate.clone());
        (gate.connected.fetch_add(1, Relaxed) < gate.settings.max_connections).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Relaxed);
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(gate: Arc<Gate>, mut stream: S, peer: IpAddr, pending: Pending)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut read = BytesMut::new();
    let admitted = tokio::select! {
        () = gate.stop.cancelled() => Err(Unfit::Stopping),
        admitted = admit(&gate, &mut stream, &mut read, peer) => admitted,
    };
    drop(pending);
    match admitted {
        Ok((terms, counted)) => {
            session::run(gate, stream, read, terms).await;
            drop(counted);
        }
        Err(error @ (Unfit::Login(_) | Unfit::Refused(_))) => {
            tracing::info!(%peer, %error, "client not admitted");
        }
        Err(error) => tracing::debug!(%peer, %error, "client not admitted"),
    }
}

async fn admit<S>(
    gate: &Arc<Gate>,
    stream: &mut S,
    read: &mut BytesMut,
    peer: IpAddr,
) -> Result<(Terms, Counted), Unfit>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let greeting = timeout(gate.settings.connect_timeout, greeting(gate, stream, read))
        .await
        .map_err(|_| Unfit::Late)??;
    let version = greeting.version;
    match judge(gate, greeting, peer).await {
        Ok(admitted) => Ok(admitted),
        Err(unfit) => {
            let code = match &unfit {
                Unfit::Refused(code) => *code,
                Unfit::Login(Refusal::Credentials) => Code::BadUserNamePassword,
                Unfit::Login(Refusal::NotAuthorized) => Code::NotAuthorized,
                Unfit::Login(Refusal::ClientId) => Code::ClientIdentifierNotValid,
                _ => Code::ServiceUnavailable,
            };
            refuse(stream, version, code).await;
            Err(unfit)
        }
    }
}

/// Reads the CONNECT.
async fn greeting<S>(gate: &Gate, stream: &mut S, read: &mut BytesMut) -> Result<Greeting, Unfit>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        if let Some(frame) = codec::frame(read, gate.settings.max_packet)? {
            let version = match codec::level(&frame) {
                Some(4) => Version::V3,
                Some(5) => Version::V5,
                Some(level) => {
                    let version = if level < 4 { Version::V3 } else { Version::V5 };
                    refuse(stream, version, Code::RefusedProtocolVersion).await;
                    return Err(Unfit::Refused(Code::RefusedProtocolVersion));
                }
                None => return Err(Fault::Protocol("no connect").into()),
            };
            let packet = match version.connect(&frame) {
                Ok(packet) => packet,
                Err(fault) => {
                    if version == Version::V5 {
                        refuse(stream, version, Code::MalformedPacket).await;
                    }
                    return Err(fault.into());
                }
            };
            let length = frame.whole.len();
            read.advance(length);
            let Packet::Connect(connect, properties, will, will_properties, login) = packet else {
                return Err(Fault::Protocol("no connect").into());
            };
            return Ok(Greeting {
                version,
                connect,
                properties: properties.unwrap_or(ConnectProperties {
                    session_expiry_interval: None,
                    receive_maximum: None,
                    max_packet_size: None,
                    topic_alias_max: None,
                    request_response_info: None,
                    request_problem_info: None,
                    user_properties: Vec::new(),
                    authentication_method: None,
                    authentication_data: None,
                }),
                will: will.map(|will| (will, will_properties)),
                login,
            });
        }
        // Anything but a CONNECT is not read on.
        if read.first().is_some_and(|header| *header != 0x10) {
            return Err(Fault::Protocol("no connect").into());
        }
        if stream.read_buf(read).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

async fn judge(
    gate: &Arc<Gate>,
    greeting: Greeting,
    peer: IpAddr,
) -> Result<(Terms, Counted), Unfit> {
    let Greeting { version, connect, properties, will, login } = greeting;
    if properties.authentication_method.is_some() {
        return Err(Unfit::Refused(Code::BadAuthenticationMethod));
    }
    if properties.receive_maximum == Some(0) || properties.max_packet_size == Some(0) {
        return Err(Unfit::Refused(Code::ProtocolError));
    }
    let assigned = connect.client_id.is_empty();
    let client: Arc<str> = match assigned {
        // 3.1.1 allows it for clean sessions only.
        true if version == Version::V3 && !connect.clean_session => {
            return Err(Unfit::Refused(Code::ClientIdentifierNotValid));
        }
        true => format!("auto-{}", Alphanumeric.sample_string(&mut rand::rng(), 16)).into(),
        false if !proper(&connect.client_id) => {
            return Err(Unfit::Refused(Code::ClientIdentifierNotValid));
        }
        false => connect.client_id.as_str().into(),
    };
    let user = login.as_ref().map(|login| login.username.as_str()).filter(|user| !user.is_empty());
    let password = login.as_ref().map(|login| login.password.as_bytes());
    let rights = log_in(gate, &client, user, password, peer).await?;
    let will = match will {
        None => None,
        Some((will, properties)) => match Will::new(will, properties) {
            None => return Err(Unfit::Refused(Code::TopicNameInvalid)),
            Some(will) if !rights.may_publish(will.topic()) => {
                return Err(Unfit::Refused(Code::NotAuthorized));
            }
            will => will,
        },
    };
    let counted = Counted::new(gate).ok_or(Unfit::Refused(Code::ServiceUnavailable))?;
    let longest = u32::try_from(gate.settings.session_keep.as_secs()).unwrap_or(u32::MAX);
    let asked = match version {
        Version::V3 if connect.clean_session => 0,
        Version::V3 => longest,
        Version::V5 => properties.session_expiry_interval.unwrap_or(0),
    };
    let terms = Terms {
        version,
        user: user.map(Arc::from),
        client,
        peer,
        rights,
        clean: connect.clean_session,
        keep_alive: connect.keep_alive,
        expiry: asked.min(longest),
        expiry_cut: asked > longest,
        receive_max: properties.receive_maximum.unwrap_or(u16::MAX),
        packet_max: properties.max_packet_size.map_or(PACKET_MAX, |most| most as usize),
        will,
        assigned,
    };
    Ok((terms, counted))
}

async fn log_in(
    gate: &Gate,
    client: &str,
    user: Option<&str>,
    password: Option<&[u8]>,
    peer: IpAddr,
) -> Result<Arc<Rights>, Unfit> {
    if !gate.attempts.allowed(peer, user) {
        return Err(Unfit::Refused(Code::ConnectionRateExceeded));
    }
    let login = gate.access.login(client, user, password, peer);
    let refusal = match timeout(gate.settings.login_timeout, login).await {
        Ok(Ok(rights)) => return Ok(rights),
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::Unavailable,
    };
    if matches!(refusal, Refusal::Credentials | Refusal::NotAuthorized) {
        sleep(gate.attempts.failed(peer, user)).await;
    }
    Err(Unfit::Login(refusal))
}

/// Answers a CONNECT that is refused. The connection is closed anyway, so it does not matter whether it arrives.
async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, version: Version, code: Code) {
    let mut write = BytesMut::new();
    version.connack(code, false, None, &mut write);
    let answer = async {
        stream.write_all(&write).await?;
        stream.shutdown().await
    };
    if !matches!(timeout(session::FAREWELL, answer).await, Ok(Ok(()))) {
        tracing::trace!("refusal not delivered");
    }
}

/// Client ids become levels of topics and lines of logs.
fn proper(id: &str) -> bool {
    id.len() <= CLIENT_MAX
        && !id.contains(['/', '+', '#', '$'])
        && !id.chars().any(char::is_control)
}
