//! The parts of the overview, rendered once per change of the board for all who look at it.

mod attention;
mod groups;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use askama::Template;
use fletchck_agent::engine::{AgentView, Board, CheckView};
use fletchck_shared::{
    Tz,
    config::{Fault, Severity},
    state::Cover,
    wire::PRESENCE,
};
use serde::Serialize;
use tracing::error;

pub(in crate::web) use groups::Group;

/// Everything of the overview that does not depend on who looks.
pub(in crate::web) struct Views {
    /// The version of the board all of it is of.
    pub(in crate::web) stamp: String,
    pub(in crate::web) summary: Summary,
    pub(in crate::web) faults: String,
    pub(in crate::web) cards: String,
    pub(in crate::web) agents: String,
    pub(in crate::web) groups: Vec<Group>,
    /// What tells these views from others.
    pub(in crate::web) marks: Arc<Marks>,
}

/// Hashes of all parts. Two views that differ in one part differ in its hash.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::web) struct Marks {
    /// The same for two boards with the same groups of the same checks.
    pub(in crate::web) shape: u64,
    pub(in crate::web) faults: u64,
    pub(in crate::web) cards: u64,
    pub(in crate::web) agents: u64,
    /// Of each group's head.
    pub(in crate::web) heads: Vec<u64>,
    /// Of each row, in the order of the page.
    pub(in crate::web) rows: Vec<u64>,
}

/// The one sentence that matters most.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(in crate::web) struct Summary {
    /// `clear`, `warn` or `fail`.
    pub(in crate::web) mood: &'static str,
    pub(in crate::web) text: String,
    /// What the title of the browser's tab begins with.
    pub(in crate::web) count: usize,
}

impl Views {
    pub(in crate::web) fn of(board: &Board, zone: Tz, stamp: String) -> Self {
        let checks = board.checks();
        let agents = board.agents();
        let faults = board.faults();
        let together = groups::groups(&checks);
        let shape = hash(&together.iter().map(groups::Together::names).collect::<Vec<_>>());
        let fold = checks.len() >= groups::FOLD_FROM;
        let (faults_html, agents_html) =
            (attention::faults(&faults), attention::agents(&agents, zone));
        let cards = attention::cards(&checks, &agents, zone);
        let groups: Vec<_> = together.into_iter().map(|group| group.render(fold)).collect();
        let rows = groups.iter().flat_map(|group| &group.rows);
        let marks = Marks {
            shape,
            faults: hash(&faults_html),
            cards: hash(&cards),
            agents: hash(&agents_html),
            heads: groups.iter().map(|group| hash(&group.head)).collect(),
            rows: rows.map(|row| hash(&row.html)).collect(),
        };
        Self {
            summary: summary(&checks, &agents, &faults),
            faults: faults_html,
            agents: agents_html,
            marks: Arc::new(marks),
            cards,
            groups,
            stamp,
        }
    }
}

/// What a check looks at, and from where.
fn kind(view: &CheckView) -> String {
    match (&view.sub_kind, &view.agent) {
        (Some(kind), Some(agent)) => format!("{kind} @ {agent}"),
        (Some(kind), None) => format!("{kind}, remote"),
        (None, Some(agent)) => format!("{} @ {agent}", view.kind),
        (None, None) => view.kind.clone(),
    }
}

/// The checks that fail, without the sequences that only repeat what a member of theirs says better, and without the
/// presence of agents that are shown to be away.
fn failing<'a>(checks: &'a [Arc<CheckView>], agents: &[Arc<AgentView>]) -> Vec<&'a CheckView> {
    let away: HashSet<_> = agents.iter().filter(|a| !a.online).map(|a| &a.id).collect();
    let shown = |view: &CheckView| {
        view.sub_kind.as_deref() == Some(PRESENCE)
            && view.agent.as_ref().is_some_and(|agent| away.contains(agent))
    };
    let fails = |view: &CheckView| view.state.word() == "fail";
    let own = checks.iter().filter(|view| fails(view) && view.kind != "sequence");
    let own: HashSet<&str> = own.map(|view| view.name.as_str()).collect();
    let repeats = |view: &CheckView| {
        view.kind == "sequence" && view.members.iter().any(|m| own.contains(m.as_str()))
    };
    let checks = checks.iter().map(Arc::as_ref);
    checks.filter(|view| fails(view) && !repeats(view) && !shown(view)).collect()
}

/// What is to be said of a check in one sentence.
pub(in crate::web) fn sentence(view: &CheckView) -> &str {
    match &view.state.cover {
        Some(Cover::Stale(why)) => why,
        _ if !view.state.text.is_empty() => &view.state.text,
        _ if view.state.word() == "unknown" => "has not run yet",
        // The original's messages have a log only.
        _ => view.state.log.first().map_or("", String::as_str),
    }
}

fn summary(checks: &[Arc<CheckView>], agents: &[Arc<AgentView>], faults: &[Fault]) -> Summary {
    let count = |word: &str| checks.iter().filter(|view| view.state.word() == word).count();
    let away = agents.iter().filter(|agent| !agent.online).count();
    let errors = faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    let fail = failing(checks, agents).len();
    let parts = [
        (fail, "check fails", "checks fail"),
        (away, "agent is offline", "agents are offline"),
        (errors, "part of the configuration does not run", "parts of the configuration do not run"),
        (count("blocked"), "check is blocked", "checks are blocked"),
        (count("stale"), "check is stale", "checks are stale"),
        (count("warning"), "check is worth a look", "checks are worth a look"),
    ];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    let (pass, unknown) = (count("pass"), count("unknown"));
    let (mood, text) = if let Some((last, others)) = parts.split_last() {
        let mood = if fail + away + errors > 0 { "fail" } else { "warn" };
        let others = others.join(", ");
        let and = if others.is_empty() { "" } else { " and " };
        (mood, format!("{others}{and}{last}"))
    } else if checks.is_empty() {
        ("warn", "There are no checks yet".into())
    } else if unknown > 0 {
        ("clear", format!("Nothing fails; {unknown} of {} have not run yet", checks.len()))
    } else if pass == 1 && checks.len() == 1 {
        ("clear", "All clear: the check passes".into())
    } else {
        let paused = count("paused");
        let but = if paused == 0 { String::new() } else { format!(", {paused} paused") };
        ("clear", format!("All clear: {pass} checks pass{but}"))
    };
    Summary { mood, text, count: fail + away }
}

pub(in crate::web) fn hash(part: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}

/// Renders a part. A template that fails is a fault of the program; the page is shown without that part.
pub(in crate::web) fn render(part: &impl Template) -> String {
    part.render().unwrap_or_else(|e| {
        error!(error = &e as &dyn std::error::Error, "a part of a page cannot be made: {e}");
        String::new()
    })
}
