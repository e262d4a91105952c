//! The forms: to take a failure on, not to hear of some checks for a while, to try a way of telling, to send again.

use std::collections::BTreeMap;

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, Datelike, Utc};
use fletchck_agent::{engine::Request, store::Revived};
use fletchck_shared::{
    ActionName, CheckName,
    policy::{Ack, Pattern, Silence, SilenceKind, Span, When},
    schedule::Trigger,
    time,
};
use serde::{Deserialize, de::DeserializeOwned};
use tracing::{error, info};

use super::length::{self, length};
use crate::web::{
    WebState,
    check::ask,
    page::{self, check_address},
    user::User,
};

/// Longest text that anybody gives a reason in.
const TEXT_MAX: usize = 500;

/// Why what was given up is not sent again.
const OVER: &str =
    "What tells of a failure that is over would never be followed by its end; forget it.";

/// Where these forms lead back to.
const HERE: &str = "/alerts";

type Read<T> = Result<Form<T>, FormRejection>;

/// What every form has.
trait Order {
    fn token(&self) -> &str;
    /// Who asks, where the command line says so.
    fn by(&self) -> Option<&str>;
}

macro_rules! order {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        pub(in crate::web) struct $name {
            #[serde(default)]
            token: String,
            #[serde(default)]
            by: Option<String>,
            $(#[serde(default)] $field: $kind),*
        }

        impl Order for $name {
            fn token(&self) -> &str {
                &self.token
            }

            fn by(&self) -> Option<&str> {
                self.by.as_deref()
            }
        }
    };
}

