use fletchck_shared::CheckName;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::checks::{Before, Look};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

fn demand(given: Value) -> Demand {
    let mut given = given;
    given["age"] = json!(60);
    let given = given.as_object().expect("options");
    let (demand, faults) = Options::read(given, super::super::KIND.options, Demand::read);
    assert_eq!(faults, []);
    demand.expect("a demand")
}

/// One look: when it begins, what comes when, and when it ends. Answers how the topic is, and what is kept.
fn look(
    demand: &Demand,
    kept: Option<Value>,
    began: i64,
    comes: &[(i64, Message)],
    end: i64,
) -> (Judged, Value) {
    let name = CheckName::try_from("test").expect("a name");
    let before = Before { kept, ..Before::default() };
    let look = Look { name: &name, now: at(began), zone: Tz::UTC, before: &before };
    let memory = Memory::kept("broker:1883", "a/b", &look);
    let mut watch = Watch::new(demand, memory, Tz::UTC, at(began));
    watch.granted(at(began));
    let judged = comes.iter().find_map(|(when, message)| watch.hear(message, at(*when)));
    let judged = judged.unwrap_or_else(|| watch.end(at(end)));
    (judged, watch.memory.keep())
}

fn message(payload: &str, retained: bool) -> Message {
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    Message { bytes: payload.len(), payload: Some(payload), retained, expiry: None }
}

fn live(payload: &str) -> Message {
    message(payload, false)
}

fn retained(payload: &str) -> Message {
    message(payload, true)
}

fn words(judged: &Judged) -> (char, &str) {
    match judged {
        Judged::Good(good) => ('+', &good.words),
        Judged::Doubtful(words) => ('?', words),
        Judged::Bad(words, _) => ('-', words),
    }
}

const NOTHING: &str = "nothing is retained, and nothing came in the 10 s that it was listened to (is the topic right, may \
                       this user hear it, does its publisher send less often?)";

#[test]
fn a_message_that_comes_is_new_and_none_is_a_failure() {
    let demand = demand(json!({}));
    let (judged, _) = look(&demand, None, 0, &[(3, live("ok"))], 10);
    assert_eq!(words(&judged), ('+', "a message came, limit 60 s"));
    let (judged, _) = look(&demand, None, 0, &[], 10);
    assert_eq!(words(&judged), ('-', NOTHING));
}

#[test]
fn a_retained_message_is_judged_by_its_age_and_never_by_its_arrival() {
    let demand = demand(json!({}));
    let ok = [(0, retained("ok"))];
    // First seen: it may be of any age.
    let (judged, kept) = look(&demand, None, 0, &ok, 10);
    let doubt = "how old its retained message is cannot be known yet: it fails unless another one comes within 50 s";
    assert_eq!(words(&judged), ('?', doubt));
    // The same, and nothing came: for as long as the first look is no longer ago than a message may be old.
    let ok = [(40, retained("ok"))];
    let (judged, kept) = look(&demand, Some(kept), 40, &ok, 50);
    let doubt = doubt.replace("50 s", "10 s");
    assert_eq!(words(&judged), ('?', &*doubt));
    // The publisher is dead.
    let ok = [(100, retained("ok"))];
    let (judged, kept) = look(&demand, Some(kept), 100, &ok, 110);
    let dead = "its retained message is the same for 110 s, over the limit of 60 s, and nothing came in the 10 s that it \
                was listened to";
    assert_eq!(words(&judged), ('-', dead));
    // It comes back: another message, and the look before still saw the old one.
    let new = [(140, retained("ok again"))];
    let (judged, kept) = look(&demand, Some(kept), 140, &new, 150);
    let back = "its retained message is at most 40 s old (another one was there then), limit 60 s";
    assert_eq!(words(&judged), ('+', back));
    // It is still young enough, and then it is not.
    let new = [(155, retained("ok again"))];
    let (judged, kept) = look(&demand, Some(kept), 155, &new, 165);
    assert_eq!(words(&judged), ('+', &*back.replace("40 s", "55 s")));
    let new = [(250, retained("ok again"))];
    let (judged, _) = look(&demand, Some(kept), 250, &new, 260);
    assert_eq!(words(&judged), ('-', &*dead.replace("110 s", "2 min")));
}

