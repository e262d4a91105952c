use std::io::Write as _;

use fletchck_shared::Verdict;
use serde_json::{Value, json};

use super::*;
use crate::checks::{
    Before,
    testing::{faults, look, look_after, probe},
};

/// What is seen of this machine; `None` where its system lets nobody here ping.
async fn local(host: &str, more: Value) -> Option<Outcome> {
    let mut options = json!({"hostname": host, "spacing": 0.01});
    for (key, value) in more.as_object().expect("options") {
        options[key] = value.clone();
    }
    let outcome = look(&*probe("ping", options)).await;
    let forbidden = outcome.soft_fail.as_deref() == Some("permission");
    // There is no way around a system without IPv6 either.
    let missing = outcome.text.contains("there is no route to ::1");
    if forbidden || missing {
        // What a test prints is hidden where it passes; one that saw nothing must not look like one that passed.
        writeln!(std::io::stderr(), "SKIPPED, the system does not allow it: {}", outcome.text)
            .expect("a line can be written");
        return None;
    }
    Some(outcome)
}

#[tokio::test]
async fn this_machine_answers_in_both_protocols() {
    for (host, version) in [("127.0.0.1", "any"), ("::1", "any"), ("localhost", "ipv4")] {
        let more = json!({"ipVersion": version, "level": 1000});
        let Some(outcome) = local(host, more).await else { continue };
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        let begin = format!("{host} answered 3 of 3 echo requests, the round trip is ");
        assert!(outcome.text.starts_with(&begin), "{outcome:?}");
        assert!(outcome.level.expect("a level").ends_with("ms"));
        let phases: Vec<_> = outcome.phases.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(phases, ["dns", "echo"]);
        // Nothing is waited for once the last answer has come.
        assert!(outcome.phases[1].took < Duration::from_secs(2), "{:?}", outcome.phases);
    }
}

#[tokio::test]
async fn every_size_comes_back_as_it_was() {
    for host in ["127.0.0.1", "::1"] {
        for size in [0, 1, 7, 8, 9, 1473, 65_507 - 20] {
            let Some(outcome) = local(host, json!({"size": size, "count": 2})).await else { break };
            assert_eq!(outcome.verdict, Verdict::Pass, "{host} {size}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn looks_at_one_host_do_not_take_each_others_answers() {
    let looks = (0..40).map(|_| local("127.0.0.1", json!({"count": 5, "size": 16})));
    for outcome in futures_util::future::join_all(looks).await {
        let Some(outcome) = outcome else { return };
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        let heard = outcome.conversation.iter().filter(|line| line.starts_with("< "));
        assert_eq!(heard.count(), 5, "each hears its own alone: {:?}", outcome.conversation);
    }
}

#[tokio::test]
async fn a_round_trip_over_its_level_fails_and_needs_a_margin() {
    let Some(outcome) = local("127.0.0.1", json!({"level": 0.001})).await else { return };
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
    assert!(outcome.text.ends_with("over the limit of 0.001 ms"), "{outcome:?}");
    let failing = Before { failing: true, ..Before::default() };
    let options =
        json!({"hostname": "127.0.0.1", "level": 1000, "hysteresis": 999.999, "spacing": 0.01});
    let outcome = look_after(&*probe("ping", options), &failing).await;
    assert_eq!(outcome.verdict, Verdict::Fail, "{outcome:?}");
}

#[tokio::test]
async fn a_host_that_is_none_is_told() {
    let outcome = look(&*probe("ping", json!({"hostname": "no-such-host.invalid"}))).await;
    assert!(outcome.text.starts_with("no-such-host.invalid: "), "{outcome:?}");
    assert!(outcome.text.contains("no-such-host.invalid"), "{outcome:?}");
    if let Some(outcome) = local("255.255.255.255", json!({})).await {
        let words = "255.255.255.255: this machine does not send to 255.255.255.255: it is a broadcast address, or a \
                     route of this machine prohibits it";
        assert_eq!(outcome.text, words);
    }
    let outcome = look(&*probe("ping", json!({"hostname": "::1", "ipVersion": "ipv4"}))).await;
    assert_eq!(outcome.text, "::1: the name ::1 does not have an IPv4 address");
}

#[test]
fn options_that_cannot_work_are_told() {
    let given = |more: Value| {
        let mut options = json!({"hostname": "a"});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        faults("ping", options)
    };
    assert_eq!(given(json!({"count": 100, "spacing": 0.01, "loss": 99})), Vec::<String>::new());
    assert_eq!(given(json!({"count": 26})), ["count"]);
    assert_eq!(given(json!({"count": 0, "loss": 100, "size": 65_508})), ["count", "size", "loss"]);
    assert_eq!(given(json!({"level": 10, "warn": 20, "port": 7})), ["warn", "port"]);
    assert_eq!(faults("ping", json!({})), ["hostname"]);
}
