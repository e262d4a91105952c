use std::net::IpAddr;

use fletchck_shared::{Severity, Verdict};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::trouble::{From, Wrong},
    *,
};
use crate::checks::Options;

fn demand(count: u16, loss: f64, limit: Value) -> Demand {
    let given = limit.as_object().expect("options");
    let read = |options: &mut Options<'_>| Some(Limit::read(options, &ROUND_TRIP, None, 0.0));
    let (limit, faults) = Options::read(given, super::super::KIND.options, read);
    assert_eq!(faults, []);
    Demand { count, loss, limit: limit.expect("a limit") }
}

fn trouble() -> Trouble {
    Trouble { wrong: Wrong::Forbidden, from: Some(From::There(IpAddr::from([192, 0, 2, 1]))) }
}

/// Fates by letter: `a` answered, `f` failed, `.` waiting. The nth answer took n milliseconds.
fn tally(fates: &str) -> Tally {
    let mut tally = Tally::default();
    for (seq, fate) in fates.chars().enumerate() {
        tally.send();
        let seq = seq as u16;
        match fate {
            'a' => assert!(tally.answered(seq, Duration::from_millis(u64::from(seq) + 1))),
            'f' => tally.failed(Some(seq), trouble()),
            _ => {}
        }
    }
    tally
}

fn judge(fates: &str, demand: Demand, before: &Before) -> Outcome {
    tally(fates).judge("gate", demand, Duration::from_secs(5), before)
}

#[test]
fn answers_are_judged_in_words() {
    let before = Before::default();
    for (fates, loss, verdict, text, level) in [
        (
            "aaa",
            0.0,
            Verdict::Pass,
            "gate answered 3 of 3 echo requests, the round trip is 2.0 ms",
            Some("2.0ms"),
        ),
        (
            "...",
            0.0,
            Verdict::Fail,
            "gate answered none of 3 echo requests within 5 s: is it up, and does no firewall drop them?",
            None,
        ),
        (
            "a..",
            0.0,
            Verdict::Fail,
            "gate answered 1 of 3 echo requests, 66.7% were lost, over the limit of 0%",
            Some("1.0ms"),
        ),
        (
            "f",
            0.0,
            Verdict::Fail,
            "gate did not answer an echo request: 192.0.2.1 says that it is not let through \
             (administratively prohibited: a firewall?)",
            None,
        ),
        (
            "a.a",
            34.0,
            Verdict::Pass,
            "gate answered 2 of 3 echo requests, enough where 34% may be lost, the round trip is 2.0 ms",
            Some("2.0ms"),
        ),
    ] {
        let outcome = judge(fates, demand(3, loss, json!({})), &before);
        assert_eq!(outcome.text, text);
        assert_eq!((outcome.verdict, outcome.level.as_deref()), (verdict, level), "{fates}");
    }
    let outcome = judge("a.f", demand(3, 50.0, json!({})), &before);
    assert_eq!(
        outcome.log,
        [
            "3 sent, 1 answered, 66.7% lost; round trip 1.0 ms at least, 1.0 ms on average, 1.0 ms at most",
            &trouble().to_string(),
        ]
    );
    let outcome = judge("aa.", demand(3, 50.0, json!({})), &before);
    assert!(outcome.log[0].starts_with("3 sent, 2 answered, 1 not waited for; "), "{outcome:?}");
}

#[test]
fn a_round_trip_has_a_limit_with_a_margin_and_a_warning() {
    let demand = demand(3, 0.0, json!({"level": 3, "hysteresis": 2, "warn": 1.5}));
    let failing = Before { failing: true, ..Before::default() };
    let outcome = judge("aaa", demand, &Before::default());
    assert_eq!(
        outcome.text,
        "gate answered 3 of 3 echo requests, the round trip is 2.0 ms, over the warning at 1.5 ms (limit 3 ms)"
    );
    assert_eq!(outcome.severity(), Severity::Warning);
    let outcome = judge("aaa", demand, &failing);
    assert!(outcome.text.ends_with("is 2.0 ms, well again below 1 ms (limit 3 ms)"), "{outcome:?}");
    assert_eq!(outcome.verdict, Verdict::Fail);
}

#[test]
fn it_is_settled_once_nothing_changes_the_verdict() {
    for (fates, loss, settled) in [
        ("", 0.0, false),
        ("aa", 0.0, false),
        ("aaa", 0.0, true),
        ("f", 0.0, true),
        (".", 0.0, false),
        ("f", 34.0, false),
        ("ff", 34.0, true),
        ("aa", 34.0, true),
    ] {
        assert_eq!(tally(fates).settled(demand(3, loss, json!({}))), settled, "{fates} {loss}");
    }
}

#[test]
fn an_answer_counts_once_and_comes_before_what_was_said_of_it() {
    let mut tally = tally(".f");
    assert!(tally.answered(1, Duration::from_millis(1)));
    assert!(!tally.answered(1, Duration::from_millis(9)), "twice");
    assert!(!tally.answered(2, Duration::from_millis(9)), "never sent");
    tally.failed(Some(1), trouble());
    tally.failed(Some(7), trouble());
    tally.failed(None, trouble());
    assert_eq!(tally.fates, [Fate::Failed(trouble()), Fate::Answered(Duration::from_millis(1))]);
}

proptest! {
    #[test]
    fn it_passes_if_no_more_than_allowed_are_lost(
        fates in proptest::collection::vec(prop_oneof![Just('a'), Just('f'), Just('.')], 1..30),
        loss in 0_u8..=99
    ) {
        let count = fates.len() as u16;
        let demand = demand(count, f64::from(loss), json!({}));
        let answered = fates.iter().filter(|fate| **fate == 'a').count();
        let lost = fates.len() - answered;
        let allowed = answered > 0 && lost * 100 <= fates.len() * usize::from(loss);
        let fates: String = fates.into_iter().collect();
        let outcome = judge(&fates, demand, &Before::default());
        prop_assert_eq!(outcome.verdict == Verdict::Pass, allowed, "{} {}", fates, loss);
        // Once it is settled, it is that whatever becomes of the rest.
        if tally(&fates).settled(demand) {
            let best = judge(&fates.replace('.', "a"), demand, &Before::default());
            prop_assert_eq!(best.verdict, outcome.verdict);
        }
    }
}