#[test]
fn a_change_long_after_the_last_look_is_no_proof() {
    let demand = demand(json!({}));
    let (_, kept) = look(&demand, None, 0, &[(0, retained("1"))], 10);
    let (judged, kept) = look(&demand, Some(kept), 300, &[(300, retained("2"))], 310);
    assert_eq!(words(&judged).0, '?', "{judged:?}");
    let (judged, _) = look(&demand, Some(kept), 600, &[(600, retained("2"))], 610);
    assert_eq!(words(&judged).0, '-', "{judged:?}");
}

#[test]
fn listening_for_as_long_as_a_message_may_be_old_is_proof() {
    let demand = demand(json!({}));
    let (judged, _) = look(&demand, None, 0, &[(0, retained("ok"))], 60);
    let proven = "its retained message is older than the limit of 60 s: nothing came while it was listened to for so long";
    assert_eq!(words(&judged), ('-', proven));
    // A publisher that repeats itself is seen while it is listened to, and remembered.
    let (judged, kept) = look(&demand, None, 0, &[(0, retained("ok")), (30, live("ok"))], 60);
    assert_eq!(words(&judged), ('+', "a message came, limit 60 s"));
    let (judged, kept) = look(&demand, Some(kept), 80, &[(80, retained("ok"))], 90);
    assert_eq!(words(&judged), ('+', "its last message came 50 s ago, limit 60 s"));
    let (judged, _) = look(&demand, Some(kept), 100, &[(100, retained("ok"))], 110);
    assert_eq!(words(&judged).0, '-', "{judged:?}");
}

#[test]
fn messages_that_are_not_retained_are_remembered() {
    let demand = demand(json!({"warnAge": 30}));
    let (_, kept) = look(&demand, None, 0, &[(5, live("ok"))], 10);
    let (judged, kept) = look(&demand, Some(kept), 20, &[], 21);
    assert_eq!(words(&judged), ('+', "its last message came 16 s ago, limit 60 s"));
    let (judged, kept) = look(&demand, Some(kept), 44, &[], 45);
    let Judged::Good(good) = &judged else { panic!("{judged:?}") };
    assert_eq!(good.words, "its last message came 40 s ago, over the warning at 30 s, limit 60 s");
    assert!(good.warning);
    let (judged, kept) = look(&demand, Some(kept), 100, &[], 110);
    let last = NOTHING.replace(" (is", ", the last message came 105 s ago (is");
    assert_eq!(words(&judged), ('-', &*last));
    // Of another broker or topic nothing is known, nor from the future.
    for (key, value) in
        [("broker", json!("other:1883")), ("topic", json!("a/c")), ("newest", json!(at(500)))]
    {
        let mut other = kept.clone();
        other["newest"] = json!(at(100));
        assert_eq!(words(&look(&demand, Some(other.clone()), 110, &[], 120).0).0, '+');
        other[key] = value;
        assert_eq!(words(&look(&demand, Some(other), 110, &[], 120).0), ('-', NOTHING));
    }
    assert_eq!(words(&look(&demand, Some(json!("nonsense")), 110, &[], 120).0), ('-', NOTHING));
}

#[test]
fn an_old_retained_message_beside_new_ones_proves_nothing() {
    let demand = demand(json!({"contains": "ok"}));
    let (judged, kept) = look(&demand, None, 0, &[(0, retained("broken")), (5, live("ok"))], 10);
    assert_eq!(words(&judged), ('+', "a message came, limit 60 s"));
    // The old one is still there, and older than the one that was heard.
    let (judged, kept) = look(&demand, Some(kept), 30, &[(30, retained("broken"))], 31);
    assert_eq!(words(&judged), ('+', "its last message came 25 s ago, limit 60 s"));
    // Another one is newer.
    let (judged, kept) = look(&demand, Some(kept), 50, &[(50, retained("worse"))], 51);
    let worse = "expected `ok` in its payload, which begins with `worse`";
    assert_eq!(words(&judged), ('-', worse));
    let (judged, _) = look(&demand, Some(kept), 55, &[(55, retained("worse"))], 56);
    assert_eq!(words(&judged), ('-', worse), "what was heard before it does not count any more");
}

