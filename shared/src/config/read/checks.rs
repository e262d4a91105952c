//! The `checks` section: every entry, and what the checks have to do with each other.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    check::{Common, Draft, draft},
    edges::{Edge, Names, Why, cycles},
};
use crate::{
    CheckName,
    config::{Check, Fault, Kinds, Path},
};

const ALWAYS: &str = "this check runs without it";
const MEMBER: &str = "the sequence runs without it";

/// Reads all checks.
///
/// What a check that is left out means to others: a sequence runs without it, for its other members must still be
/// watched, and a check that depends on it runs always, for an alert too many is better than one too few.
pub(super) fn checks(
    map: &Map<String, Value>,
    path: &Path,
    kinds: &impl Kinds,
    common: &Common<'_>,
    faults: &mut Vec<Fault>,
) -> IndexMap<CheckName, Check> {
    let mut drafts: Vec<Draft<'_>> =
        map.iter().map(|(key, value)| draft(key, value, path.key(key), kinds, common)).collect();
    remote_ids(&mut drafts);
    let mut edges = resolve(&mut drafts);
    cut_cycles(&mut drafts, &mut edges);
    without_members(&mut drafts, &mut edges);
    join(&mut drafts, &edges);
    for draft in &mut drafts {
        faults.append(&mut draft.faults);
    }
    drafts.into_iter().filter_map(|draft| draft.check).collect()
}

