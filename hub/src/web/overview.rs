//! `/`: what fails, who is away, and all checks.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use super::{
    WebState,
    page::{self, Frame},
    user::User,
    views::{Group, Views},
};

/// What to look for; without a script the filter is a request.
#[derive(Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    frame: Frame,
    views: &'a Views,
    q: &'a str,
}

/// `GET /`.
pub(super) async fn get(
    State(state): State<WebState>,
    user: User,
    Query(Filter { q }): Query<Filter>,
) -> Response {
    let views: Arc<Views> = state.views();
    page::show(&Overview { frame: Frame::of(&state, &user), views: &views, q: q.trim() })
}

impl Overview<'_> {
    /// The rows of a group that have all words of the filter; all of them without a filter.
    fn rows<'g>(&self, group: &'g Group) -> Vec<&'g str> {
        let words: Vec<String> = self.q.split_whitespace().map(str::to_lowercase).collect();
        let fits = |view: &fletchck_agent::engine::CheckView| {
            let agent = view.agent.as_ref().map_or("", |id| id.as_str());
            let kind = view.sub_kind.as_ref().unwrap_or(&view.kind);
            let text = format!("{} {} {kind} {agent}", view.name, view.state.word()).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let rows = group.rows.iter().filter(|row| words.is_empty() || fits(&row.view));
        rows.map(|row| row.html.as_str()).collect()
    }
}
