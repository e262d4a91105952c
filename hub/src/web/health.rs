//! `/healthz`: whether fletchck itself is alive, for a monitor that watches it.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::WebState;

/// `GET /healthz`. Needs no login and tells nothing but this one thing.
pub(super) async fn get(State(state): State<WebState>) -> Response {
    if state.engine().alive() {
        Json(json!({ "status": "ok" })).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "stopped" }))).into_response()
    }
}
