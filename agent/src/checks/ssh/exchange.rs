//! The key exchange of SSH, with everything that still occurs in the field, old devices included. What is old comes last.

use std::{borrow::Cow, io, net::TcpStream as StdStream, sync::Arc};

use parking_lot::Mutex;
use russh::{
    AlgorithmKind, Disconnect, Error, Preferred, SshId, cipher,
    client::{self, Config, DisconnectReason, GexParams},
    compression, kex,
    keys::{Algorithm, PublicKey, PublicKeyOrCertificate},
    mac,
};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::greeting::{Greeting, Heard, Start};
use crate::checks::net::{LineError, Steps, TalkError, io_words, told};

/// Ways to agree on keys.
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G14_SHA256,
    kex::DH_G15_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
    kex::DH_G1_SHA1,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];

/// How a key exchange ended that did not fail.
#[derive(Debug)]
pub(super) enum Exchanged {
    /// The server proved that it has this key.
    Key(PublicKey),
    /// It has none of these types, only those of this list.
    NoCommonKey(String),
}

/// What a server shows, and says when it ends the connection.
#[derive(Debug, Default)]
struct Shown {
    key: Option<PublicKey>,
    farewell: Option<String>,
}

/// The client's side of a session that nobody logs in to.
struct Client(Arc<Mutex<Shown>>);

impl client::Handler for Client {
    type Error = Error;

    /// Any key is taken here: it is judged once the exchange is complete.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Error> {
        self.0.lock().key = Some(key.public_key());
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Error>) -> Result<(), Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.0.lock().farewell = Some(info.message);
                Ok(())
            }
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// Exchanges keys with a server that has a host key of one of these types, and says goodbye; the steps `greeting` and
/// `key exchange`.
///
/// # Errors
/// It does not greet as SSH servers do, the connection ends, or nothing else is common to both.
pub(super) async fn exchange(
    stream: TcpStream,
    kinds: &[Algorithm],
    steps: &mut Steps,
) -> Result<Exchanged, TalkError> {
    steps.begin("greeting");
    let start = Arc::new(Start::default());
    let over = CancellationToken::new();
    // Whoever waits no longer takes the session with him.
    let _over = over.clone().drop_guard();
    let heard = Arc::clone(&start);
    let stream = stream.into_std().map_err(LineError::Broken)?;
    let shown = Arc::new(Mutex::new(Shown::default()));
    let config = Arc::new(config(kinds)?);
    let client = Client(Arc::clone(&shown));
    let session = spawn_blocking(move || apart(stream, config, client, heard, over));
    let mut session = std::pin::pin!(session);
    let ended = tokio::select! {
        biased;
        () = start.complete() => {
            greeted(&start.so_far(), steps)?;
            session.await
        }
        ended = &mut session => ended,
    };
    let ended = ended.unwrap_or_else(|error| Err(io::Error::other(error).into()));
    let (key, farewell) = {
        let mut shown = shown.lock();
        (shown.key.take(), shown.farewell.take())
    };
    match (ended, key) {
        (Ok(()), Some(key)) => {
            steps.note(format!("* host key {}", super::hostkey::words(&key)));
            Ok(Exchanged::Key(key))
        }
        (Ok(()), None) => Err(TalkError::Wrong("it showed no host key".into())),
        (Err(Error::NoCommonAlgo { kind: AlgorithmKind::Key, theirs, .. }), _) => {
            Ok(Exchanged::NoCommonKey(theirs.join(", ")))
        }
        (Err(error), _) => {
            Err(TalkError::Wrong(wrong(&error, &start.so_far(), farewell.as_deref())))
        }
    }
}

/// The session on a thread of its own: with large groups, which the server chooses, it computes for seconds on a small
/// machine, and no other check is to wait for that.
fn apart(
    stream: StdStream,
    config: Arc<Config>,
    client: Client,
    start: Arc<Start>,
    over: CancellationToken,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stream = Heard::new(TcpStream::from_std(stream)?, start, over);
        let session = client::connect_stream(config, stream, client).await?;
        // A server that does not hear it sees the connection end.
        _ = session.disconnect(Disconnect::ByApplication, "", "").await;
        _ = session.await;
        Ok(())
    })
}

fn greeted(greeting: &Greeting, steps: &mut Steps) -> Result<(), TalkError> {
    for line in &greeting.lines {
        steps.got(line);
    }
    if !greeting.is_version_2() {
        let line = greeting.lines.last().map(String::as_str).unwrap_or_default();
        let text = format!("wanted version 2 of SSH, it greets with `{}`", told(line));
        return Err(TalkError::Wrong(text));
    }
    steps.begin("key exchange");
    Ok(())
}

fn config(kinds: &[Algorithm]) -> Result<Config, TalkError> {
    let name = concat!("SSH-2.0-fletchck_", env!("CARGO_PKG_VERSION"));
    // Groups of 8192 bits, which are usual elsewhere, cost a small machine seconds.
    let gex = GexParams::new(2048, 3072, 8192)
        .map_err(|error| TalkError::Wrong(format!("the key exchange could not begin: {error}")))?;
    Ok(Config {
        client_id: SshId::Standard(Cow::Borrowed(name)),
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: Cow::Owned(kinds.to_vec()),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        gex,
        ..Config::default()
    })
}

/// Why a key exchange failed, as a clause that goes on from the service.
fn wrong(error: &Error, greeting: &Greeting, farewell: Option<&str>) -> String {
    if let Some(farewell) = farewell {
        return format!("it ended the key exchange and said `{}`", told(farewell));
    }
    let said = match greeting.lines.first() {
        Some(line) if !greeting.complete => format!(", it said `{}`", told(line)),
        _ => String::new(),
    };
    match error {
        Error::IO(error) if error.kind() == io::ErrorKind::FileTooLarge => error.to_string(),
        Error::Version => format!("no SSH server greets like this{said}"),
        _ if closed(error) && greeting.complete => {
            "it closed the connection before the key exchange ended".into()
        }
        _ if closed(error) => {
            format!("it closed the connection before its greeting was complete{said}")
        }
        Error::IO(error) => io_words(error),
        Error::NoCommonAlgo { kind, theirs, .. } => {
            let what = match kind {
                AlgorithmKind::Kex => "way to exchange keys",
                AlgorithmKind::Key => "type of host key",
                AlgorithmKind::Cipher => "cipher",
                AlgorithmKind::Compression => "compression",
                AlgorithmKind::Mac => "way to sign packets",
            };
            format!("it has no {what} that is known here, only {}", theirs.join(", "))
        }
        Error::WrongServerSig | Error::Signature(_) => {
            "it could not prove that it holds the host key it shows: its signature is wrong".into()
        }
        Error::KexInit
        | Error::Kex
        | Error::Inconsistent
        | Error::IndexOutOfBounds
        | Error::PacketSize(_)
        | Error::SshEncoding(_) => "what it sends is no key exchange".into(),
        _ => format!("the key exchange failed: {}", error.to_string().to_lowercase()),
    }
}

fn closed(error: &Error) -> bool {
    match error {
        Error::Disconnect | Error::HUP => true,
        Error::IO(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        _ => false,
    }
}
