//! `/check/{name}`: everything about one check, and what can be done with it.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State, rejection::FormRejection},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use fletchck_agent::engine::{CheckView, Refused, Request};
use fletchck_shared::{CheckName, time};
use serde::Deserialize;
use tracing::info;

use super::{
    WebState,
    page::{self, Frame, check_address},
    user::User,
    views::{self, sentence},
};

/// How long a page waits for the engine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Name of a check that cannot stand in a path.
#[derive(Deserialize)]
pub(super) struct ByName {
    name: String,
}

/// The forms of the buttons.
#[derive(Deserialize)]
pub(super) struct Order {
    token: String,
    check: String,
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPage<'a> {
    frame: Frame,
    view: &'a CheckView,
    stamp: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "detail.html")]
struct Detail<'a> {
    view: &'a CheckView,
    word: &'a str,
    kind: String,
    sentence: &'a str,
    trigger: String,
    times: Vec<(&'a str, String)>,
    phases: Vec<Bar>,
    total: String,
    depends: Vec<(String, &'a str)>,
    members: Vec<(String, &'a str)>,
    actions: Vec<&'a str>,
    may_run: bool,
}

/// One phase of a run, drawn in proportion to the whole.
struct Bar {
    name: String,
    took: String,
    /// Start and width, of 1000.
    from: u32,
    width: u32,
    color: usize,
}

/// `GET /check/{name}`.
pub(super) async fn get(
    State(state): State<WebState>,
    user: User,
    Path(name): Path<String>,
) -> Response {
    show(&state, &user, &name)
}

/// `GET /check?name=…`.
pub(super) async fn by_name(
    State(state): State<WebState>,
    user: User,
    Query(ByName { name }): Query<ByName>,
) -> Response {
    show(&state, &user, &name)
}

/// `POST /run`.
pub(super) async fn run(
    State(state): State<WebState>,
    user: User,
    form: Result<Form<Order>, FormRejection>,
) -> Response {
    let name = match ordered(&user, form) {
        Ok(name) => name,
        Err(refused) => return *refused,
    };
    let address = check_address(name.as_str());
    info!(user = ?user.name, check.name = %name, "run asked for on the page");
    ask(&state, Request::Run(name), &address).await
}

/// `POST /delete`.
pub(super) async fn delete(
    State(state): State<WebState>,
    user: User,
    form: Result<Form<Order>, FormRejection>,
) -> Response {
    let name = match ordered(&user, form) {
        Ok(name) => name,
        Err(refused) => return *refused,
    };
    info!(user = ?user.name, check.name = %name, "check deleted on the page");
    ask(&state, Request::Delete(name), "/").await
}

/// The part of the page that changes with the check.
pub(super) fn detail(view: &CheckView) -> String {
    let people = |at: DateTime<Utc>| time::people(at, view.zone);
    let state = &view.state;
    let times = [
        ("Last run", state.last_check),
        ("Last heard", state.last_update),
        ("Last failed", state.last_fail),
        ("Last recovered", state.last_pass),
        ("Next run", view.next),
    ];
    let link = |name: &'_ str| check_address(name);
    let total =
        state.phases.iter().map(|phase| phase.took).fold(Duration::ZERO, Duration::saturating_add);
    let kind = match &view.sub_kind {
        Some(kind) => format!("{kind} ({})", view.kind),
        None => view.kind.clone(),
    };
    views::render(&Detail {
        view,
        word: state.word(),
        kind,
        sentence: sentence(view),
        trigger: view
            .trigger
            .as_ref()
            .map_or("on request, or in a sequence".into(), |t| t.to_string()),
        times: times.iter().filter_map(|(name, at)| at.map(|at| (*name, people(at)))).collect(),
        phases: bars(view, total),
        total: took(total),
        depends: view.depends.iter().map(|name| (link(name.as_str()), name.as_str())).collect(),
        members: view.members.iter().map(|name| (link(name.as_str()), name.as_str())).collect(),
        actions: view.actions.iter().map(|name| name.as_str()).collect(),
        may_run: view.agent.is_none(),
    })
}

fn show(state: &WebState, user: &User, name: &str) -> Response {
    // The stamp first: what changes in between is then sent once more, and not missed.
    let stamp = state.stamp();
    let Some(view) = find(state, name) else {
        let sentence = "There is no check of this name. It may have been renamed or deleted; the overview has all there are.";
        return page::error(StatusCode::NOT_FOUND, sentence);
    };
    let frame = Frame::of(state, user);
    page::show(&CheckPage { frame, view: &view, stamp, detail: detail(&view) })
}

fn find(state: &WebState, name: &str) -> Option<Arc<CheckView>> {
    state.board().check(name)
}

fn ordered(
    user: &User,
    form: Result<Form<Order>, FormRejection>,
) -> Result<CheckName, Box<Response>> {
    let broken = || {
        let sentence = "The form was not complete. Go back, reload the page and try again.";
        Box::new(page::error(StatusCode::BAD_REQUEST, sentence))
    };
    let Form(Order { token, check }) = form.map_err(|_| broken())?;
    user.permit(&token)?;
    CheckName::try_from(check).map_err(|_| broken())
}

async fn ask(state: &WebState, request: Request, then: &str) -> Response {
    match tokio::time::timeout(PATIENCE, state.engine().ask(request)).await {
        Ok(Ok(())) => Redirect::to(then).into_response(),
        Ok(Err(Refused::NoSuchCheck(name))) => {
            page::error(StatusCode::NOT_FOUND, &format!("There is no check `{name}` any longer."))
        }
        Ok(Err(refused @ Refused::NotHere(_))) => {
            page::error(StatusCode::CONFLICT, &format!("Not done: {refused}."))
        }
        Ok(Err(refused)) => page::error(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!(
                "Not done: {refused}. Try again; if it stays so, the log of fletchck says more."
            ),
        ),
        Err(_) => page::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "The engine is too busy to answer. What you asked for may still be done.",
        ),
    }
}

fn bars(view: &CheckView, total: Duration) -> Vec<Bar> {
    let share = |part: Duration| {
        let share = part.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        (share * 1000.0).round() as u32
    };
    let mut from = Duration::ZERO;
    let bars = view.state.phases.iter().enumerate().map(|(n, phase)| {
        let start = share(from);
        from = from.saturating_add(phase.took);
        Bar {
            name: phase.name.clone(),
            took: took(phase.took),
            from: start,
            width: share(from).saturating_sub(start).max(2),
            color: n % 6,
        }
    });
    bars.collect()
}

/// A length of time as people read it.
fn took(length: Duration) -> String {
    match length.as_secs_f64() {
        s if s >= 10.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.1} s"),
        s if s >= 0.01 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}
