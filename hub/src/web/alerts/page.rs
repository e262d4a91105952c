//! `/alerts`: what is silenced, what waits to be told, what was given up, and the ways of telling.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use fletchck_agent::{
    delivery::{Held, Trial, Wait},
    engine::CheckView,
    store::{ShownDelivery, StoreError},
};
use fletchck_shared::{
    Tz,
    policy::{Pattern, Silence, SilenceKind, Subject, When},
    time,
};
use serde_json::json;
use tracing::error;

use crate::web::{
    WebState,
    page::{self, Frame, check_address},
    user::User,
};

/// Most deliveries that are shown of each sort.
const SHOWN: usize = 100;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    acks: Vec<(String, String, String)>,
    silences: Vec<Row>,
    waiting: Vec<Told>,
    /// How many more there are.
    waiting_more: usize,
    dead: Vec<Told>,
    dead_more: usize,
    actions: Vec<String>,
}

#[derive(Template)]
#[template(path = "tried.html")]
struct TriedPage<'a> {
    frame: Frame,
    action: &'a str,
    trials: Vec<(String, bool, String)>,
}

/// A silence, or a window of the configuration, as it is shown.
struct Row {
    /// Its number, where people may end it.
    id: Option<i64>,
    what: &'static str,
    checks: String,
    when: String,
    by: String,
    reason: String,
    holds: bool,
    /// Whether it names checks, and none is called so.
    of_nobody: bool,
}

/// A delivery as it is shown.
struct Told {
    id: i64,
    address: String,
    check: String,
    word: &'static str,
    to: String,
    made: String,
    tries: u32,
    error: String,
    heir: Option<String>,
    /// Why it is not told yet, in a clause.
    held: Option<String>,
}

/// `GET /alerts`: a page for people, JSON for programs.
pub(in crate::web) async fn get(
    State(state): State<WebState>,
    user: User,
    headers: HeaderMap,
) -> Response {
    let roster = state.engine().roster();
    let read = async {
        let (waiting, dead) =
            (roster.deliveries(false, SHOWN).await?, roster.deliveries(true, SHOWN).await?);
        Ok((waiting, dead, roster.count_deliveries().await?))
    };
    let (waiting, dead, counts) = match read.await {
        Ok(read) => read,
        Err::<_, StoreError>(reason) => {
            error!(
                error = &reason as &dyn std::error::Error,
                "deliveries cannot be read: {reason}"
            );
            let sentence = "The store does not answer. The log of fletchck says more.";
            return page::error(StatusCode::SERVICE_UNAVAILABLE, sentence);
        }
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.starts_with("application/json")) {
        return Json(document(&state, &waiting, &dead, counts)).into_response();
    }
    let checks = state.board().checks();
    let acks = checks.iter().filter_map(|view| {
        let ack = view.state.alert.ack.as_ref()?;
        let said = format!("{}, {}", ack.by, time::people(ack.at, view.zone));
        Some((view.name.to_string(), said, ack.comment.clone()))
    });
    let more = |(all, shown): (u32, usize)| (all as usize).saturating_sub(shown);
    page::show(&AlertsPage {
        frame: Frame::of(&state, &user),
        acks: acks.collect(),
        silences: silences(&state).into_iter().map(|(row, ..)| row).collect(),
        waiting: waiting
            .iter()
            .zip(roster.held(&waiting))
            .map(|(one, held)| told(one, held))
            .collect(),
        waiting_more: more((counts.0, waiting.len())),
        dead: dead.iter().map(|one| told(one, None)).collect(),
        dead_more: more((counts.1, dead.len())),
        actions: roster.names().iter().map(ToString::to_string).collect(),
    })
}

/// What the other side answered to a test.
pub(in crate::web) fn tried(
    state: &WebState,
    user: &User,
    action: &str,
    trials: &[Trial],
) -> Response {
    let lines = trials.iter().map(|Trial { group, answer }| match answer {
        Ok(said) => (group.clone(), true, said.clone()),
        Err(failure) => (group.clone(), false, failure.text.clone()),
    });
    let lines: Vec<_> = lines.collect();
    let status = if lines.iter().all(|(_, told, _)| *told) {
        StatusCode::OK
    } else {
        StatusCode::BAD_GATEWAY
    };
    if user.local {
        let said = lines.iter().map(|(group, told, said)| {
            let to = if group.is_empty() { action } else { group.as_str() };
            format!("{to}: {}: {said}\n", if *told { "told" } else { "NOT told" })
        });
        return page::said(status, said.collect::<String>());
    }
    page::show(&TriedPage { frame: Frame::of(state, user), action, trials: lines })
}

fn document(
    state: &WebState,
    waiting: &[ShownDelivery],
    dead: &[ShownDelivery],
    counts: (u32, u32),
) -> serde_json::Value {
    let checks = state.board().checks();
    let acks: Vec<_> = checks
        .iter()
        .filter_map(|view| {
            let ack = view.state.alert.ack.as_ref()?;
            Some(json!({ "check": view.name, "ack": ack }))
        })
        .collect();
    let silences = silences(state).into_iter().map(|(row, name, silence)| {
        let Row { id, checks, when, holds, .. } = row;
        json!({ "id": id, "name": name, "silence": silence, "checks": checks, "when": when, "holds": holds })
    });
    let roster = state.engine().roster();
    let waiting = waiting.iter().zip(roster.held(waiting)).map(|(one, held)| in_words(one, held));
    json!({
        "v": 1, "acknowledged": acks, "silences": silences.collect::<Vec<_>>(),
        "waiting": waiting.collect::<Vec<_>>(), "waitingCount": counts.0,
        "givenUp": dead.iter().map(|one| in_words(one, None)).collect::<Vec<_>>(),
        "givenUpCount": counts.1, "actions": roster.names(),
    })
}

