//! The `checks` section: every entry, and what the checks have to do with each other.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    check::{Common, Draft, draft},
    edges::{Cut, Edge, Names, Why, cut_circles},
};
use crate::{
    CheckName,
    config::{Check, Fault, Kinds, Path, Site},
};

const ALWAYS: &str = "this check runs without it";
const MEMBER: &str = "the sequence runs without it";

/// Reads all checks of a site whose other sections are read already.
///
/// What a check that is left out means to others: a sequence runs without it, for its other members must still be
/// watched, and a check that depends on it runs always, for an alert too many is better than one too few.
pub(super) fn checks(
    map: &Map<String, Value>,
    path: &Path,
    kinds: &impl Kinds,
    site: &Site,
    common: &Common<'_>,
    faults: &mut Vec<Fault>,
) -> IndexMap<CheckName, Check> {
    let mut drafts: Vec<Draft<'_>> =
        map.iter().map(|(key, value)| draft(key, value, path.key(key), kinds, common)).collect();
    out_of_place(&mut drafts, kinds, site);
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

/// Checks that cannot run at this site, whatever their options.
fn out_of_place(drafts: &mut [Draft<'_>], kinds: &impl Kinds, site: &Site) {
    for draft in drafts {
        let kind = draft.check.as_ref().map(|(_, check)| check.kind.as_str());
        if let Some((wrong, right)) = kind.and_then(|kind| kinds.out_of_place(kind, site)) {
            draft.faults.push(Fault::error(draft.path.key("type"), wrong, right));
            draft.check = None;
        }
    }
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

/// Checks that hang on each other in a circle would block each other for ever once one fails.
fn cut_cycles(drafts: &mut [Draft<'_>], edges: &mut Vec<Edge>) {
    for cut in cut_circles(drafts.len(), edges) {
        let Some(first) = cut.told.first() else { continue };
        let fault = Fault::error(
            list_path(&drafts[first.from].path, cut.why).index(first.place),
            told(drafts, &cut),
            match cut.why {
                Why::Depends => {
                    "leave out one of these; until then they run as if they did not depend"
                }
                Why::Member => {
                    "leave out one of these; until then none of them has the next as a member"
                }
            },
        );
        drafts[first.from].faults.push(fault);
    }
}

/// A circle in words, beginning where it is cut.
fn told(drafts: &[Draft<'_>], cut: &Cut) -> String {
    let mut text = "a circle:".to_owned();
    for (number, edge) in cut.told.iter().enumerate() {
        let verb = if edge.why == Why::Depends { "depends on" } else { "has the member" };
        match number {
            0 => text.push_str(&format!(" `{}`", drafts[edge.from].key)),
            _ => text.push_str(", which"),
        }
        text.push_str(&format!(" {verb} `{}`", drafts[edge.to].key));
    }
    if cut.more > 0 {
        text.push_str(&format!(", and so on over {} more", cut.more));
    }
    text
}

/// A sequence that lost all its members would always pass, so it is left out, and so on with those that have it as a
/// member.
fn without_members(drafts: &mut [Draft<'_>], edges: &mut Vec<Edge>) {
    let mut members = vec![0_usize; drafts.len()];
    let mut into = vec![Vec::new(); drafts.len()];
    for edge in edges.iter() {
        members[edge.from] += usize::from(edge.why == Why::Member);
        into[edge.to].push(*edge);
    }
    let sequence = |draft: &Draft<'_>| draft.check.is_some() && !draft.members.is_empty();
    let empty = |&number: &usize| sequence(&drafts[number]) && members[number] == 0;
    let mut lost: VecDeque<usize> = (0..drafts.len()).filter(empty).collect();
    while let Some(number) = lost.pop_front() {
        drafts[number].check = None;
        let path = list_path(&drafts[number].path, Why::Member);
        let right = "a member that runs; this sequence does not run until it has one";
        drafts[number].faults.push(Fault::error(path, "none of its members runs", right));
        let key = drafts[number].key;
        for edge in &into[number] {
            let draft = &mut drafts[edge.from];
            if draft.check.is_none() {
                continue;
            }
            let instead = if edge.why == Why::Depends { ALWAYS } else { MEMBER };
            let path = list_path(&draft.path, edge.why).index(edge.place);
            let wrong = format!("check `{key}` does not run, so {instead}");
            draft.faults.push(Fault::warning(path, wrong, format!("mend the check `{key}`")));
            if edge.why == Why::Member {
                members[edge.from] -= 1;
                if members[edge.from] == 0 {
                    lost.push_back(edge.from);
                }
            }
        }
    }
    edges.retain(|edge| drafts[edge.from].check.is_some() && drafts[edge.to].check.is_some());
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
