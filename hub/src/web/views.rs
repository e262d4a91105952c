//! The parts of the overview, rendered once per change of the board for all who look at it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use askama::Template;
use chrono_tz::Tz;
use fletchck_agent::engine::{AgentView, Board, CheckView};
use fletchck_shared::{
    config::{Fault, Severity},
    state::Cover,
    time,
};
use serde::Serialize;
use tracing::error;

use super::page::check_address;

/// Failing checks that are shown with their log; the others are in the list below.
const CARDS: usize = 50;

/// Lines of a log that are shown beside others.
const CARD_LINES: usize = 8;

/// From this many checks on, groups in which all is well are folded.
const FOLD_FROM: usize = 60;

/// A clock that differs by less is none to speak of, in seconds.
const CLOCK_SLACK: u64 = 5;

/// Everything of the overview that does not depend on who looks.
pub(super) struct Views {
    /// The version of the board all of it is of.
    pub(super) stamp: String,
    pub(super) summary: Summary,
    pub(super) faults: String,
    pub(super) cards: String,
    pub(super) agents: String,
    pub(super) groups: Vec<Group>,
    /// What tells these views from others.
    pub(super) marks: Arc<Marks>,
}

/// Hashes of all parts. Two views that differ in one part differ in its hash.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// The same for two boards with the same groups of the same checks.
    pub(super) shape: u64,
    pub(super) faults: u64,
    pub(super) cards: u64,
    pub(super) agents: u64,
    /// Of each group's head.
    pub(super) heads: Vec<u64>,
    /// Of each row, in the order of the page.
    pub(super) rows: Vec<u64>,
}

/// The one sentence that matters most.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// `clear`, `warn` or `fail`.
    pub(super) mood: &'static str,
    pub(super) text: String,
    /// What the title of the browser's tab begins with.
    pub(super) count: usize,
}

/// Checks that are shown together.
pub(super) struct Group {
    pub(super) head: String,
    pub(super) open: bool,
    pub(super) rows: Vec<Row>,
}

/// One line of a group.
pub(super) struct Row {
    pub(super) view: Arc<CheckView>,
    pub(super) html: String,
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
#[template(path = "cards.html")]
struct CardsPart<'a> {
    away: Vec<Agent<'a>>,
    cards: Vec<Card<'a>>,
    more: usize,
}

struct Card<'a> {
    view: &'a CheckView,
    kind: String,
    address: String,
    sentence: &'a str,
    since: Option<String>,
    log: String,
}

#[derive(Template)]
#[template(path = "agents.html")]
struct AgentsPart<'a> {
    agents: Vec<Agent<'a>>,
}

struct Agent<'a> {
    id: &'a str,
    online: bool,
    since: String,
    version: &'a str,
    host: &'a str,
    os: &'a str,
    checks: u32,
    /// What is wrong with its clock, if anything.
    clock: Option<String>,
}

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPart<'a> {
    faults: Vec<Shown<'a>>,
}

struct Shown<'a> {
    word: &'static str,
    fault: &'a Fault,
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