/// A delivery as it is, and how its check stands, since when, and why it is not told yet, in words.
fn in_words(delivery: &ShownDelivery, held: Option<Held>) -> serde_json::Value {
    let mut all = json!(delivery);
    all["held"] = json!(held);
    let Told { word, made, held, .. } = told(delivery, held);
    all["word"] = word.into();
    all["when"] = made.into();
    all["why"] = held.into();
    all
}

/// The silences that are not over, and the windows of the configuration, which have a name.
fn silences(state: &WebState) -> Vec<(Row, Option<String>, Silence)> {
    let (now, settings) = (state.now(), state.settings());
    let zone = settings.zone;
    let made = state.board().silences();
    let made = made.iter().map(|(id, silence)| (row(Some(*id), silence, now, zone), None, silence));
    let windows = settings.windows.iter().map(|(name, window)| {
        let mut row = row(None, window, now, zone);
        row.by = format!("the configuration (`{name}`)");
        (row, Some(name.clone()), window)
    });
    let all = made.chain(windows).filter(|(.., silence)| !silence.over(now, zone));
    let all = all.map(|(row, name, silence)| {
        let of_nobody = !any_called_so(state, &silence.pattern);
        (Row { of_nobody, ..row }, name, silence.clone())
    });
    all.collect()
}

/// Whether any check has a name that fits a pattern, whatever else of it has to.
pub(super) fn any_called_so(state: &WebState, pattern: &Pattern) -> bool {
    let Pattern { check, name, .. } = pattern.clone();
    let names = Pattern { check, name, ..Pattern::default() };
    let labels = BTreeMap::new();
    let called_so = |name| names.fits(Subject { check: name, agent: "", labels: &labels });
    names.is_empty() || state.board().checks().iter().any(|view| called_so(view.name.as_str()))
}

fn row(id: Option<i64>, silence: &Silence, now: DateTime<Utc>, zone: Tz) -> Row {
    let people = |at| time::people(at, zone);
    let when = match &silence.when {
        When::Once(span) if span.start > now => {
            format!("from {} until {}", people(span.start), people(span.end))
        }
        When::Once(span) => format!("until {}", people(span.end)),
        When::Again { trigger, seconds, end } => {
            let next = silence.when.next(now, zone).map(people);
            let next = next.map(|next| format!(", next {next}")).unwrap_or_default();
            let end = end.map(|end| format!(", until {}", people(end))).unwrap_or_default();
            format!("{trigger}, for {} min{next}{end}", seconds / 60)
        }
    };
    Row {
        id,
        what: match silence.kind {
            SilenceKind::Silence => "Silence",
            SilenceKind::Maintenance => "Maintenance",
            SilenceKind::Snooze => "Snooze",
        },
        checks: checks_of(&silence.pattern),
        when,
        by: silence.by.clone(),
        reason: silence.reason.clone(),
        holds: silence.when.until(now, zone).is_some(),
        of_nobody: false,
    }
}

fn checks_of(pattern: &Pattern) -> String {
    let mut parts = Vec::new();
    parts.extend(pattern.check.clone());
    parts.extend(pattern.name.clone());
    parts.extend(pattern.agent.as_ref().map(|agent| format!("on {agent}")));
    parts.extend(pattern.labels.iter().map(|(key, value)| format!("{key}={value}")));
    parts.join(", ")
}

/// Whom a delivery goes to.
fn whom(delivery: &ShownDelivery) -> String {
    match delivery.group.as_str() {
        "" => delivery.action.clone(),
        group => format!("{} ({group})", delivery.action),
    }
}

/// Why an alert is not told yet, in a clause after the name of its action.
fn why(held: Held, zone: Tz) -> String {
    let until = time::people(held.until, zone);
    match held.wait {
        Wait::Quiet => format!("waits for the end of its quiet hours at {until}"),
        Wait::Rate => format!("has told as often as it may for now, and goes on at {until}"),
        Wait::Retry => format!("tries again at {until}"),
        Wait::More => format!("waits until {until} for more to tell at once"),
    }
}

/// Why what there is to tell of a check is not told yet, a sentence for each of those who wait with it.
pub(in crate::web) async fn waits(state: &WebState, view: &CheckView) -> Vec<String> {
    let roster = state.engine().roster();
    let waiting = match roster.waiting_for(&view.name, SHOWN).await {
        Ok(waiting) => waiting,
        Err(reason) => {
            let reason: &dyn std::error::Error = &reason;
            error!(error = reason, "what waits to be told of a check cannot be read: {reason}");
            return Vec::new();
        }
    };
    let held = roster.held(&waiting);
    let all = waiting.iter().zip(held);
    let mut said: Vec<_> = all
        .filter_map(|(one, held)| Some(format!("{} {}.", whom(one), why(held?, view.zone))))
        .collect();
    said.sort();
    said.dedup();
    said
}

fn told(delivery: &ShownDelivery, held: Option<Held>) -> Told {
    let notice = &delivery.notice;
    Told {
        id: delivery.id,
        address: check_address(notice.check.as_str()),
        check: notice.check.to_string(),
        word: notice.word(),
        to: whom(delivery),
        made: time::people(delivery.dead.unwrap_or(delivery.made), notice.zone),
        tries: delivery.tries,
        error: delivery.error.clone().unwrap_or_default(),
        heir: delivery.heir.clone(),
        held: held.map(|held| why(held, notice.zone)),
    }
}
