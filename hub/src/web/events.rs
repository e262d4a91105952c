//! `/events`: what changed, as server-sent events.
//!
//! A stream remembers hashes of what its page shows. After each change, and a moment in which more may follow, it
//! compares and sends the parts that differ. So a thousand changes in a burst cost one comparison, and a browser that
//! reads slowly misses steps in between but never the end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use fletchck_agent::engine::Changed;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    WebState, check, page,
    session::SessionId,
    user::User,
    views::{Marks, Summary, Views, hash},
};

/// Changes within this time are sent together.
const GATHER: Duration = Duration::from_millis(250);

/// After this time a comment shows the browser that the stream lives, and the login is looked at again: a password may
/// have changed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Data of events that are their name alone: browsers drop an event without any.
const SAY: &str = "1";

/// What to follow.
#[derive(Deserialize)]
pub(super) struct Wanted {
    /// The stamp of the page that listens.
    #[serde(default)]
    since: String,
    /// Only this check, with all its details.
    check: Option<String>,
}

/// What a page has to change, everything in it optional.
#[derive(Default, Serialize)]
struct Update<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cards: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<&'a str>,
    /// Heads of groups, by their place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    heads: Vec<(usize, &'a str)>,
    /// Rows, by the name of their check.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rows: Vec<(&'a str, &'a str)>,
    /// The details of the one check that is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// `GET /events`.
pub(super) async fn get(
    State(state): State<WebState>,
    user: User,
    headers: HeaderMap,
    Query(Wanted { since, check }): Query<Wanted>,
) -> Response {
    let Ok(permit) = state.streams().try_acquire_owned() else {
        let sentence =
            "Too many browsers follow this site. The page is right as of now, but not live.";
        let mut refused = page::error(StatusCode::SERVICE_UNAVAILABLE, sentence);
        refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        return refused;
    };
    // A browser that comes back by itself says what it had last.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let since = last.unwrap_or(&since).to_owned();
    let follower = Follower::new(state, user.id, check, since, permit);
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    Sse::new(stream::unfold(follower, Follower::next)).keep_alive(keep_alive).into_response()
}

/// One stream.
struct Follower {
    state: WebState,
    session: SessionId,
    check: Option<String>,
    /// What the page showed when it began to listen; taken with the first event.
    since: Option<String>,
    shown: Shown,
    changes: broadcast::Receiver<Changed>,
    ended: watch::Receiver<()>,
    look_again: Instant,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

/// What the page shows.
enum Shown {
    Overview(Arc<Marks>, Summary),
    Detail(Option<u64>),
}

impl Follower {
    fn new(
        state: WebState,
        session: SessionId,
        check: Option<String>,
        since: String,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let changes = state.board().changes();
        // Looked at before anything else: the login may have ended since this request was let in.
        let mut ended = state.book().ended();
        ended.mark_changed();
        let views = state.views();
        let since = (views.stamp != since).then_some(since);
        let shown = match &check {
            Some(name) => {
                Shown::Detail(state.board().check(name).map(|v| hash(&check::detail(&v))))
            }
            None => Shown::Overview(views.marks.clone(), views.summary.clone()),
        };
        let look_again = Instant::now() + HEARTBEAT;
        Self {
            state,
            session,
            check,
            since,
            shown,
            changes,
            ended,
            look_again,
            over: false,
            _permit: permit,
        }
    }

    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        if self.over {
            return None;
        }
        if self.since.take().is_some() {
            let reload = self.reload();
            return Some((Ok(reload), self));
        }
        let stop = self.state.stop();
        loop {
            let changed = tokio::select! {
                () = stop.cancelled() => return None,
                _ = self.ended.changed() => false,
                () = sleep_until(self.look_again) => {
                    self.look_again = Instant::now() + HEARTBEAT;
                    false
                }
                change = self.changes.recv() => match change {
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            };
            if changed {
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = sleep(GATHER) => {}
                }
                // What came meanwhile is part of what is compared now.
                self.changes = self.changes.resubscribe();
            }
            if !self.logged_in().await {
                self.over = true;
                return Some((Ok(Event::default().event("bye").data(SAY)), self));
            }
            if changed && let Some(event) = self.compare() {
                return Some((Ok(event), self));
            }
        }
    }

