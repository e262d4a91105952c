use super::*;

fn id(text: &str) -> AgentId {
    AgentId::try_from(text).expect("an id")
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn live(seconds: i64, connected: impl Into<Option<i64>>) -> Spoken {
    Spoken { at: at(seconds), retained: false, connected: connected.into().map(at) }
}

fn agents() -> Agents {
    Agents::new(Duration::from_secs(30), 3)
}

/// Effects in short: `+nas` shown online, `-nas` shown offline, `!nas` silent, `#nas` labelled, and what is told.
fn short(effects: impl IntoIterator<Item = Effect>) -> String {
    let word = |effect| match effect {
        Effect::Show(view) => format!("{}{}", if view.online { '+' } else { '-' }, view.id),
        Effect::Hide(id) => format!("x{id}"),
        Effect::Silent(id, _) => format!("!{id}"),
        Effect::Labels(id, _) => format!("#{id}"),
        Effect::Tell(_, Presence::Here { again: false }, _) => "here".into(),
        Effect::Tell(_, Presence::Here { again: true }, _) => "back".into(),
        Effect::Tell(_, Presence::Away(since), _) => format!("away@{}", since.timestamp()),
        Effect::Tell(_, Presence::Missing(since), _) => {
            format!("missing@{}", since.timestamp())
        }
    };
    effects.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn status(agents: &mut Agents, online: bool, spoken: Spoken) -> String {
    short(agents.status(&id("nas"), online, spoken).expect("room"))
}

#[test]
fn an_agent_is_away_once_its_grace_is_over_and_back_at_its_birth() {
    let mut agents = agents();
    assert_eq!(status(&mut agents, true, live(0, 0)), "+nas here");
    assert_eq!(status(&mut agents, false, live(100, 0)), "-nas");
    assert_eq!(agents.next(), Some(at(130)));
    assert_eq!(short(agents.tick(at(129))), "");
    assert_eq!(short(agents.tick(at(130))), "-nas !nas away@100");
    assert_eq!(agents.next(), None);
    assert_eq!(status(&mut agents, false, live(150, 0)), "", "it is known to be away");
    assert_eq!(status(&mut agents, true, live(200, 200)), "+nas back");
}

#[test]
fn a_short_absence_is_told_to_nobody() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    status(&mut agents, false, live(100, 0));
    assert_eq!(status(&mut agents, true, live(110, 110)), "+nas");
    assert_eq!(short(agents.tick(at(1000))), "");
}

#[test]
fn the_death_of_an_older_connection_is_ignored() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    // The new connection's birth overtakes the old one's death.
    assert_eq!(status(&mut agents, true, live(60, 60)), "+nas");
    assert_eq!(status(&mut agents, false, live(61, 0)), "");
    assert_eq!(agents.next(), None);
    // Info alone says it as well.
    let info = Info { connected: Some(at(90)), ..Info::default() };
    agents.info(&id("nas"), info, live(90, None)).expect("room");
    assert_eq!(status(&mut agents, false, live(91, 60)), "");
    assert_eq!(status(&mut agents, false, live(92, 90)), "-nas");
}

#[test]
fn a_death_counts_although_info_tells_the_time_of_its_connection_more_precisely() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    let connected = Some(at(0) + TimeDelta::nanoseconds(900));
    agents.info(&id("nas"), Info { connected, ..Info::default() }, live(1, None)).expect("room");
    assert_eq!(status(&mut agents, false, live(10, 0)), "-nas");
}

#[test]
fn a_clock_that_was_set_back_does_not_keep_an_agent_dead() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 5000));
    status(&mut agents, false, live(10, 5000));
    assert_eq!(status(&mut agents, true, live(20, 20)), "+nas");
    assert_eq!(status(&mut agents, false, live(30, 20)), "-nas");
}

#[test]
fn a_death_without_a_time_counts_and_life_after_it_does_too() {
    let mut agents = agents();
    status(&mut agents, true, live(0, None));
    assert_eq!(status(&mut agents, false, live(10, None)), "-nas");
    assert_eq!(short(agents.spoke(&id("nas"), None, at(20))), "+nas");
    assert_eq!(short(agents.spoke(&id("nas"), None, at(21))), "");
    assert_eq!(agents.next(), None);
}

#[test]
fn what_a_broker_kept_from_before_a_death_brings_nobody_back_to_life() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    agents.doubt(at(100));
    assert_eq!(short(agents.spoke(&id("nas"), Some(at(99)), at(101))), "");
    assert_eq!(short(agents.tick(at(220))), "-nas !nas away@100");
    assert_eq!(short(agents.spoke(&id("nas"), Some(at(240)), at(240))), "+nas back");
    // By a clock that is an hour ahead.
    let info = Info { clock: Some(at(3850)), ..Info::default() };
    agents.info(&id("nas"), info, live(250, None)).expect("room");
    status(&mut agents, false, live(300, None));
    assert_eq!(short(agents.spoke(&id("nas"), Some(at(3899)), at(301))), "");
    assert_eq!(short(agents.spoke(&id("nas"), Some(at(3901)), at(301))), "+nas");
}

#[test]
fn agents_known_before_the_start_are_missing_unless_they_come() {
    let mut agents = agents();
    assert_eq!(short(agents.expect([id("nas"), id("pi")], at(0))), "-nas -pi");
    assert_eq!(status(&mut agents, true, live(5, 5)), "+nas here");
    assert_eq!(short(agents.tick(at(120))), "-pi !pi missing@0");
}

