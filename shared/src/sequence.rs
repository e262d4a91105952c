//! The outcome of a sequence, from the states of its members.

use crate::{CheckName, Outcome, State};

/// One member of a sequence, as it stands after its run.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a CheckName,
    /// Its type.
    pub kind: &'a str,
    /// Its state.
    pub state: &'a State,
}

/// Judges a sequence once its members have run: it passes if every member does. Members come in the order they ran.
/// A paused member is named but does not fail the sequence; one that is still unknown does not either.
pub fn judge<'a>(members: impl IntoIterator<Item = Member<'a>>) -> Outcome {
    let mut failing: Vec<&str> = Vec::new();
    let mut log = Vec::new();
    let mut count = 0_usize;
    for Member { name, kind, state } in members {
        count += 1;
        let word = match state.word() {
            "paused" => "PAUSED",
            _ if state.failing() => "FAIL",
            "unknown" => "UNKNOWN",
            "stale" => "STALE",
            _ => "PASS",
        };
        let level = state.level.as_deref().map(|level| format!(" {level}")).unwrap_or_default();
        if word == "FAIL" {
            failing.push(name.as_str());
            log.push(format!("{name} ({kind}): FAIL{level}"));
            log.extend(state.log.iter().cloned());
            log.push(String::new());
        } else {
            log.push(format!("{name} ({kind}): {word}{level}"));
        }
    }
    if failing.is_empty() {
        return Outcome::pass(format!("all {count} members are well")).log(log);
    }
    let text = format!("{} of {count} members fail: {}", failing.len(), failing.join(", "));
    let mut outcome = Outcome::fail(text).log(log);
    outcome.members = Some(failing.join(","));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Verdict,
        state::{Condition, Cover, Failure},
    };

    fn member(condition: Condition, cover: Option<Cover>) -> State {
        State {
            condition,
            cover,
            level: Some(" 7%".into()),
            log: vec!["why".into()],
            ..State::default()
        }
    }

    #[test]
    fn failing_members_are_joined_by_commas_and_paused_ones_do_not_count() {
        let fail = member(Condition::Fail(Failure::Whole), None);
        let pass = member(Condition::Pass, None);
        let paused = member(Condition::Fail(Failure::Whole), Some(Cover::Paused));
        let names = ["a", "b", "c", "d"].map(|n| CheckName::try_from(n).expect("a name"));
        let seen = |states: &[&State]| {
            let members = names.iter().zip(states.iter().copied());
            judge(members.map(|(name, state)| Member { name, kind: "disk", state }))
        };
        let outcome = seen(&[&fail, &pass, &paused, &fail]);
        assert_eq!(outcome.members.as_deref(), Some("a,d"));
        assert_eq!(outcome.text, "2 of 4 members fail: a, d");
        let log = ["a (disk): FAIL  7%", "why", "", "b (disk): PASS  7%", "c (disk): PAUSED  7%"];
        assert_eq!(outcome.log[..5], log);
        assert_eq!(seen(&[&pass, &paused]).verdict, Verdict::Pass);
    }
}
