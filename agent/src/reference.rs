//! The reference pages and the example with a check of every type, made from the tables of checks and actions. A test
//! compares them with what is in the repository: `FLETCHCK_BLESS=1 cargo test -p fletchck-agent reference` writes them anew.

use std::{env, fmt::Write as _, fs, path::Path};

use fletchck_shared::Tz;
use fletchck_shared::config;
use serde_json::{Map, Value, json};

use crate::{
    actions,
    checks::{self, Answers, Opt},
    config::Built,
};

const CHECKS: &str = "\
# Types of checks

Made from the table in `agent/src/checks`; do not edit.

A check stands in the configuration under its name, as in `\"checks\": {\"root\": {…}}`. Beside `type` and `options` every
check takes the keys that [the configuration](configuration.md) lists: its trigger, how it is judged, who is told. Every
type takes the option `timezone`, the zone of its schedule and of the times it tells.
";

const ACTIONS: &str = include_str!("reference/actions.md");

fn checks_page() -> String {
    let mut page = CHECKS.to_owned();
    for kind in checks::KINDS {
        let example: Value = serde_json::from_str(kind.example).expect("an example is JSON");
        let example = serde_json::to_string_pretty(&example).expect("JSON is written");
        section(&mut page, kind.name, kind.summary, kind.options);
        answers(&mut page, &kind.answers);
        write!(page, "\n```json\n{example}\n```\n").expect("written");
    }
    page
}

fn actions_page() -> String {
    let mut page = ACTIONS.to_owned();
    for kind in actions::KINDS {
        section(&mut page, kind.name, kind.summary, kind.options);
        let how =
            if kind.gathers { "together, after 5 seconds" } else { "each check alone, at once" };
        write!(page, "\nWhat comes close together is told {how}.\n").expect("written");
    }
    page
}

/// A site with a check of every type, each the example of its type.
fn example() -> Value {
    let mut checks = Map::new();
    for kind in checks::KINDS {
        let example: Value = serde_json::from_str(kind.example).expect(kind.name);
        // The names that the example of a sequence has for its members.
        let name = match kind.name {
            "memory" => "ram",
            "cpu" => "load",
            "disk" => "root",
            "load" => "load average",
            other => other,
        };
        checks.insert(name.into(), example);
    }
    // Jobs report to the check `push` over the broker.
    json!({ "mqtt": { "hostname": "hub.example.org" }, "checks": checks })
}

fn section(page: &mut String, name: &str, summary: &str, options: &[Opt]) {
    let (first, rest) = summary.split_at(1);
    let first = first.to_uppercase();
    write!(page, "\n## {name}\n\n{first}{rest}.\n").expect("written");
    if options.is_empty() {
        page.push_str("\nNo options.\n");
        return;
    }
    page.push_str("\n| option | value | default | meaning |\n|---|---|---|---|\n");
    for Opt { name, shape, default, meaning } in options {
        // A `|` would begin another column.
        let (default, meaning) = (default.replace('|', "\\|"), meaning.replace('|', "\\|"));
        writeln!(page, "| `{name}` | {shape} | {default} | {meaning} |").expect("written");
    }
}

fn answers(page: &mut String, answers: &Answers) {
    let Answers { proves, leaves_open, failure, matters } = answers;
    for (question, answer) in [
        ("What does a pass prove?", proves),
        ("What does it leave open?", leaves_open),
        ("What does a failure look like?", failure),
        ("Which options matter?", matters),
    ] {
        write!(page, "\n**{question}** {answer}\n").expect("written");
    }
}

#[test]
fn pages_are_those_of_the_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (file, page) in [
        ("docs/checks.md", checks_page()),
        ("docs/actions.md", actions_page()),
        ("deploy/examples/checks.json", format!("{:#}\n", example())),
    ] {
        let path = root.join(file);
        if env::var_os("FLETCHCK_BLESS").is_some() {
            fs::write(&path, &page).expect("the page is written");
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == page,
            "{file} is out of date: run FLETCHCK_BLESS=1 cargo test -p fletchck-agent reference"
        );
    }
}

#[test]
fn names_are_unique_and_in_order_and_everything_is_said() {
    fn judge(names: Vec<&str>, entries: &[(&str, &[Opt])]) {
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for (summary, options) in entries {
            assert!(!summary.is_empty() && !summary.ends_with('.'), "{summary}");
            let mut seen: Vec<&str> = Vec::new();
            for Opt { name, default, meaning, .. } in *options {
                assert!(!seen.contains(name) && !default.is_empty(), "{summary}: {name}");
                assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{summary}: {name}");
                seen.push(name);
            }
        }
    }
    let kinds = checks::KINDS;
    let entries: Vec<_> = kinds.iter().map(|kind| (kind.summary, kind.options)).collect();
    judge(kinds.iter().map(|kind| kind.name).collect(), &entries);
    let kinds = actions::KINDS;
    let entries: Vec<_> = kinds.iter().map(|kind| (kind.summary, kind.options)).collect();
    judge(kinds.iter().map(|kind| kind.name).collect(), &entries);
}

#[test]
fn examples_make_a_site_without_a_fault() {
    let (site, faults) = config::read(&example(), &Built, Tz::UTC);
    assert_eq!(faults, []);
    assert_eq!(site.checks.len(), checks::KINDS.len());
    for kind in checks::KINDS {
        let check = site.checks.values().find(|check| check.kind == kind.name).expect(kind.name);
        let (plan, faults) = kind.plan(&check.options);
        assert!(plan.is_some() && faults.is_empty(), "{}: {faults:?}", kind.name);
    }
}