#[test]
fn a_bad_message_fails_at_once_and_is_remembered() {
    let demand = demand(json!({"jsonPath": "$.ok", "jsonIs": "true"}));
    let (_, kept) = look(&demand, None, 0, &[(5, live(r#"{"ok": true}"#))], 10);
    let (judged, kept) = look(&demand, Some(kept), 20, &[(21, live(r#"{"ok": false}"#))], 22);
    assert_eq!(words(&judged), ('-', "a message came, $.ok is false, expected true"));
    let (judged, _) = look(&demand, Some(kept), 30, &[], 40);
    assert_eq!(words(&judged), ('-', NOTHING));
}

#[test]
fn a_time_in_the_payload_decides_wherever_it_is() {
    let demand = demand(json!({"timestampPath": "$.t", "warnAge": 20}));
    let sent = |ago: i64| format!(r#"{{"t": {}}}"#, at(100 - ago).timestamp());
    for kind in [retained as fn(&str) -> Message, live] {
        let name = if kind("").retained { "its retained message" } else { "its message" };
        for (ago, judged) in [
            (0, ('+', format!("{name} is 0 s old by its `$.t`, limit 60 s"))),
            (30, ('+', format!("{name} is 30 s old by its `$.t`, over the warning at 20 s, limit 60 s"))),
            (60, ('+', format!("{name} is 60 s old by its `$.t`, over the warning at 20 s, limit 60 s"))),
            (61, ('-', "its newest message is 61 s old by its `$.t`, over the limit of 60 s".into())),
            (-60, ('+', format!("{name} is 0 s old by its `$.t`, limit 60 s"))),
            (
                -61,
                (
                    '-',
                    "`$.t` in its payload is 61 s ahead of this machine's clock: one of the two is wrong".into(),
                ),
            ),
        ] {
            let (seen, _) = look(&demand, None, 100, &[(100, kind(&sent(ago)))], 100);
            assert_eq!(words(&seen), (judged.0, &*judged.1));
        }
    }
    // The youngest counts, and one that is young enough ends it.
    let comes = [(100, retained(&sent(300))), (101, live(&sent(200))), (102, live(&sent(250)))];
    let (judged, _) = look(&demand, None, 100, &comes, 110);
    assert!(words(&judged).1.starts_with("its newest message is 3.4 min old"), "{judged:?}");
    let comes = [(100, retained(&sent(300))), (101, live(&sent(10)))];
    assert_eq!(words(&look(&demand, None, 100, &comes, 110).0).0, '+');
    let (judged, _) = look(&demand, None, 100, &[(100, live("{}"))], 110);
    assert_eq!(words(&judged), ('-', "its payload has nothing at `$.t`"));
}

#[test]
fn an_expiry_that_is_known_tells_the_age() {
    let demand = demand(json!({"expiry": 3600}));
    let left = |seconds| Message { expiry: Some(seconds), ..retained("ok") };
    let (judged, _) = look(&demand, None, 0, &[(0, left(3550))], 10);
    let fresh = "its retained message is 50 s old by what is gone of its expiry, limit 60 s";
    assert_eq!(words(&judged), ('+', fresh));
    let (judged, _) = look(&demand, None, 0, &[(0, left(3500))], 10);
    let old =
        "its newest message is 100 s old by what is gone of its expiry, over the limit of 60 s";
    assert_eq!(words(&judged), ('-', old));
    // Of one with another expiry, or with none, nothing is known.
    for message in [left(4000), retained("ok")] {
        assert_eq!(words(&look(&demand, None, 0, &[(0, message)], 10).0).0, '?');
    }
}

#[test]
fn a_message_too_large_to_be_read_is_judged_by_what_is_known_of_it() {
    let large = |bytes, retained| Message { payload: None, bytes, retained, expiry: None };
    let any = demand(json!({}));
    assert_eq!(words(&look(&any, None, 0, &[(1, large(1 << 20, false))], 10).0).0, '+');
    let (judged, kept) = look(&any, None, 0, &[(0, large(1 << 20, true))], 10);
    assert_eq!(words(&judged).0, '?');
    let (judged, _) = look(&any, Some(kept), 30, &[(30, large(2 << 20, true))], 40);
    assert_eq!(words(&judged).0, '+', "{judged:?}");
    let (judged, _) =
        look(&demand(json!({"contains": "x"})), None, 0, &[(1, large(99_999, false))], 10);
    assert_eq!(
        words(&judged),
        ('-', "a message came, its payload is too large to be read (99999 bytes)")
    );
    let (judged, _) =
        look(&demand(json!({"timestampPath": "$"})), None, 0, &[(1, large(9, false))], 10);
    assert_eq!(words(&judged), ('-', "its payload is too large to be read for `$` (9 bytes)"));
}

/// A publisher that dies, and looks from time to time.
#[derive(Clone, Debug)]
struct Life {
    /// When it published, one after another; each time another payload or always the same.
    published: Vec<i64>,
    repeats: bool,
    retains: bool,
    /// When it is looked at, and for how long it is listened each time.
    looks: Vec<i64>,
    listens: i64,
}

fn lives() -> impl Strategy<Value = Life> {
    let times = || proptest::collection::btree_set(0..2000_i64, 1..20);
    (times(), any::<bool>(), any::<bool>(), times(), 0..100_i64).prop_map(
        |(published, repeats, retains, looks, listens)| Life {
            published: published.into_iter().collect(),
            repeats,
            retains,
            looks: looks.into_iter().collect(),
            listens,
        },
    )
}

proptest! {
    /// What is said to be well is well: at no look is a message taken for younger than it is.
    #[test]
    fn a_pass_is_never_wrong(life in lives()) {
        let demand = demand(json!({}));
        let payload = |nth: usize| if life.repeats { "ok".to_owned() } else { nth.to_string() };
        let (mut kept, mut free) = (None, 0);
        for began in life.looks {
            if began < free {
                continue;
            }
            let mut comes = Vec::new();
            let before = life.published.iter().rposition(|when| *when < began);
            if let Some(nth) = before.filter(|_| life.retains) {
                comes.push((began, retained(&payload(nth))));
            }
            let mut end = began + life.listens;
            for (nth, when) in life.published.iter().enumerate() {
                if (began..=end).contains(when) {
                    comes.push((*when, live(&payload(nth))));
                }
            }
            let (judged, keep) = look(&demand, kept, began, &comes, end);
            kept = Some(keep);
            if let Judged::Good(good) = &judged {
                // It ends with the message that settled it, or with the last that could be heard.
                let youngest = life.published.iter().filter(|when| **when <= end).max();
                let age = youngest.map(|when| end - when);
                prop_assert!(age.is_some_and(|age| age <= 60 + life.listens), "{:?} at {}", judged, began);
                if good.words.starts_with("its") {
                    let last = life.published.iter().filter(|when| **when <= began).max();
                    let age = last.map(|when| began - when);
                    prop_assert!(age.is_some_and(|age| age <= 60), "{:?} at {}", judged, began);
                }
            }
            if let Some((when, _)) = comes.iter().find(|(_, message)| !message.retained) {
                end = *when;
            }
            free = end + 1;
        }
    }

    /// What is well is not said to be ill, as long as it is listened to for longer than the publisher is silent.
    #[test]
    fn a_publisher_that_is_heard_never_fails(
        period in 1..50_i64, more in 0..40_i64, repeats: bool, retains: bool,
        waits in proptest::collection::vec(0..400_i64, 1..12)
    ) {
        let demand = demand(json!({}));
        let payload = |when: i64| if repeats { "ok".to_owned() } else { when.to_string() };
        let (mut kept, mut began) = (None, period);
        for wait in waits {
            began += wait;
            let mut comes = Vec::new();
            if retains {
                comes.push((began, retained(&payload((began - 1) / period * period))));
            }
            let end = began + period + more;
            let when = (began + period - 1) / period * period;
            comes.push((when, live(&payload(when))));
            let (judged, keep) = look(&demand, kept, began, &comes, end);
            prop_assert!(matches!(judged, Judged::Good(_)), "{:?} at {}", judged, began);
            (kept, began) = (Some(keep), end + 1);
        }
    }

    #[test]
    fn what_was_kept_by_anybody_is_read_or_left(kept in "\\PC{0,60}", number: i64) {
        for kept in [json!(kept), json!({"broker": "broker:1883", "topic": "a/b", "newest": number})] {
            _ = look(&demand(json!({})), Some(kept), 0, &[(0, retained("ok"))], 10);
        }
    }
}