    async fn logged_in(&self) -> bool {
        let settings = self.state.settings();
        let found =
            self.state.book().find(self.session, self.state.now(), |user| settings.hash(user));
        matches!(found.await, Ok(Some(_)))
    }

    fn compare(&mut self) -> Option<Event> {
        let stamp = self.state.stamp();
        match (&mut self.shown, &self.check) {
            (Shown::Detail(shown), Some(name)) => {
                let detail = self.state.board().check(name).map(|view| check::detail(&view));
                let mark = detail.as_ref().map(hash);
                if *shown == mark {
                    return None;
                }
                *shown = mark;
                match detail {
                    Some(detail) => {
                        update(&stamp, &Update { detail: Some(detail), ..Update::default() })
                    }
                    None => Some(self.reload()),
                }
            }
            (Shown::Overview(shown, summary), _) => {
                let views = self.state.views();
                let (old, was) = (shown.clone(), summary.clone());
                (*shown, *summary) = (views.marks.clone(), views.summary.clone());
                if old.shape != views.marks.shape {
                    return Some(self.reload());
                }
                let found = difference(&old, &was, &views);
                found.and_then(|found| update(&views.stamp, &found))
            }
            (Shown::Detail(_), None) => None,
        }
    }

    /// Tells the page to get itself anew.
    fn reload(&self) -> Event {
        Event::default().event("reload").id(self.state.stamp()).data(SAY)
    }
}

/// What differs between what was shown and these views, which have the same shape; `None` if nothing does.
fn difference<'v>(old: &Marks, was: &Summary, views: &'v Views) -> Option<Update<'v>> {
    let new = &views.marks;
    if *old == **new && *was == views.summary {
        return None;
    }
    let part = |differs: bool, html: &'v String| differs.then_some(html.as_str());
    let rows = views.groups.iter().flat_map(|group| &group.rows);
    let differing = |(n, _): &(usize, _)| old.rows.get(*n) != new.rows.get(*n);
    let heads = views.groups.iter().enumerate();
    Some(Update {
        summary: (*was != views.summary).then_some(&views.summary),
        faults: part(old.faults != new.faults, &views.faults),
        cards: part(old.cards != new.cards, &views.cards),
        agents: part(old.agents != new.agents, &views.agents),
        heads: heads
            .filter(|(n, _)| old.heads.get(*n) != new.heads.get(*n))
            .map(|(n, group)| (n, group.head.as_str()))
            .collect(),
        rows: rows
            .enumerate()
            .filter(differing)
            .map(|(_, row)| (row.view.name.as_str(), row.html.as_str()))
            .collect(),
        detail: None,
    })
}

fn update(stamp: &str, update: &Update<'_>) -> Option<Event> {
    // Texts become JSON whatever is in them, in one line.
    Event::default().event("update").id(stamp).json_data(update).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::client::Site;

    #[tokio::test(start_paused = true)]
    async fn a_login_that_ends_before_its_stream_begins_ends_the_stream_at_once() {
        let site = Site::new();
        let permit = site.state.streams().try_acquire_owned().expect("a place");
        let (stamp, gone) = (site.state.stamp(), SessionId([7; 32]));
        let began = Instant::now();
        let follower = Follower::new(site.state.clone(), gone, None, stamp, permit);
        let (event, follower) = follower.next().await.expect("an event");
        let event = format!("{:?}", event.expect("never fails"));
        assert!(event.contains("bye"), "{event}");
        assert!(began.elapsed() < HEARTBEAT, "{:?}", began.elapsed());
        assert!(follower.next().await.is_none());
    }
}