/// Two remote checks of one id would take each other's messages, so only the first runs.
fn remote_ids(drafts: &mut [Draft<'_>]) {
    let mut owners: HashMap<String, String> = HashMap::new();
    for draft in drafts.iter_mut() {
        let Some((_, check)) = &mut draft.check else { continue };
        let Some(id) = check.remote_id.clone() else { continue };
        let path = draft.path.key("remoteId");
        if check.kind != "remote" {
            check.remote_id = None;
            draft.faults.push(Fault::warning(
                path,
                format!("a `{}` check hears of no other", check.kind),
                "leave it out, or make this a check of type `remote`",
            ));
        } else if let Some(owner) = owners.get(&id) {
            draft.faults.push(Fault::error(
                path,
                format!("`{owner}` has the id `{id}` already"),
                "another id: each is heard by one check",
            ));
            draft.check = None;
        } else {
            owners.insert(id, draft.key.into());
        }
    }
    for draft in drafts.iter_mut() {
        let Some((_, check)) = &draft.check else { continue };
        let taken = owners.get(draft.key).filter(|_| check.kind == "remote");
        if let Some(owner) = taken.filter(|_| check.remote_id.is_none()) {
            let wrong = format!("messages of this name go to `{owner}`, whose remoteId it is");
            let right = "another name, or a remoteId for this check too";
            draft.faults.push(Fault::warning(draft.path.clone(), wrong, right));
        }
    }
}

/// Finds whom each check names. Names of checks that are not there, or do not run, are faults of that name alone.
fn resolve(drafts: &mut [Draft<'_>]) -> Vec<Edge> {
    let numbers: HashMap<&str, usize> =
        drafts.iter().enumerate().map(|(number, draft)| (draft.key, number)).collect();
    let known =
        drafts.iter().filter_map(|draft| draft.check.as_ref().map(|(name, _)| name.clone()));
    let left_out = drafts.iter().filter(|d| d.check.is_none()).map(|d| d.key.to_owned());
    let names: Names<CheckName> = Names::new(known, left_out);
    let mut edges = Vec::new();
    for (from, draft) in drafts.iter_mut().enumerate() {
        if draft.check.is_none() {
            continue;
        }
        let lists = [(Why::Depends, &draft.depends), (Why::Member, &draft.members)];
        let mut faults = Vec::new();
        for (why, list) in lists {
            let mut seen = HashSet::new();
            for &(place, name) in list {
                let path = list_path(&draft.path, why).index(place);
                let instead = if why == Why::Depends { ALWAYS } else { MEMBER };
                if !seen.insert(name) {
                    let right = "once is enough, the first counts";
                    faults.push(Fault::warning(path, format!("`{name}` stands here twice"), right));
                    continue;
                }
                match names.find(name, &path, "check", instead) {
                    Ok(_) => edges.push(Edge { from, to: numbers[name], why, place }),
                    Err(fault) => faults.push(fault),
                }
            }
        }
        draft.faults.append(&mut faults);
    }
    edges
}

/// Checks that hang on each other in a circle would block each other for ever once one fails. A dependency is cut
/// rather than a membership, so that every check still runs.
fn cut_cycles(drafts: &mut [Draft<'_>], edges: &mut Vec<Edge>) {
    loop {
        let found = cycles(drafts.len(), edges);
        if found.is_empty() {
            return;
        }
        for cycle in found {
            let why = cycle.iter().map(|edge| edge.why).find(|why| *why == Why::Depends);
            let why = why.unwrap_or(Why::Member);
            let cut = |edge: &&Edge| edge.why == why;
            let Some(first) = cycle.iter().find(cut).copied() else { continue };
            let fault = Fault::error(
                list_path(&drafts[first.from].path, why).index(first.place),
                told(drafts, &cycle, first),
                match why {
                    Why::Depends => {
                        "leave out one of these; until then they run as if they did not depend"
                    }
                    Why::Member => {
                        "leave out one of these; until then none of them has the next as a member"
                    }
                },
            );
            drafts[first.from].faults.push(fault);
            let gone: Vec<(usize, usize)> =
                cycle.iter().filter(cut).map(|edge| (edge.from, edge.to)).collect();
            edges.retain(|edge| edge.why != why || !gone.contains(&(edge.from, edge.to)));
        }
    }
}

/// The whole cycle in words, beginning where it is cut.
fn told(drafts: &[Draft<'_>], cycle: &[Edge], first: Edge) -> String {
    let begin = cycle
        .iter()
        .position(|edge| (edge.from, edge.to) == (first.from, first.to))
        .unwrap_or_default();
    let mut text = format!("a circle: `{}`", drafts[first.from].key);
    for edge in cycle[begin..].iter().chain(&cycle[..begin]) {
        let verb = if edge.why == Why::Depends { "depends on" } else { "has the member" };
        let which =
            if text.contains(" has ") || text.contains(" depends ") { ", which" } else { "" };
        text.push_str(&format!("{which} {verb} `{}`", drafts[edge.to].key));
    }
    text
}

/// A sequence that lost all its members would always pass, so it is left out, and so on with those that have it as a
/// member.
fn without_members(drafts: &mut [Draft<'_>], edges: &mut Vec<Edge>) {
    loop {
        let mut members = vec![0_usize; drafts.len()];
        edges.iter().filter(|e| e.why == Why::Member).for_each(|e| members[e.from] += 1);
        let empty = |(draft, members): (&Draft<'_>, usize)| {
            draft.check.is_some() && !draft.members.is_empty() && members == 0
        };
        let Some(lost) = drafts.iter().zip(members).position(empty) else { return };
        drafts[lost].check = None;
        let path = list_path(&drafts[lost].path, Why::Member);
        let right = "a member that runs; this sequence does not run until it has one";
        drafts[lost].faults.push(Fault::error(path, "none of its members runs", right));
        for edge in edges.extract_if(.., |edge| edge.from == lost || edge.to == lost) {
            if edge.from == lost {
                continue;
            }
            let instead = if edge.why == Why::Depends { ALWAYS } else { MEMBER };
            let key = drafts[lost].key;
            let path = list_path(&drafts[edge.from].path, edge.why).index(edge.place);
            let wrong = format!("check `{key}` does not run, so {instead}");
            let fault = Fault::warning(path, wrong, format!("mend the check `{key}`"));
            drafts[edge.from].faults.push(fault);
        }
    }
}

/// Gives every check the names that are left of its lists.
fn join(drafts: &mut [Draft<'_>], edges: &[Edge]) {
    let names: Vec<Option<CheckName>> =
        drafts.iter().map(|draft| draft.check.as_ref().map(|(name, _)| name.clone())).collect();
    let mut members: Vec<Vec<Value>> = vec![Vec::new(); drafts.len()];
    for edge in edges {
        let Some(name) = &names[edge.to] else { continue };
        match (edge.why, &mut drafts[edge.from].check) {
            (Why::Depends, Some((_, check))) => check.depends.push(name.clone()),
            (Why::Member, _) => members[edge.from].push(name.as_str().into()),
            (Why::Depends, None) => {}
        }
    }
    for (draft, members) in drafts.iter_mut().zip(members) {
        if let Some((_, check)) = draft.check.as_mut().filter(|_| !draft.members.is_empty()) {
            check.options.insert("checks".into(), members.into());
        }
    }
}

fn list_path(check: &Path, why: Why) -> Path {
    match why {
        Why::Depends => check.key("depends"),
        Why::Member => check.key("options").key("checks"),
    }
}
