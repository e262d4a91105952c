//! What stands above the list of checks: failing checks with their logs, agents, faults of the configuration.

use std::sync::Arc;

use askama::Template;
use fletchck_agent::engine::{AgentView, CheckView};
use fletchck_shared::{
    Tz,
    config::{Fault, Severity},
    time,
    wire::PRESENCE,
};

use super::{failing, kind, render, sentence};
use crate::web::{check::may_run, page::check_address};

/// Failing checks that are shown with their log; the others are in the list below.
const CARDS: usize = 50;

/// Lines of a log that are shown beside others.
const CARD_LINES: usize = 8;

/// A clock that differs by less is none to speak of, in seconds.
const CLOCK_SLACK: u64 = 5;

#[derive(Template)]
#[template(path = "cards.html")]
struct CardsPart<'a> {
    away: Vec<Away<'a>>,
    cards: Vec<Card<'a>>,
    more: usize,
}

/// An agent that is away, in place of the check of its presence.
struct Away<'a> {
    id: &'a str,
    /// Where its presence is shown by itself.
    address: Option<String>,
    sentence: String,
    stale: usize,
}

struct Card<'a> {
    view: &'a CheckView,
    kind: String,
    address: String,
    sentence: &'a str,
    since: Option<String>,
    log: String,
    may_run: bool,
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

/// What needs attention, the worst of it with its log.
pub(super) fn cards(checks: &[Arc<CheckView>], agents: &[Arc<AgentView>], zone: Tz) -> String {
    let mut cards = failing(checks, agents);
    let more = cards.len().saturating_sub(CARDS);
    cards.truncate(CARDS);
    render(&CardsPart {
        away: agents.iter().filter(|agent| !agent.online).map(|a| away(a, checks, zone)).collect(),
        cards: cards.into_iter().map(card).collect(),
        more,
    })
}

fn away<'a>(agent: &'a AgentView, checks: &[Arc<CheckView>], zone: Tz) -> Away<'a> {
    let own = || checks.iter().filter(|view| view.agent.as_ref() == Some(&agent.id));
    let presence = own().find(|view| view.sub_kind.as_deref() == Some(PRESENCE));
    // Without actions for its fleet a hub makes no such check.
    let sentence = presence.map(|view| sentence(view).to_owned()).unwrap_or_else(|| {
        format!("{} is away since {}", agent.id, time::people(agent.since, zone))
    });
    Away {
        id: agent.id.as_str(),
        address: presence.map(|view| check_address(view.name.as_str())),
        sentence,
        stale: own().filter(|view| view.state.word() == "stale").count(),
    }
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
        may_run: may_run(view),
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

/// The agents of the fleet.
pub(super) fn agents(views: &[Arc<AgentView>], zone: Tz) -> String {
    render(&AgentsPart { agents: views.iter().map(|view| agent(view, zone)).collect() })
}

/// What is wrong with the configuration.
pub(super) fn faults(faults: &[Fault]) -> String {
    render(&FaultsPart { faults: faults.iter().map(shown).collect() })
}