impl Views {
    pub(super) fn of(board: &Board, zone: Tz, stamp: String) -> Self {
        let checks = board.checks();
        let agents = board.agents();
        let faults = board.faults();
        let groups = groups(&checks);
        let shape = hash(&groups.iter().map(Together::names).collect::<Vec<_>>());
        let fold = checks.len() >= FOLD_FROM;
        let faults_part = FaultsPart { faults: faults.iter().map(shown).collect() };
        let agents_part = AgentsPart { agents: agents.iter().map(|a| agent(a, zone)).collect() };
        let (faults_html, agents_html) = (render(&faults_part), render(&agents_part));
        let cards = cards(&checks, &agents, zone);
        let groups: Vec<_> = groups.into_iter().map(|group| group.render(fold)).collect();
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

/// What a check looks at, and from where.
fn kind(view: &CheckView) -> String {
    match (&view.sub_kind, &view.agent) {
        (Some(kind), Some(agent)) => format!("{kind} @ {agent}"),
        (Some(kind), None) => format!("{kind}, remote"),
        (None, Some(agent)) => format!("{} @ {agent}", view.kind),
        (None, None) => view.kind.clone(),
    }
}

/// The checks that fail, without the sequences that only repeat what a member of theirs says better.
fn failing(checks: &[Arc<CheckView>]) -> Vec<&CheckView> {
    let fails = |view: &CheckView| view.state.word() == "fail";
    let own = checks.iter().filter(|view| fails(view) && view.kind != "sequence");
    let own: HashSet<&str> = own.map(|view| view.name.as_str()).collect();
    let repeats = |view: &CheckView| {
        view.kind == "sequence" && view.members.iter().any(|m| own.contains(m.as_str()))
    };
    checks.iter().map(Arc::as_ref).filter(|view| fails(view) && !repeats(view)).collect()
}

/// What is to be said of a check in one sentence.
pub(super) fn sentence(view: &CheckView) -> &str {
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
    let fail = failing(checks).len();
    let parts = [
        (fail, "check fails", "checks fail"),
        (away, "agent is offline", "agents are offline"),
        (errors, "part of the configuration does not run", "parts of the configuration do not run"),
        (count("blocked"), "check is blocked", "checks are blocked"),
        (count("stale"), "check is stale", "checks are stale"),
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

fn cards(checks: &[Arc<CheckView>], agents: &[Arc<AgentView>], zone: Tz) -> String {
    let mut cards = failing(checks);
    let more = cards.len().saturating_sub(CARDS);
    cards.truncate(CARDS);
    render(&CardsPart {
        away: agents.iter().filter(|agent| !agent.online).map(|a| agent(a, zone)).collect(),
        cards: cards.into_iter().map(card).collect(),
        more,
    })
}

fn card(view: &CheckView) -> Card<'_> {
    let lines = &view.state.log;
    let mut log = lines[..lines.len().min(CARD_LINES)].join("\n");
    if lines.len() > CARD_LINES {
        log.push_str("\n…");
    }
    // A log that only repeats the sentence says nothing.
    if log == sentence(view) {
        log.clear();
    }
    Card {
        kind: kind(view),
        address: check_address(view.name.as_str()),
        sentence: sentence(view),
        since: view.state.last_fail.map(|at| time::people(at, view.zone)),
        log,
        view,
    }
}

fn agent(view: &AgentView, zone: Tz) -> Agent<'_> {
    let ahead = view.clock_ahead.filter(|ahead| ahead.unsigned_abs() >= CLOCK_SLACK);
    Agent {
        id: view.id.as_str(),
        online: view.online,
        since: time::people(view.since, zone),
        version: &view.info.version,
        host: &view.info.host,
        os: &view.info.os,
        checks: view.info.checks,
        clock: ahead.map(|ahead| {
            let way = if ahead > 0 { "ahead" } else { "behind" };
            format!("its clock is {} s {way}", ahead.unsigned_abs())
        }),
    }
}

fn shown(fault: &Fault) -> Shown<'_> {
    let word = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    Shown { word, fault }
}

/// Checks that belong together, before they are rendered.
struct Together<'a> {
    title: String,
    sequence: Option<&'a CheckView>,
    views: Vec<Arc<CheckView>>,
}

impl Together<'_> {
    fn names(&self) -> (&str, Vec<&str>) {
        (&self.title, self.views.iter().map(|view| view.name.as_str()).collect())
    }

    fn render(self, fold: bool) -> Group {
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

/// Each sequence with its members, then what each agent runs, then the rest.
fn groups(checks: &[Arc<CheckView>]) -> Vec<Together<'_>> {
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

pub(super) fn hash(part: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.hash(&mut hasher);
    hasher.finish()
}

/// Renders a part. A template that fails is a fault of the program; the page is shown without that part.
pub(super) fn render(part: &impl Template) -> String {
    part.render().unwrap_or_else(|e| {
        error!(error = &e as &dyn std::error::Error, "a part of a page cannot be made: {e}");
        String::new()
    })
}
