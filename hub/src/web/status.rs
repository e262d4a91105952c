//! `/status`: the whole site as JSON, in the original's shape.

use std::collections::HashMap;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fletchck_agent::engine::{Board, CheckView};
use fletchck_shared::{schedule::Trigger, time, wire::fail_state};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use super::{WebState, user::User};

/// A member of a sequence fails, and the sequence has not run since; the original's value.
const MEMBER_FAILS: &str = "DEP";

/// `GET /status`.
pub(super) async fn get(State(state): State<WebState>, _: User) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], state.status().body.clone()).into_response()
}

/// The answer as of one version of the board.
pub(super) struct Status {
    body: Bytes,
}

#[derive(Serialize)]
struct Site<'a> {
    fail: bool,
    info: Option<String>,
    checks: IndexMap<&'a str, Check<'a>>,
    seqs: IndexMap<&'a str, IndexMap<&'a str, u8>>,
    inseqs: IndexMap<&'a str, Vec<&'a str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check<'a> {
    check_type: &'a str,
    fail_state: Value,
    trigger: Option<&'a Trigger>,
    soft_fail: &'a str,
    last_fail: String,
    last_pass: String,
}

impl Status {
    pub(super) fn of(board: &Board) -> Self {
        let checks = board.checks();
        // What the types above hold cannot fail to become JSON.
        let body = serde_json::to_vec(&site(&checks)).unwrap_or_default();
        Self { body: body.into() }
    }
}

fn site<'a>(views: &'a [std::sync::Arc<CheckView>]) -> Site<'a> {
    let mut seqs = IndexMap::new();
    let mut inseqs: IndexMap<&str, Vec<&str>> = IndexMap::with_capacity(views.len());
    for view in views {
        inseqs.entry(view.name.as_str()).or_default();
        if is_sequence(view) {
            let members = view.members.iter().map(|member| member.as_str());
            for member in members.clone() {
                inseqs.entry(member).or_default().push(view.name.as_str());
            }
            seqs.insert(view.name.as_str(), members.map(|member| (member, 1)).collect());
        }
    }
    let mut checks: IndexMap<&str, Check<'_>> =
        views.iter().map(|view| (view.name.as_str(), check(view))).collect();
    let fails: HashMap<&str, bool> =
        checks.iter().map(|(name, check)| (*name, fails(&check.fail_state))).collect();
    let failing = views.iter().filter(|view| !is_sequence(view) && fails[view.name.as_str()]);
    let mut count = 0;
    for view in failing {
        count += 1;
        for sequence in &inseqs[view.name.as_str()] {
            if let Some(sequence) = checks.get_mut(sequence)
                && !self::fails(&sequence.fail_state)
            {
                sequence.fail_state = MEMBER_FAILS.into();
            }
        }
    }
    let plural = if count == 1 { "" } else { "s" };
    Site {
        fail: fails.values().any(|fails| *fails),
        info: (count > 0).then(|| format!("{count} check{plural} in fail state")),
        checks,
        seqs,
        inseqs,
    }
}

fn check(view: &CheckView) -> Check<'_> {
    let people = |at: Option<_>| at.map_or(String::new(), |at| time::people(at, view.zone));
    Check {
        check_type: &view.kind,
        fail_state: fail_state(&view.state, is_sequence(view)),
        trigger: view.trigger.as_ref(),
        soft_fail: view.state.soft_fail.as_deref().unwrap_or_default(),
        last_fail: people(view.state.last_fail),
        last_pass: people(view.state.last_pass),
    }
}

/// As the original's language takes a value for true.
fn fails(state: &Value) -> bool {
    match state {
        Value::Bool(fails) => *fails,
        Value::String(members) => !members.is_empty(),
        _ => false,
    }
}

fn is_sequence(view: &CheckView) -> bool {
    view.kind == "sequence"
}
