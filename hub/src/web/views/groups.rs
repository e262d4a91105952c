//! The list of all checks, in groups.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use askama::Template;
use fletchck_agent::engine::CheckView;

use super::{kind, render, sentence};
use crate::web::page::check_address;

/// From this many checks on, groups in which all is well are folded.
pub(super) const FOLD_FROM: usize = 60;

/// Checks that are shown together.
pub(in crate::web) struct Group {
    pub(in crate::web) head: String,
    pub(in crate::web) open: bool,
    pub(in crate::web) rows: Vec<Row>,
}

/// One line of a group.
pub(in crate::web) struct Row {
    pub(in crate::web) view: Arc<CheckView>,
    pub(in crate::web) html: String,
}

#[derive(Template)]
#[template(path = "row.html")]
struct RowPart<'a> {
    name: &'a str,
    address: &'a str,
    word: &'a str,
    kind: &'a str,
    text: &'a str,
}

#[derive(Template)]
#[template(path = "group.html")]
struct GroupHead<'a> {
    title: &'a str,
    word: Option<&'a str>,
    address: Option<String>,
    count: usize,
    failing: usize,
}

/// Checks that belong together, before they are rendered.
pub(super) struct Together<'a> {
    title: String,
    sequence: Option<&'a CheckView>,
    views: Vec<Arc<CheckView>>,
}

impl Together<'_> {
    /// What tells it from another group, whatever state its checks are in.
    pub(super) fn names(&self) -> (&str, Vec<&str>) {
        (&self.title, self.views.iter().map(|view| view.name.as_str()).collect())
    }

    /// Renders it. With `fold`, a group in which nothing fails is folded.
    pub(super) fn render(self, fold: bool) -> Group {
        let failing = self.views.iter().filter(|view| view.state.word() == "fail").count();
        let head = GroupHead {
            title: &self.title,
            word: self.sequence.map(|view| view.state.word()),
            address: self.sequence.map(|view| check_address(view.name.as_str())),
            count: self.views.len(),
            failing,
        };
        Group {
            head: render(&head),
            open: !fold || failing > 0,
            rows: self.views.into_iter().map(|view| Row { html: row(&view), view }).collect(),
        }
    }
}

/// The row of a check, wherever it stands.
fn row(view: &CheckView) -> String {
    let word = view.state.word();
    let kind = kind(view);
    let text = match &view.state.level {
        Some(level) if word == "pass" => level.trim(),
        _ => sentence(view),
    };
    let name = view.name.as_str();
    render(&RowPart { name, address: &check_address(name), word, kind: &kind, text })
}

/// Each sequence with its members, then what each agent runs, then the rest.
pub(super) fn groups(checks: &[Arc<CheckView>]) -> Vec<Together<'_>> {
    let by_name: HashMap<&str, &Arc<CheckView>> =
        checks.iter().map(|view| (view.name.as_str(), view)).collect();
    let mut placed = HashSet::new();
    let mut groups = Vec::new();
    for sequence in checks.iter().filter(|view| view.kind == "sequence") {
        placed.insert(sequence.name.as_str());
        let members = sequence.members.iter().filter_map(|name| by_name.get(name.as_str()));
        let views: Vec<_> = members.map(|view| Arc::clone(view)).collect();
        placed.extend(sequence.members.iter().map(|name| name.as_str()));
        groups.push(Together { title: sequence.name.to_string(), sequence: Some(sequence), views });
    }
    let rest = checks.iter().filter(|view| {
        // A sequence has its place as the head of its group.
        !placed.contains(view.name.as_str())
    });
    let mut by_agent: BTreeMap<Option<&str>, Vec<Arc<CheckView>>> = BTreeMap::new();
    for view in rest {
        by_agent.entry(view.agent.as_ref().map(|id| id.as_str())).or_default().push(view.clone());
    }
    let here = by_agent.remove(&None);
    for (agent, views) in by_agent {
        let title = format!("Agent {}", agent.unwrap_or_default());
        groups.push(Together { title, sequence: None, views });
    }
    if let Some(views) = here {
        let title = if groups.is_empty() { "Checks" } else { "Other checks" };
        groups.push(Together { title: title.into(), sequence: None, views });
    }
    groups
}
