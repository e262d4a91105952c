//! One request, its answer, and what can go wrong with them.

use std::{error::Error as _, future::Future, io, pin::pin};

use http::{Response, Version};
use http_body_util::BodyExt as _;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{AlertDescription, Error as RustlsError};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Https, answer::Answer, expect::BODY_BYTES, place::Place, request::Ask, secret};
use crate::checks::{
    Look,
    net::{Certificate, NetError, Steps, TalkError, io_words},
};

/// Most bytes that are read of an answer's head.
pub(in crate::checks) const HEAD_BYTES: usize = 64 * 1024;

/// Most that the other side may send ahead of what is read, in HTTP/2.
const WINDOW: u32 = 64 * 1024;

impl Https {
    /// Resolves, connects, speaks TLS if it must, and asks. The steps are the caller's, so that they outlive this call,
    /// however it ends.
    pub(super) async fn ask(
        &self,
        place: &Place,
        ask: &Ask,
        look: &Look<'_>,
        steps: &mut Steps,
    ) -> Result<Answer, TalkError> {
        let stream = place.reach.connect(steps).await?;
        let Some(tls) = &place.tls else {
            let version = self.versions.without_tls();
            return self.exchange(stream, version, None, place, ask, steps).await;
        };
        let (stream, certificate) = tls
            .handshake(stream, &place.reach.target, look, steps)
            .await
            .map_err(NetError::from)?;
        let version = self.versions.agreed(stream.get_ref().1.alpn_protocol());
        let version = version.map_err(TalkError::Wrong)?;
        self.exchange(stream, version, Some(certificate), place, ask, steps).await
    }

    /// Asks on a connection, and takes the answer.
    pub(super) async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        version: Version,
        certificate: Option<Certificate>,
        place: &Place,
        ask: &Ask,
        steps: &mut Steps,
    ) -> Result<Answer, TalkError> {
        steps.begin("first byte");
        let request = ask
            .request(place, version, steps)
            .map_err(|error| TalkError::Wrong(format!("it cannot be asked so: {error}")))?;
        let stream = TokioIo::new(stream);
        let mut answer = if version == Version::HTTP_2 {
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_header_list_size(HEAD_BYTES as u32)
                .handshake(stream)
                .await
                .map_err(|error| wrong(&error))?;
            let sent = async move { self.receive(sender.send_request(request), steps).await };
            beside(connection, sent).await?
        } else {
            let (mut sender, connection) = http1::Builder::new()
                .title_case_headers(true)
                .max_buf_size(HEAD_BYTES)
                .handshake(stream)
                .await
                .map_err(|error| wrong(&error))?;
            let sent = async move { self.receive(sender.send_request(request), steps).await };
            beside(connection, sent).await?
        };
        answer.certificate = certificate;
        Ok(answer)
    }

    /// Reads the head of the answer, and as much of its body as somebody wants to look at.
    async fn receive(
        &self,
        response: impl Future<Output = hyper::Result<Response<Incoming>>>,
        steps: &mut Steps,
    ) -> Result<Answer, TalkError> {
        let response = response.await.map_err(|error| wrong(&error))?;
        steps.got(&format!("{:?} {}", response.version(), response.status()));
        secret::note(response.headers(), steps);
        let (head, mut body) = response.into_parts();
        let mut answer = Answer::new(head);
        if !self.expect.wants_body() || (self.redirects > 0 && answer.leads().is_some()) {
            return Ok(answer);
        }
        steps.begin("body");
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| wrong(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            let (has, room) = (answer.body.len(), BODY_BYTES - answer.body.len());
            let some = data.len().min(room);
            if answer.body.capacity() < has + some {
                // Twice as much as before, as usual, but no more than may come.
                let wanted = (2 * has).clamp(has + some, BODY_BYTES);
                answer.body.reserve_exact(wanted - has);
            }
            answer.body.extend_from_slice(&data[..some]);
            if data.len() > room {
                answer.cut = true;
                break;
            }
        }
        steps.note(format!("* {} bytes of body", answer.body.len()));
        Ok(answer)
    }
}

/// Does this while the connection under it lives. What ended the connection reaches it too.
pub(in crate::checks) async fn beside<T>(
    connection: impl Future,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => done,
        _ = connection => work.await,
    }
}

/// What an error is to whoever asked.
pub(in crate::checks) fn wrong(error: &hyper::Error) -> TalkError {
    TalkError::Wrong(http_words(error))
}

/// What is said of an answer that is none.
pub(super) const NO_HTTP: &str = "what it answers is no HTTP";

/// What is said of an answer that breaks off.
pub(super) const BROKEN_OFF: &str = "it closed the connection before its answer was complete";

fn http_words(error: &hyper::Error) -> String {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    // hyper has no other way to tell a head that is too large from one that is no HTTP.
    if error.is_parse() && error.to_string().contains("too large") {
        "its answer has more than 64 KiB or 100 lines of header".into()
    } else if error.is_parse() {
        NO_HTTP.into()
    } else if error.is_incomplete_message() {
        BROKEN_OFF.into()
    } else if let Some(error) = source {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) {
            Some(RustlsError::AlertReceived(AlertDescription::CertificateRequired)) => {
                "it asks for a client certificate: give `clientCert`".into()
            }
            Some(RustlsError::AlertReceived(alert)) => {
                format!("it ended the TLS connection ({alert:?})")
            }
            _ => format!("{} before its answer was complete", io_words(error)),
        }
    } else {
        format!("no answer: {}", causes(error))
    }
}

/// An error with what lies behind it.
fn causes(error: &hyper::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
