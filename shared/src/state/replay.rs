//! Replays of what a check can meet with, as tables a person can read, and as properties of any such story.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::{Outcome, Verdict};

/// What happens in a story, one letter each:
/// `P` pass, `F` fail, `w` a pass that is a warning, `W` a warning that is to be told, `a` `b` a sequence failing by that member, `z` its time comes while paused, `d` while blocked,
/// `s` silence of its agent, `x` expiry; `p` `f` a pass and a failure reported by an agent that counts to 1.
fn tell(rule: &Rule, story: &str) -> (State, String) {
    let mut state = State::default();
    let mut told = String::new();
    for (minute, letter) in (0_i64..).zip(story.chars()) {
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let (next, transition) = happen(rule, &state, letter, at);
        state = next;
        told.push(match transition {
            None => '.',
            Some(transition) => match transition.kind {
                TransitionKind::Failed => 'F',
                TransitionKind::Changed => 'C',
                TransitionKind::Recovered => 'P',
            },
        });
    }
    (state, told)
}

fn happen(
    rule: &Rule,
    was: &State,
    letter: char,
    at: DateTime<Utc>,
) -> (State, Option<Transition>) {
    let mut outcome = match letter {
        'P' => Outcome::pass("well"),
        'w' => Outcome::pass("close").warning(true),
        'W' => Outcome::fail("close").warning(true),
        _ => Outcome::fail("not well"),
    };
    outcome.at = at;
    outcome.members = matches!(letter, 'a' | 'b').then(|| letter.to_string());
    let report = Report {
        failure: (letter == 'f').then_some(Failure::Whole),
        fail_count: Some(u32::from(letter == 'f')),
        threshold: Some(1),
        last_check: Some(at),
        ..Report::default()
    };
    let seen = match letter {
        'P' | 'F' | 'w' | 'W' | 'a' | 'b' => Seen::Ran(&outcome),
        'x' => Seen::Expired(&outcome),
        'z' => Seen::Paused(at),
        'd' => Seen::Blocked("other", at),
        's' => Seen::Silent("its agent is away"),
        _ => Seen::Reported(&report, at),
    };
    step(rule, was, seen)
}

fn threshold(threshold: u32) -> Rule {
    Rule { threshold, ..Rule::default() }
}

#[track_caller]
fn check(rule: Rule, story: &str, want: &str) {
    assert_eq!(tell(&rule, story).1, want, "{story}");
}

#[test]
fn a_first_pass_is_no_transition_and_a_first_failure_is() {
    check(threshold(1), "P", ".");
    check(threshold(1), "F", "F");
    check(threshold(1), "FP", "FP");
}

#[test]
fn a_failure_has_lasted_for_its_threshold() {
    check(threshold(2), "PFP", "...");
    check(threshold(2), "FFFF", ".F..");
    check(threshold(3), "FFFP", "..FP");
    check(threshold(3), "PFFPFFPFFF", ".........F");
}

#[test]
fn a_recovery_ends_a_failure_and_nothing_else() {
    check(threshold(2), "FP", "..");
    check(threshold(1), "dP", "..");
    check(threshold(1), "PdP", "...");
}

#[test]
fn failures_may_be_counted_among_the_last_runs() {
    let three_of_five = Rule { threshold: 3, window: Some(5), ..Rule::default() };
    check(three_of_five, "PFPFPFPPPP", ".....FP...");
    check(three_of_five, "FPPPPFPPPPF", "...........");
    check(three_of_five, "FFF", "..F");
    check(
        Rule { threshold: 40, window: Some(64), ..Rule::default() },
        &"FFP".repeat(20),
        &format!("{}F{}", ".".repeat(58), "P"),
    );
    // A pause begins the count anew.
    check(three_of_five, "FFzFF", ".....");
}

#[test]
fn a_recovery_may_take_several_passes_in_a_row() {
    let two = Rule { recover: 2, ..Rule::default() };
    check(two, "FPFPP", "F...P");
    check(two, "FPP", "F.P");
    check(two, "PP", "..");
    check(Rule { threshold: 2, ..two }, "FFPFFPP", ".F....P");
    check(two, "abPbPP", "FC...P");
}

#[test]
fn a_sequence_that_fails_by_other_members_is_told_again() {
    check(threshold(1), "PaabaP", ".F.CCP");
    let (state, _) = tell(&threshold(1), "Pa");
    assert_eq!(state.condition, Condition::Fail(Failure::Members("a".into())));
}

#[test]
fn a_warning_is_told_where_its_owner_asks_for_it_and_getting_worse_is_told_again() {
    check(threshold(1), "PwwP", "....");
    check(threshold(1), "PWWP", ".F.P");
    check(threshold(1), "PWFWP", ".FCCP");
    check(threshold(2), "PWFF", "..F.");
    let (state, _) = tell(&threshold(1), "Pw");
    assert_eq!((state.word(), state.severity()), ("warning", Severity::Warning));
    let (state, _) = tell(&threshold(1), "PW");
    assert!(!state.failing(), "who depends on it goes on");
    assert_eq!(tell(&threshold(1), "PWF").0.severity(), Severity::Critical);
}

