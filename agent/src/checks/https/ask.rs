//! One request, and what can go wrong with it.

use std::{error::Error as _, io, pin::pin};

use bytes::Bytes;
use fletchck_shared::Outcome;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Https, answer::Answer};
use crate::checks::{
    Look,
    net::{Certificate, Clock, NetError, Steps, connect, handshake, io_words},
};

/// Most bytes that are read of an answer's head. Its body is not read at all.
const HEAD_BYTES: usize = 64 * 1024;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("{}", http_words(.0))]
    Http(#[from] hyper::Error),
}

impl AskError {
    pub(super) fn outcome(&self, https: &Https) -> Outcome {
        let outcome = Outcome::fail(format!("{}: {self}", https.url()))
            .log([format!("{}: {self}", https.target)]);
        match self {
            Self::Net(error) if error.soft_fail().is_some() => {
                outcome.soft_fail(error.soft_fail().unwrap_or_default())
            }
            _ => outcome,
        }
    }
}

impl Https {
    /// Looks up, connects, speaks TLS and asks.
    pub(super) async fn ask(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Answer, AskError> {
        steps.begin("dns");
        let addresses = self.target.addresses(self.port()).await.map_err(NetError::from)?;
        steps.begin("connect");
        let stream = connect(&addresses).await.map_err(NetError::from)?;
        let Some(trust) = &self.tls else {
            steps.begin("answer");
            return self.request(stream, None).await;
        };
        steps.begin("tls");
        let clock = Clock { now: look.now, zone: look.zone };
        let (stream, certificate) =
            handshake(stream, &self.target, trust, clock).await.map_err(NetError::from)?;
        steps.begin("answer");
        self.request(stream, Some(certificate)).await
    }

    /// Asks and waits for the head of the answer. Nothing of it outlives the call, however it ends.
    async fn request(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        certificate: Option<Certificate>,
    ) -> Result<Answer, AskError> {
        let (mut sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let request = Request::builder()
            .method(self.method.clone())
            .uri(self.path.clone())
            .header(header::HOST, self.authority())
            .header(header::USER_AGENT, concat!("fletchck/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, "*/*")
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .expect("method, path and host were found good when they were read");
        let mut answer = pin!(sender.send_request(request));
        let response = tokio::select! {
            response = &mut answer => response?,
            // What ended the connection reaches the request too.
            _ = connection => answer.await?,
        };
        Ok(Answer::new(response.into_parts().0, certificate))
    }
}

fn http_words(error: &hyper::Error) -> String {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    // hyper has no other way to tell a head that is too large from one that is no HTTP.
    if error.is_parse() && error.to_string().contains("too large") {
        "its answer has more than 64 KiB or 100 lines of header".into()
    } else if error.is_parse() {
        "what it answers is no HTTP".into()
    } else if error.is_incomplete_message() {
        "it closed the connection before its answer was complete".into()
    } else if let Some(error) = source {
        format!("{} before its answer was complete", io_words(error))
    } else {
        format!("no answer: {error}")
    }
}