order! {
    /// To take a failure on.
    Acknowledge { check: String, comment: String, sticky: bool, r#for: String }
}
order! {
    /// One check.
    OfCheck { check: String }
}
order! {
    /// Not to hear of some checks for a while.
    Silencing {
        kind: String, check: String, exactly: String, agent: String, label: String,
        start: String, end: String, r#for: String, cron: String, reason: String,
    }
}
order! {
    /// One silence.
    OfSilence { id: i64 }
}
order! {
    /// One action.
    OfAction { action: String }
}
order! {
    /// What needs nothing more to be said.
    Nothing {}
}
order! {
    /// One delivery, or all.
    OfDelivery { id: Option<i64> }
}

/// `POST /ack`.
pub(in crate::web) async fn acknowledge(
    State(state): State<WebState>,
    user: User,
    form: Read<Acknowledge>,
) -> Response {
    let (order, by) = match read(&user, form) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let name = match check(&order.check) {
        Ok(name) => name,
        Err(refused) => return *refused,
    };
    let now = state.now();
    let until = match span(&order.r#for) {
        Ok(length) => length.map(|length| now + length),
        Err(refused) => return *refused,
    };
    let comment = bounded(&order.comment);
    let said = format!("{name} is acknowledged by {by}");
    let sticky = order.sticky;
    let ack = Ack { by, at: now, comment, sticky, until, failure: None, told: false };
    let address = check_address(name.as_str());
    ask(&state, &user, Request::Acknowledge(name, ack), said, &address).await
}

/// `POST /unack`.
pub(in crate::web) async fn take_back(
    State(state): State<WebState>,
    user: User,
    form: Read<OfCheck>,
) -> Response {
    let name = read(&user, form).and_then(|(order, _)| check(&order.check));
    match name {
        Ok(name) => {
            let address = check_address(name.as_str());
            let said = format!("the acknowledgement of {name} is taken back");
            ask(&state, &user, Request::TakeBack(name), said, &address).await
        }
        Err(refused) => *refused,
    }
}

/// `POST /silence`.
pub(in crate::web) async fn silence(
    State(state): State<WebState>,
    user: User,
    form: Read<Silencing>,
) -> Response {
    let read = read(&user, form);
    let silence = read.and_then(|(order, by)| silence_of(&state, &order, by));
    match silence {
        Ok(silence) => {
            let mut said = "nobody is told of these checks in that time".to_owned();
            // That may be a slip of the pen; on the page it stands beside the silence.
            if !super::page::any_called_so(&state, &silence.pattern) {
                said.push_str(", but no check is called so now");
            }
            ask(&state, &user, Request::Silence(Box::new(silence)), said, HERE).await
        }
        Err(refused) => *refused,
    }
}

/// `POST /silence/end`.
pub(in crate::web) async fn end_silence(
    State(state): State<WebState>,
    user: User,
    form: Read<OfSilence>,
) -> Response {
    match read(&user, form) {
        Ok((OfSilence { id, .. }, _)) => {
            ask(&state, &user, Request::EndSilence(id), format!("silence {id} is ended"), HERE)
                .await
        }
        Err(refused) => *refused,
    }
}

/// `POST /action/test`.
pub(in crate::web) async fn test(
    State(state): State<WebState>,
    user: User,
    form: Read<OfAction>,
) -> Response {
    let (order, by) = match read(&user, form) {
        Ok(read) => read,
        Err(refused) => return *refused,
    };
    let name = ActionName::try_from(order.action.as_str());
    let site = state.settings().name.clone();
    let trials = match &name {
        Ok(name) => state.engine().roster().try_out(name, &site, &by).await,
        Err(_) => None,
    };
    let Some(trials) = trials else {
        let sentence = format!("There is no action `{}` that runs.", order.action);
        return page::error(StatusCode::NOT_FOUND, &sentence);
    };
    info!(action.name = %order.action, %by, "an action was tried out");
    super::page::tried(&state, &user, &order.action, &trials)
}

/// `POST /deliveries/again`.
pub(in crate::web) async fn again(
    State(state): State<WebState>,
    user: User,
    form: Read<OfDelivery>,
) -> Response {
    match read(&user, form) {
        Ok((order, _)) => match state.engine().roster().send_again(order.id).await {
            Ok(Revived { again: 0, over: 1.. }) => {
                page::error(StatusCode::CONFLICT, &format!("Nothing is sent again. {OVER}"))
            }
            Ok(Revived { again, over: 0 }) => changed(&user, &order, again, "sent again"),
            Ok(Revived { again, over }) => {
                let said = format!("sent again: {again}. Not sent again: {over}. {OVER}");
                page::done(&user, said, HERE)
            }
            Err(reason) => store_failed(&reason),
        },
        Err(refused) => *refused,
    }
}

/// `POST /deliveries/now`.
pub(in crate::web) async fn now(
    State(state): State<WebState>,
    user: User,
    form: Read<Nothing>,
) -> Response {
    match read(&user, form) {
        Ok(_) => {
            state.engine().roster().try_now();
            page::done(&user, "what failed before is tried again at once", HERE)
        }
        Err(refused) => *refused,
    }
}

/// `POST /deliveries/forget`.
pub(in crate::web) async fn forget(
    State(state): State<WebState>,
    user: User,
    form: Read<OfDelivery>,
) -> Response {
    match read(&user, form) {
        Ok((order, _)) => match state.engine().roster().forget(order.id).await {
            Ok(count) => changed(&user, &order, count, "forgotten"),
            Err(reason) => store_failed(&reason),
        },
        Err(refused) => *refused,
    }
}

/// Says what became of deliveries that were given up.
fn changed(user: &User, order: &OfDelivery, count: usize, what: &str) -> Response {
    match (order.id, count) {
        (Some(id), 0) => {
            let sentence = format!("There is no alert {id} that was given up.");
            page::error(StatusCode::NOT_FOUND, &sentence)
        }
        (_, 0) => page::done(user, format!("nothing was given up, so nothing is {what}"), HERE),
        (_, 1) => page::done(user, format!("1 alert is {what}"), HERE),
        _ => page::done(user, format!("{count} alerts are {what}"), HERE),
    }
}

/// The form, if it is whole and from a page of this login, and who asks.
fn read<T: Order + DeserializeOwned>(
    user: &User,
    form: Read<T>,
) -> Result<(T, String), Box<Response>> {
    let Form(order) = form.map_err(|wrong| {
        let sentence =
            format!("The form was not complete: {wrong}. Reload the page and try again.");
        Box::new(page::error(StatusCode::BAD_REQUEST, &sentence))
    })?;
    user.permit(order.token())?;
    let by = order.by().map(bounded).filter(|by| user.local && !by.is_empty());
    let by = by.unwrap_or_else(|| user.name.clone());
    Ok((order, by))
}

fn silence_of(state: &WebState, order: &Silencing, by: String) -> Result<Silence, Box<Response>> {
    let text = |text: &str| (!text.trim().is_empty()).then(|| bounded(text));
    let mut pattern = Pattern {
        check: text(&order.check),
        name: text(&order.exactly),
        agent: text(&order.agent),
        labels: BTreeMap::new(),
    };
    for label in order.label.split(',').filter(|label| !label.trim().is_empty()) {
        let Some((key, value)) = label.split_once('=') else {
            return Err(wrong("A label is written as `key=value`."));
        };
        pattern.labels.insert(bounded(key), bounded(value));
    }
    if pattern.is_empty() {
        return Err(wrong("Say which checks: a name, an agent or a label; `*` for all of them."));
    }
    let kind = match order.kind.as_str() {
        "maintenance" => SilenceKind::Maintenance,
        "snooze" => SilenceKind::Snooze,
        "" | "silence" => SilenceKind::Silence,
        other => {
            let sentence = format!("`{other}` is neither silence, maintenance nor snooze.");
            return Err(wrong(&sentence));
        }
    };
    let when = when(state, order)?;
    Ok(Silence { kind, pattern, when, by, reason: bounded(&order.reason) })
}

fn when(state: &WebState, order: &Silencing) -> Result<When, Box<Response>> {
    let zone = state.settings().zone;
    let now = state.now();
    let moment = |text: &str| -> Result<Option<DateTime<Utc>>, Box<Response>> {
        match text.trim() {
            "" => Ok(None),
            text => time::moment(text, zone).filter(is_likely).map(Some).ok_or_else(|| {
                wrong(&format!("`{text}` is no time; write it as in 2026-11-29 02:00."))
            }),
        }
    };
    let (start, end, length) = (moment(&order.start)?, moment(&order.end)?, span(&order.r#for)?);
    if !order.cron.trim().is_empty() {
        let text = format!("cron {}", order.cron.trim().trim_start_matches("cron "));
        let trigger: Trigger =
            text.parse().map_err(|e| wrong(&format!("{e}; write it as in `sun weekday 2 hr`.")))?;
        if start.is_some() {
            return Err(wrong("What comes again has no start: it begins whenever its cron says."));
        }
        let Some(length) = length.filter(|length| length.num_seconds() <= When::LENGTH_MAX) else {
            return Err(wrong("Say how long it lasts each time, 30 days at most."));
        };
        let seconds = u32::try_from(length.num_seconds()).unwrap_or(u32::MAX);
        return Ok(When::Again { trigger, seconds, end });
    }
    let start = start.unwrap_or(now);
    match end.or(length.map(|length| start + length)) {
        Some(end) if end > start => Ok(When::Once(Span { start, end })),
        Some(_) => Err(wrong("It ends before it begins.")),
        None => Err(wrong(&format!("Say for how long: {}, or an end.", length::RIGHT))),
    }
}

fn check(name: &str) -> Result<CheckName, Box<Response>> {
    CheckName::try_from(name).map_err(|e| wrong(&format!("This is no name of a check: {e}.")))
}

/// A length of time, if one is given.
fn span(text: &str) -> Result<Option<chrono::TimeDelta>, Box<Response>> {
    match text.trim() {
        "" => Ok(None),
        text => length(text).map(Some).ok_or_else(|| {
            wrong(&format!("`{text}` is no length of time; write {}.", length::RIGHT))
        }),
    }
}

/// Whether somebody may mean this time: what is added to it stays a time as well.
fn is_likely(at: &DateTime<Utc>) -> bool {
    (1970..=9999).contains(&at.year())
}

fn bounded(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

fn wrong(sentence: &str) -> Box<Response> {
    Box::new(page::error(StatusCode::BAD_REQUEST, sentence))
}

fn store_failed(reason: &fletchck_agent::store::StoreError) -> Response {
    error!(
        error = reason as &dyn std::error::Error,
        "deliveries cannot be read or changed: {reason}"
    );
    let sentence = "The store does not answer, so nothing was done. The log of fletchck says more.";
    page::error(StatusCode::SERVICE_UNAVAILABLE, sentence)
}
