//! Who asks: the session behind a request, and the secret its forms carry.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tracing::error;

use super::{
    WebState, page,
    session::{SessionError, SessionId, Token},
};

/// Name of the cookie. The prefix has browsers refuse it from another host, another path or without TLS.
pub(super) const COOKIE: &str = "__Host-fletchck";

/// A user who is logged in. As an argument of a handler it keeps everyone else out.
pub(super) struct User {
    pub(super) name: String,
    pub(super) id: SessionId,
    form_secret: [u8; 32],
    /// Whether it is the command line of this machine, whom the socket lets in and no browser can be made to speak for.
    pub(super) local: bool,
}

/// What the socket of the command line adds to each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl User {
    /// The token for the forms of one page. It reads differently each time, so that compressed pages tell nothing of it.
    pub(super) fn form_token(&self) -> String {
        let mask: [u8; 32] = rand::random();
        let masked = xor(&mask, &self.form_secret);
        URL_SAFE_NO_PAD.encode([mask, masked].concat())
    }

    /// Whether a form came from a page of this session.
    ///
    /// # Errors
    /// The page that says what to do.
    pub(super) fn permit(&self, token: &str) -> Result<(), Box<Response>> {
        if self.local {
            return Ok(());
        }
        let given = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| {
            let (mask, masked) = bytes.split_at_checked(32)?;
            Some(xor(mask.try_into().ok()?, masked.try_into().ok()?))
        });
        // Every byte is compared, whichever differs first.
        let same = given.is_some_and(|given| {
            xor(&given, &self.form_secret).iter().fold(0, |found, byte| found | byte) == 0
        });
        let sentence = "This form is from another login, so nothing was done. Go back, reload the page and try again.";
        if same { Ok(()) } else { Err(Box::new(page::error(StatusCode::FORBIDDEN, sentence))) }
    }
}

impl FromRequestParts<WebState> for User {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Response> {
        if parts.extensions.get::<Local>().is_some() {
            let name = "the command line".into();
            return Ok(Self { name, id: SessionId([0; 32]), form_secret: [0; 32], local: true });
        }
        match find(&parts.headers, state).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) => Err(to_login(parts)),
            Err(error) => Err(store_failed(&error)),
        }
    }
}

/// The session that the request's cookie names.
pub(super) async fn find(
    headers: &HeaderMap,
    state: &WebState,
) -> Result<Option<User>, SessionError> {
    let Some(token) = cookie(headers) else { return Ok(None) };
    let id = token.id();
    let settings = state.settings();
    let record = state.book().find(id, state.now(), |user| settings.hash(user)).await?;
    let form_secret = token.form_secret();
    Ok(record.map(|record| User { name: record.user, id, form_secret, local: false }))
}

/// Says and logs that logins cannot be read.
pub(super) fn store_failed(error: &SessionError) -> Response {
    error!(error = error as &dyn std::error::Error, "cannot read or keep a login: {error}");
    let sentence = "The store of logins does not answer. Try again in a minute; the log of fletchck says what is wrong.";
    page::error(StatusCode::SERVICE_UNAVAILABLE, sentence)
}

fn cookie(headers: &HeaderMap) -> Option<Token> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .and_then(|(_, value)| Token::read(value))
}

/// People are led to the login and back; programs are told.
fn to_login(parts: &Parts) -> Response {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if parts.method.is_safe() && accept.is_some_and(|accept| accept.contains("text/html")) {
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let query =
            if here == "/" { String::new() } else { format!("?next={}", page::escape(here)) };
        return Redirect::to(&format!("/login{query}")).into_response();
    }
    let sentence = "You are not logged in, or no longer. Log in at /login and try again.";
    page::error(StatusCode::UNAUTHORIZED, sentence)
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|n| a[n] ^ b[n])
}
