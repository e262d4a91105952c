//! `/push/TOKEN`: where jobs report that they ran. The token is the permission; nobody is logged in.

use axum::{
    body::Body,
    extract::{Path, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use fletchck_agent::{
    checks::push::{PushKey, Signal},
    engine::{Ping, Refused, Request},
};
use futures_util::StreamExt as _;

use super::WebState;

/// Most bytes that are read of what a job says; the rest is left.
const SAID: usize = 8 * 1024;

/// `/push/TOKEN`.
pub(super) async fn done(
    state: State<WebState>,
    Path(token): Path<String>,
    method: Method,
    body: Body,
) -> Response {
    signal(state, Path((token, String::new())), method, body).await
}

/// `/push/TOKEN/SIGNAL`.
pub(super) async fn signal(
    State(state): State<WebState>,
    Path((token, signal)): Path<(String, String)>,
    method: Method,
    body: Body,
) -> Response {
    if ![Method::GET, Method::HEAD, Method::POST, Method::PUT].contains(&method) {
        return (StatusCode::METHOD_NOT_ALLOWED, "report by GET or POST\n").into_response();
    }
    let Some(signal) = Signal::parse(&signal) else {
        let right = "report nothing behind the token, or start, success, fail, log, or an exit status from 0 to 255\n";
        return (StatusCode::BAD_REQUEST, right).into_response();
    };
    let Some(key) = PushKey::of(&token) else { return unknown() };
    let said = said(body).await;
    match state.engine().ask(Request::Ping(Ping { key, signal, said, at: state.now() })).await {
        Ok(()) => "ok\n".into_response(),
        Err(Refused::NoSuchPush) => unknown(),
        Err(refused) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{refused}, report again\n")).into_response()
        }
    }
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, format!("{}\n", Refused::NoSuchPush)).into_response()
}

/// What a job says, as far as it is read. A body that breaks off says what it said until then: that the job reports
/// counts for more.
async fn said(body: Body) -> String {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    while let Some(Ok(data)) = stream.next().await {
        let room = SAID - bytes.len();
        bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() >= room {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
