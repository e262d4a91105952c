//! `sequence`: checks that run together, in order of their priority, and pass together.

use super::{Answers, Kind, Opt, Options, Plan, Shape};

/// The entry of `sequence` in the table.
pub const KIND: Kind = Kind {
    name: "sequence",
    summary: "checks that run together, and pass if every one of them does",
    options: &[Opt::new(
        "checks",
        Shape::Checks,
        "none",
        "names of the members; lower priority runs first, equal ones in this order",
    )],
    answers: Answers {
        proves: "Every member passed in one run, in the order of their priority.",
        leaves_open: "Anything between two of its runs.",
        failure: "The sentence lists the members that fail. Another set of failing members is told as a change.",
        matters: "`checks`, and the priority of the members.",
    },
    example: r#"{"type": "sequence", "trigger": {"interval": {"minutes": 5}}, "options": {"checks": ["ram", "load", "root"]}}"#,
    build,
};

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let given = options.given("checks");
    let members = options.checks("checks");
    if members.as_ref().map_or(!given, Vec::is_empty) {
        options.warning("checks", "it has no members, so it always passes", "names of checks");
    }
    let members = members.unwrap_or_default();
    for (nth, name) in members.iter().enumerate() {
        if members[..nth].contains(name) {
            let wrong = format!("`{name}` is named twice; it runs once");
            options.warning("checks", wrong, "each name once");
        }
    }
    let mut once = Vec::with_capacity(members.len());
    for name in members {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    Some(Plan::Sequence(once))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{faults, plan};

    #[test]
    fn members_keep_their_order_and_run_once() {
        let Plan::Sequence(members) = plan("sequence", json!({"checks": ["b", "a", "b"]})) else {
            panic!("a sequence")
        };
        let names: Vec<_> = members.iter().map(|name| name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(faults("sequence", json!({"checks": []})), ["checks"]);
        assert_eq!(faults("sequence", json!({"checks": "a,b"})), ["checks"]);
    }
}
