//! One document of a web server, for checks that read it: its head, and as much of its body as they allow.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Look,
    https::{HEAD_BYTES, Place, beside, note, wrong},
    net::{NetError, Steps, TalkError, Tls},
};

/// Most redirects that are followed.
const REDIRECTS: usize = 5;

/// A document that is asked for.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// What the Host field says.
    pub(super) host: &'a str,
    /// Path and query.
    pub(super) path: &'a str,
    /// What the Accept field says.
    pub(super) accept: &'static str,
    /// Largest body, in bytes.
    pub(super) most: usize,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Asks for a document on a connection, with GET and HTTP/1.1; the step `first byte`.
///
/// # Errors
/// What comes is no HTTP, breaks off, or is larger than it may be.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    wanted: &Wanted<'_>,
    steps: &mut Steps,
) -> Result<Document, TalkError> {
    steps.begin("first byte");
    let request = request(wanted)
        .map_err(|error| TalkError::Wrong(format!("it cannot be asked so: {error}")))?;
    steps.sent(&format!("GET {} HTTP/1.1", wanted.path));
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| wrong(&error))?;
    let answer = async move {
        let response = sender.send_request(request).await.map_err(|error| wrong(&error))?;
        steps.got(&format!("{:?} {}", response.version(), response.status()));
        note(response.headers(), steps);
        let (head, mut rest) = response.into_parts();
        steps.begin("body");
        let mut body = Vec::new();
        while let Some(frame) = rest.frame().await {
            let frame = frame.map_err(|error| wrong(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if body.len() + data.len() > wanted.most {
                let most = wanted.most / 1024;
                return Err(TalkError::Wrong(format!("it sent more than {most} KiB")));
            }
            body.extend_from_slice(&data);
        }
        steps.note(format!("* {} bytes of body", body.len()));
        Ok(Document { status: head.status, headers: head.headers, body })
    };
    beside(connection, answer).await
}

/// Asks for a document, and follows where it leads; the steps `dns`, `connect`, `tls` and `first byte` of each server. Returns
/// where it was found as well. The `demands` hold for every server.
///
/// # Errors
/// A server cannot be reached, or what it answers is no document, or leads too far.
pub(super) async fn follow(
    from: &Place,
    demands: &Tls,
    accept: &'static str,
    most: usize,
    look: &Look<'_>,
    steps: &mut Steps,
) -> Result<(Document, Place), TalkError> {
    let mut place = from.clone();
    for _ in 0..=REDIRECTS {
        let (host, path) = (place.authority(), place.path.to_string());
        let wanted = Wanted { host: &host, path: &path, accept, most };
        let stream = place.reach.connect(steps).await?;
        let document = match &place.tls {
            None => get(stream, &wanted, steps).await?,
            Some(tls) => {
                let target = &place.reach.target;
                let (stream, _) =
                    tls.handshake(stream, target, look, steps).await.map_err(NetError::from)?;
                get(stream, &wanted, steps).await?
            }
        };
        let location = document.headers.get(header::LOCATION);
        let Some(location) = location.filter(|_| document.status.is_redirection()) else {
            return Ok((document, place));
        };
        place = place.redirected(location.as_bytes(), demands).map_err(TalkError::Wrong)?;
    }
    let url = place.url();
    Err(TalkError::Wrong(format!("it redirects more than {REDIRECTS} times, to {url}")))
}

fn request(wanted: &Wanted<'_>) -> Result<Request<Empty<Bytes>>, http::Error> {
    let agent = HeaderValue::from_static(concat!("fletchck/", env!("CARGO_PKG_VERSION")));
    Request::builder()
        .method(Method::GET)
        .uri(wanted.path)
        .header(header::HOST, wanted.host)
        .header(header::USER_AGENT, agent)
        .header(header::ACCEPT, wanted.accept)
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .body(Empty::new())
}