#[test]
fn a_blocked_check_tells_nothing_and_goes_on_where_it_was() {
    check(threshold(1), "PdddP", ".....");
    check(threshold(1), "PFddFP", ".F...P");
    check(threshold(1), "PdF", "..F");
}

#[test]
fn a_pause_tells_nothing_and_forgets_failures_counted_before_it() {
    check(threshold(2), "PFzF", "....");
    check(threshold(1), "PFzzP", ".F..P");
    check(threshold(1), "PFzzF", ".F...");
}

#[test]
fn a_silent_agent_changes_nothing_but_the_cover() {
    check(threshold(1), "psp", "...");
    check(threshold(1), "fsp", "F.P");
    check(threshold(1), "fsf", "F..");
    let (state, _) = tell(&threshold(1), "ps");
    assert_eq!((state.word(), state.condition), ("stale", Condition::Pass));
}

#[test]
fn an_expired_remote_check_fails_at_once_whatever_the_agent_counts_to() {
    check(threshold(5), "px", ".F");
    check(threshold(5), "pxp", ".FP");
    let (state, _) = tell(&threshold(1), "px");
    assert_eq!(state.last_check, Some(DateTime::UNIX_EPOCH), "the agent's clock, not the hub's");
}

#[test]
fn a_reported_failure_counts_from_the_agents_threshold_on() {
    let report = |fail_count, threshold| Report {
        failure: Some(Failure::Whole),
        fail_count,
        threshold,
        ..Report::default()
    };
    let failing = |report: Report| {
        let seen = Seen::Reported(&report, DateTime::UNIX_EPOCH);
        step(&Rule::default(), &State::default(), seen).1.is_some()
    };
    assert!(!failing(report(Some(1), Some(2))));
    assert!(failing(report(Some(2), Some(2))));
    // What the original cannot take, and ends its receiving thread for.
    assert!(failing(report(None, Some(2))));
    assert!(failing(report(Some(1), None)));
    assert!(failing(report(None, None)));
}

#[test]
fn a_paused_remote_check_stores_its_state_and_shows_no_failure() {
    let rule = Rule { paused: true, ..Rule::default() };
    let (state, told) = tell(&rule, "pff");
    assert_eq!(told, "...");
    assert_eq!((state.word(), state.failing(), state.fail_count), ("paused", false, 1));
    assert!(state.last_update.is_some());
}

#[test]
fn the_words_of_a_state_are_the_fields() {
    for (story, word, failing) in [
        ("", "unknown", false),
        ("P", "pass", false),
        ("F", "fail", true),
        ("Fz", "paused", false),
        ("Pd", "blocked", true),
        ("fs", "stale", true),
    ] {
        let (state, _) = tell(&threshold(1), story);
        assert_eq!((state.word(), state.failing()), (word, failing), "{story}");
    }
}

proptest! {
    /// Whatever happens: transitions take turns, and a count that is zero exactly after a pass.
    #[test]
    fn transitions_alternate(
        story in "[PFabzdsxpf]{0,60}",
        threshold in 1_u32..5,
        window in proptest::option::of(1_u32..70),
        recover in 1_u32..4,
    ) {
        let rule = Rule { threshold, window, recover, paused: false };
        let (state, told) = tell(&rule, &story);
        let mut failing = false;
        for transition in told.chars().filter(|c| *c != '.') {
            prop_assert_eq!(failing, transition != 'F', "{}: {}", story, told);
            failing = transition != 'P';
        }
        if story.ends_with('P') {
            prop_assert_eq!(state.fail_count, 0);
        }
        if story.ends_with(&"P".repeat(recover as usize)) {
            prop_assert!(state.condition != Condition::Unknown && !state.condition.failing());
        }
    }

    /// A story told in two halves with a restart in between is the same story: the state holds all there is.
    #[test]
    fn a_restart_changes_nothing(story in "[PFabzdsxpf]{1,40}", cut in 0_usize..40) {
        let rule = Rule::default();
        let cut = cut.min(story.len());
        let (half, _) = tell(&rule, &story[..cut]);
        let stored = serde_json::to_string(&half).expect("a state is JSON");
        let mut restored: State = serde_json::from_str(&stored).expect("and back");
        prop_assert_eq!(&restored, &half);
        for (minute, letter) in (0_i64..).zip(story.chars()).skip(cut) {
            let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
            restored = happen(&rule, &restored, letter, at).0;
        }
        prop_assert_eq!(restored, tell(&rule, &story).0);
    }
}

#[test]
fn an_outcome_shows_itself_in_the_state() {
    let mut outcome =
        Outcome::fail("expected 220, got `421 busy`").level("3 days").soft_fail("certificate");
    outcome.at = DateTime::UNIX_EPOCH;
    let (state, _) = step(&Rule::default(), &State::default(), Seen::Ran(&outcome));
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(state.text, outcome.text);
    assert_eq!(state.level, outcome.level);
    assert_eq!(state.soft_fail, outcome.soft_fail);
}
