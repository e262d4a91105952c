//! Logging in and out.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, FromRequestParts, Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use fletchck_shared::Secret;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    WebState,
    page::{self, Frame},
    session,
    user::{self, COOKIE, User},
};
use crate::password::{self, PASSWORD_MAX, PasswordError};

/// Longest user name that is looked at, in bytes.
const USER_MAX: usize = 256;

/// Checked on a site without any user; nobody knows a password for it.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Xlz224ylVNxwxSF2AtMAIA$1F5loKbfZ70hTe3nAVPFUWMtiptHkOU8g4zFT0muaO8";

/// Where to go after the login.
#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// The form.
#[derive(Deserialize)]
pub(super) struct Login {
    username: String,
    password: Secret,
    #[serde(default)]
    next: String,
}

/// The form of the button that ends a session.
#[derive(Deserialize)]
pub(super) struct Logout {
    token: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    frame: Frame,
    username: &'a str,
    next: &'a str,
    problem: Option<&'a str>,
}

/// `GET /login`.
pub(super) async fn form(
    State(state): State<WebState>,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Response {
    match user::find(&headers, &state).await {
        Ok(Some(_)) => Redirect::to(local(&next)).into_response(),
        Ok(None) => show(&state, StatusCode::OK, "", &next, None),
        Err(error) => user::store_failed(&error),
    }
}

/// `POST /login`.
pub(super) async fn enter(
    State(state): State<WebState>,
    peer: Peer,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let Ok(Form(Login { username, password, next })) = form else {
        let sentence = "Enter a user name and a password.";
        return show(&state, StatusCode::BAD_REQUEST, "", "", Some(sentence));
    };
    if username.len() > USER_MAX || password.reveal().len() > PASSWORD_MAX {
        let sentence = format!(
            "A user name has at most {USER_MAX} bytes and a password {PASSWORD_MAX}. Enter shorter ones."
        );
        return show(&state, StatusCode::BAD_REQUEST, "", &next, Some(&sentence));
    }
    if let Err(wait) = state.throttle().take(&username, peer.0, Instant::now()) {
        let seconds = wait.as_secs() + 1;
        warn!(peer = %peer.0, user = ?username, "too many tries to log in");
        let sentence = format!("Too many tries. Wait {seconds} seconds, then try again.");
        let page = show(&state, StatusCode::TOO_MANY_REQUESTS, &username, &next, Some(&sentence));
        return retry_after(page, seconds);
    }
    let settings = state.settings();
    let known = settings.hash(&username);
    // An unknown name takes as long as a known one. Without a hash for that purpose another user's does, for nothing.
    let dummy = settings.users.get("").or_else(|| settings.users.values().next()).cloned();
    let hash = known.clone().or(dummy).unwrap_or_else(|| Secret::new(NOBODY));
    let right = match password::verify(&password, &hash).await {
        Ok(right) => right,
        Err(e @ PasswordError::Busy) => {
            let sentence = "Too many people are logging in just now. Try again in a few seconds.";
            warn!(peer = %peer.0, "{e}");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return retry_after(show(&state, status, &username, &next, Some(sentence)), 5);
        }
        Err(e) => {
            // The user is told the same as after a wrong password: whether a name exists is nobody's business.
            error!(user = ?username, "cannot check a password: {e}");
            false
        }
    };
    let (true, Some(hash)) = (right, known) else {
        warn!(peer = %peer.0, user = ?username, "wrong user or password");
        let sentence = "Wrong user name or password. Check both and try again.";
        return show(&state, StatusCode::UNAUTHORIZED, &username, &next, Some(sentence));
    };
    match state.book().open(&username, &hash, state.now()).await {
        Ok(token) => {
            state.throttle().succeeded(&username, peer.0);
            info!(peer = %peer.0, user = ?username, "logged in");
            // As long as the session itself: a browser that is closed meanwhile stays logged in, as with the original.
            let lasts = session::LASTS.num_seconds();
            let cookie = format!("{COOKIE}={}; Max-Age={lasts}; {ATTRIBUTES}", token.reveal());
            with_cookie(Redirect::to(local(&next)).into_response(), &cookie)
        }
        Err(error) => user::store_failed(&error),
    }
}

/// `POST /logout`.
pub(super) async fn leave(
    State(state): State<WebState>,
    user: User,
    form: Result<Form<Logout>, FormRejection>,
) -> Response {
    let token = form.map(|Form(form)| form.token).unwrap_or_default();
    if let Err(refused) = user.permit(&token) {
        return *refused;
    }
    if let Err(error) = state.book().close(user.id).await {
        return user::store_failed(&error);
    }
    info!(user = ?user.name, "logged out");
    let mut response = Redirect::to("/login").into_response();
    let clear = HeaderName::from_static("clear-site-data");
    // Without "cache": the files in it are the same for everyone, and clearing it takes browsers seconds.
    response.headers_mut().insert(clear, HeaderValue::from_static("\"cookies\", \"storage\""));
    with_cookie(response, &format!("{COOKIE}=; Max-Age=0; {ATTRIBUTES}"))
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    match HeaderValue::from_str(cookie) {
        Ok(mut value) => {
            value.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, value);
            response
        }
        Err(e) => {
            error!("a cookie cannot be written: {e}");
            page::error(StatusCode::INTERNAL_SERVER_ERROR, "The login cannot be kept.")
        }
    }
}

fn show(
    state: &WebState,
    status: StatusCode,
    username: &str,
    next: &str,
    problem: Option<&str>,
) -> Response {
    let frame = Frame::without_user(state.settings().name.clone());
    let mut response = page::show(&LoginPage { frame, username, next: local(next), problem });
    if response.status().is_success() {
        *response.status_mut() = status;
    }
    response
}

fn retry_after(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The address to go to, if it is one of this site.
fn local(next: &str) -> &str {
    let inner = next.strip_prefix('/').unwrap_or("//");
    let other_site = inner.starts_with(['/', '\\']);
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && !other_site && next.len() < 2048 { next } else { "/" }
}

/// The address of the browser, or of the proxy before it. Without a socket, in tests, it is nobody's.
pub(super) struct Peer(IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_no_other_site() {
        for good in ["/", "/check/a%2Fb?x=1", "/status"] {
            assert_eq!(local(good), good);
        }
        let bad =
            ["", "//evil", "/\\evil", "https://evil", "evil", "/a b", "/a\nb", "/ä", "\\/evil"];
        for bad in bad {
            assert_eq!(local(bad), "/", "{bad}");
        }
    }
}