#[test]
fn a_fleet_has_the_time_of_its_longest_wait_to_come_back_after_an_outage() {
    // Whoever has just begun to wait for a minute is back after two, however short the grace is.
    let back = i64::try_from(BACK_WITHIN.as_secs()).expect("short");
    let mut agents = agents();
    agents.expect([id("nas"), id("pi")], at(0));
    assert_eq!(agents.next(), Some(at(back)));
    assert_eq!(status(&mut agents, true, live(back - 1, 0)), "+nas here");
    // The broker goes and comes back; before that, `pi` was due.
    agents.doubt(at(back));
    assert_eq!(agents.next(), Some(at(2 * back)));
    assert_eq!(status(&mut agents, true, live(2 * back - 1, 0)), "+nas");
    assert_eq!(short(agents.tick(at(2 * back))), "-pi !pi missing@0");
    // One that goes by itself has its grace.
    status(&mut agents, false, live(1000, 0));
    assert_eq!(agents.next(), Some(at(1030)));
    // And where that is longer, it is so after an outage too.
    agents.limit(Duration::from_secs(600), 3);
    agents.doubt(at(1010));
    assert_eq!(agents.next(), Some(at(1610)));
}

#[test]
fn an_agent_that_dies_before_its_birth_after_an_outage_is_not_waited_for() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    agents.doubt(at(1000));
    let kept = Spoken { retained: true, ..live(1001, 0) };
    assert_eq!(status(&mut agents, false, kept), "", "of before the outage, it may come back");
    assert_eq!(status(&mut agents, false, live(1010, 1009)), "-nas");
    assert_eq!(agents.next(), Some(at(1040)));
    assert_eq!(short(agents.tick(at(1040))), "-nas !nas away@1010");
}

#[test]
fn deaths_that_a_broker_tells_of_as_it_stops_are_no_alerts_however_long_it_is_away() {
    let kept = |at| Spoken { retained: true, ..live(at, 0) };
    // The will comes before the broker goes, and is kept; or it waits for the hub, and comes as soon as the broker is back.
    for (before, after) in [
        (Some(live(98, 0)), Some(kept(150))),
        (Some(live(98, 0)), Some(live(150, 0))),
        (Some(live(98, 0)), None),
        (None, Some(kept(150))),
        (None, Some(live(150, 0))),
    ] {
        for known_first in [true, false] {
            let mut agents = agents();
            status(&mut agents, true, live(0, 0));
            if let Some(before) = before {
                assert_eq!(status(&mut agents, false, before), "-nas");
            }
            // That the broker is back is known a moment before, or after.
            if known_first {
                agents.doubt(at(149));
            }
            if let Some(after) = after {
                status(&mut agents, false, after);
            }
            if !known_first {
                agents.doubt(at(149));
            }
            assert_eq!(agents.next(), Some(at(269)), "{before:?} {after:?} {known_first}");
            assert_eq!(status(&mut agents, true, live(200, 199)), "+nas");
            assert_eq!(agents.next(), None);
        }
    }
}

#[test]
fn what_is_heard_once_the_broker_is_back_is_not_doubted() {
    let mut agents = agents();
    status(&mut agents, true, live(0, 0));
    // Kept by the broker, and told to whoever connects; that it is back is known a moment later.
    let kept = Spoken { retained: true, ..live(100, 0) };
    assert_eq!(status(&mut agents, true, kept), "+nas");
    agents.doubt(at(99));
    assert_eq!(agents.next(), None);
    agents.doubt(at(101));
    assert_eq!(agents.next(), Some(at(221)));
}

#[test]
fn a_retained_death_heard_at_the_start_is_told_as_one() {
    let mut agents = agents();
    let spoken = Spoken { retained: true, ..live(0, -500) };
    assert_eq!(status(&mut agents, false, spoken), "-nas");
    assert_eq!(short(agents.tick(at(30))), "-nas !nas away@0");
}

#[test]
fn the_clock_is_compared_only_while_the_message_is_fresh() {
    let mut agents = agents();
    let info = Info { clock: Some(at(170)), host: "nas.lan".into(), ..Info::default() };
    let clock = |effects: Option<Vec<Effect>>| match effects.as_deref() {
        Some([.., Effect::Show(view)]) => view.clock_ahead,
        other => panic!("{other:?}"),
    };
    let retained = Spoken { retained: true, ..live(50, None) };
    assert_eq!(clock(agents.info(&id("nas"), info.clone(), retained)), None);
    assert_eq!(clock(agents.info(&id("nas"), info, live(50, None))), Some(120));
}

#[test]
fn there_are_no_more_agents_than_may_be_and_a_forgotten_one_makes_room() {
    let mut agents = agents();
    for name in ["a", "b", "c"] {
        assert!(agents.status(&id(name), true, live(0, 0)).is_some());
    }
    assert!(agents.status(&id("d"), true, live(0, 0)).is_none());
    assert!(agents.info(&id("d"), Info::default(), live(0, 0)).is_none());
    assert_eq!(short(agents.spoke(&id("d"), None, at(1))), "");
    agents.status(&id("a"), false, live(1, 0));
    assert_eq!(short(agents.forget(&id("a"))), "xa #a");
    assert_eq!(agents.next(), None);
    assert!(agents.status(&id("d"), true, live(0, 0)).is_some());
}
