//! `/check/{name}`: everything about one check, and what can be done with it.

use std::time::Duration;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State, rejection::FormRejection},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Utc};
use fletchck_agent::{
    checks::{push, remote},
    engine::{CheckView, Refused, Request},
};
use fletchck_shared::{CheckName, Severity, Tz, policy::Ack, time};
use serde::Deserialize;
use tracing::info;

use super::{
    WebState,
    alerts::page::waits,
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
    /// Why what there is to tell of it is not told yet.
    waits: Vec<String>,
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
    /// Whether a failure of it is only a warning to its owner.
    mild: bool,
    may_run: bool,
    /// Who has taken its failure on, in a sentence.
    ack: Option<String>,
    may_ack: bool,
    /// Whom its failure is told to, and since when.
    told: Vec<(String, String)>,
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
    show(&state, &user, &name).await
}

/// `GET /check?name=…`.
pub(super) async fn by_name(
    State(state): State<WebState>,
    user: User,
    Query(ByName { name }): Query<ByName>,
) -> Response {
    show(&state, &user, &name).await
}

/// `POST /run`.
pub(super) async fn run(
    State(state): State<WebState>,
    user: User,
    form: Result<Form<Order>, FormRejection>,
) -> Response {
    let here = |name: &CheckName| state.board().check(name.as_str()).is_none_or(|v| may_run(&v));
    carry_out(&state, &user, form, |name| {
        if !here(&name) {
            let why = "this check runs elsewhere, and is judged by what is heard of it";
            return Err(Refused::NotHere(why.into()));
        }
        Ok(("begun", check_address(name.as_str()), Request::Run(name)))
    })
    .await
}

/// `POST /delete`.
pub(super) async fn delete(
    State(state): State<WebState>,
    user: User,
    form: Result<Form<Order>, FormRejection>,
) -> Response {
    carry_out(&state, &user, form, |name| Ok(("deleted", "/".into(), Request::Delete(name)))).await
}

/// Whether this site can run a check when it is asked to: one that is only heard of runs elsewhere.
pub(super) fn may_run(view: &CheckView) -> bool {
    ![remote::KIND.name, push::KIND.name].contains(&view.kind.as_str())
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
        mild: view.grade == Severity::Warning,
        may_run: may_run(view),
        ack: state.alert.ack.as_ref().map(|ack| acknowledged(ack, view.zone)),
        may_ack: state.condition.failing() && state.alert.ack.is_none(),
        told: state
            .alert
            .told
            .iter()
            .map(|(action, told)| (action.to_string(), people(told.at)))
            .collect(),
    })
}

/// Who has taken a failure on, and for how long.
fn acknowledged(ack: &Ack, zone: Tz) -> String {
    let mut said = format!("{} has taken it on, {}", ack.by, time::people(ack.at, zone));
    if !ack.comment.is_empty() {
        said.push_str(&format!(": {}", ack.comment));
    }
    match ack.until {
        Some(until) => said.push_str(&format!(" (until {})", time::people(until, zone))),
        None if ack.sticky => said.push_str(" (until it is well)"),
        None => said.push_str(" (until it changes)"),
    }
    said
}

async fn show(state: &WebState, user: &User, name: &str) -> Response {
    // The stamp first: what changes in between is then sent once more, and not missed.
    let stamp = state.stamp();
    let Some(view) = state.board().check(name) else {
        let sentence = "There is no check of this name. It may have been renamed or deleted; the overview has all there are.";
        return page::error(StatusCode::NOT_FOUND, sentence);
    };
    let (frame, waits) = (Frame::of(state, user), waits(state, &view).await);
    page::show(&CheckPage { frame, view: &view, stamp, detail: detail(&view), waits })
}

/// Has the engine do what a form orders, and leads to where its effect is seen.
async fn carry_out(
    state: &WebState,
    user: &User,
    form: Result<Form<Order>, FormRejection>,
    order: impl FnOnce(CheckName) -> Result<(&'static str, String, Request), Refused>,
) -> Response {
    let name = match ordered(user, form) {
        Ok(name) => name,
        Err(refused) => return *refused,
    };
    let (said, then, request) = match order(name) {
        Ok(order) => order,
        Err(refused) => return not_done(&refused),
    };
    ask(state, user, request, said, &then).await
}

/// Asks the engine, and says what became of it.
pub(super) async fn ask(
    state: &WebState,
    user: &User,
    request: Request,
    said: impl Into<String>,
    then: &str,
) -> Response {
    info!(user = ?user.name, "asked for: {request:?}");
    match tokio::time::timeout(PATIENCE, state.engine().ask(request)).await {
        Ok(Ok(())) => page::done(user, said, then),
        Ok(Err(refused)) => not_done(&refused),
        Err(_) => page::error(
            StatusCode::SERVICE_UNAVAILABLE,
            "The engine is too busy to answer. What you asked for may still be done.",
        ),
    }
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

fn not_done(refused: &Refused) -> Response {
    let (status, sentence) = match refused {
        Refused::NoSuchCheck(name) => {
            (StatusCode::NOT_FOUND, format!("There is no check `{name}`."))
        }
        Refused::NotHere(_) | Refused::NotNow(_) => {
            (StatusCode::CONFLICT, format!("Not done: {refused}."))
        }
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "Not done: {refused}. Try again; if it stays so, the log of fletchck says more."
            ),
        ),
    };
    page::error(status, &sentence)
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
