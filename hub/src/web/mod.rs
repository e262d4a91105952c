//! The pages: what fails, who is away and everything about each check, over HTTPS and live.
//!
//! Everything is built on [`fletchck_agent::engine::Board`] for what is shown and on
//! [`fletchck_agent::engine::Handle`] for what is asked. [`router`] needs no socket; [`Server`] gives it one.
//!
//! **Invariant:** no `GET` changes anything, and no answer waits for a probe.

mod alerts;
mod assets;
mod check;
pub mod control;
mod events;
mod headers;
mod health;
mod login;
mod overview;
mod page;
mod push;
mod serve;
pub mod session;
mod state;
mod status;
mod throttle;
mod user;
mod views;

#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::{from_fn, map_response},
    response::{Redirect, Response},
    routing::{any, get, post},
};
use tower_http::{
    CompressionLevel, catch_panic::CatchPanicLayer, compression::CompressionLayer,
    timeout::TimeoutLayer,
};

pub use serve::{Listen, ServeError, Server};
pub use state::{Settings, WebState};

/// Largest form that is read, in bytes.
const FORM_MAX: usize = 16 * 1024;

/// How long a request may take until its answer begins. A login waits for those before it, a second each at most.
const TIMEOUT: Duration = Duration::from_secs(30);

const _: () = assert!(fletchck_agent::delivery::TRIAL.as_secs() + 5 <= TIMEOUT.as_secs());

/// All pages of a site.
pub fn router(state: WebState) -> Router {
    Router::new()
        .route("/", get(overview::get))
        // Where the original has its list.
        .route("/checks", get(|| async { Redirect::to("/") }))
        .route("/check", get(check::by_name))
        .route("/check/{name}", get(check::get))
        .route("/run", post(check::run))
        .route("/delete", post(check::delete))
        .route("/alerts", get(alerts::page::get))
        .route("/ack", post(alerts::orders::acknowledge))
        .route("/unack", post(alerts::orders::take_back))
        .route("/silence", post(alerts::orders::silence))
        .route("/silence/end", post(alerts::orders::end_silence))
        .route("/action/test", post(alerts::orders::test))
        .route("/deliveries/again", post(alerts::orders::again))
        .route("/deliveries/now", post(alerts::orders::now))
        .route("/deliveries/forget", post(alerts::orders::forget))
        .route("/events", get(events::get))
        .route("/status", get(status::get))
        .route("/healthz", get(health::get))
        .route("/push/{token}", any(push::done))
        .route("/push/{token}/{signal}", any(push::signal))
        .route("/login", get(login::form).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/static/{hash}/{name}", get(assets::get))
        .fallback(not_found)
        .method_not_allowed_fallback(not_possible)
        .with_state(state)
        // From the inside to the outside.
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(from_fn(headers::same_site_only))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .layer(CatchPanicLayer::custom(|_| {
            page::error(StatusCode::INTERNAL_SERVER_ERROR, "The page failed. The log says where.")
        }))
        .layer(map_response(headers::dress))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(from_fn(headers::add))
}

async fn not_found() -> Response {
    page::error(
        StatusCode::NOT_FOUND,
        "There is no such page here. The overview has links to all there are.",
    )
}

async fn not_possible() -> Response {
    page::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address cannot be asked in this way. Start from the overview.",
    )
}
