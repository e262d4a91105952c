//! Checks that run elsewhere.

use super::*;

/// A message as an agent sends it; `minute` is its own clock's.
fn message(running: &Running, name: &str, fails: bool, second: i64) -> Value {
    let at = running.wall.now() + TimeDelta::seconds(second);
    json!({ "name": name, "type": "disk", "data": {
        "failState": fails, "failCount": i32::from(fails), "threshold": 1, "log": [], "softFail": null,
        "lastCheck": at.to_rfc3339(), "lastFail": null, "lastPass": null, "level": " 7%",
    } })
}

fn by(agent: &str, mut message: Value) -> Value {
    message["agent"] = agent.into();
    message
}

#[tokio::test]
async fn an_unknown_name_is_added_at_once_and_kept_over_a_restart() {
    let running = Running::start(json!({})).await;
    running.hear(None, "v1/disk", &message(&running, "disk", true, 0)).await;
    let view = running.view("disk");
    assert_eq!((view.kind.as_str(), view.sub_kind.as_deref()), ("remote", Some("disk")));
    assert!(view.added);
    let running = running.restart(json!({})).await;
    assert_eq!(running.view("disk").state, view.state);
    running.hear(None, "v1/disk", &message(&running, "disk", false, 1)).await;
    assert_eq!(running.transitions("disk").await, ["failed", "recovered"]);
}

#[tokio::test]
async fn two_agents_with_the_same_name_stay_apart_on_fleet_topics() {
    let running = Running::start(json!({})).await;
    for (agent, fails) in [("nas", true), ("pi", false)] {
        let topic = format!("fletchck/{agent}/check/root");
        running.hear(Some(agent), &topic, &by(agent, message(&running, "root", fails, 0))).await;
    }
    assert_eq!(running.view("nas/root").state.word(), "fail");
    assert_eq!(running.view("pi/root").state.word(), "pass");
    assert_eq!(running.view("pi/root").agent.as_ref().map(AgentId::as_str), Some("pi"));
}

#[tokio::test]
async fn one_check_heard_on_both_kinds_of_topics_is_one_check() {
    let running = Running::start(json!({})).await;
    let seen = by("nas", message(&running, "root", false, 0));
    running.hear(Some("nas"), "fletchck/nas/check/root", &seen).await;
    running.hear(None, "v1/root", &seen).await;
    let names: Vec<_> = running.board().checks().iter().map(|v| v.name.to_string()).collect();
    assert_eq!(names, ["nas/root"]);
}

#[tokio::test]
async fn a_clash_of_names_on_version_1_topics_is_reported_and_the_first_stays() {
    let running = Running::start(json!({})).await;
    running.hear(None, "v1/a/root", &message(&running, "root", false, 0)).await;
    running.hear(None, "v1/b/root", &message(&running, "root", true, 1)).await;
    let view = running.view("root");
    assert_eq!(view.state.word(), "pass");
    let notice = view.notice.as_deref().expect("reported");
    assert!(notice.contains("`v1/a/root` and `v1/b/root`"), "{notice}");

    running.ask(Request::Cleared("v1/a/root".into())).await;
    running.hear(None, "v1/b/root", &message(&running, "root", true, 2)).await;
    let view = running.view("root");
    assert_eq!((view.state.word(), view.notice.as_deref()), ("fail", None));
}

#[tokio::test]
async fn a_local_check_is_never_overwritten() {
    let running = Running::start(json!({ "checks": { "root": { "type": "disk" } } })).await;
    running.hear(None, "v1/root", &message(&running, "root", true, 0)).await;
    assert_eq!(running.view("root").state.word(), "unknown");
    assert_eq!(running.board().checks().len(), 1);
}

#[tokio::test]
async fn the_remote_id_stands_before_the_name() {
    let running = Running::start(json!({ "checks": {
        "root": { "type": "remote", "remoteId": "other" },
        "cellar": { "type": "remote", "remoteId": "root" },
    } }))
    .await;
    running.hear(None, "v1/root", &message(&running, "root", true, 0)).await;
    assert_eq!(running.view("cellar").state.word(), "fail");
    assert_eq!(running.view("root").state.word(), "unknown");
}

#[tokio::test]
async fn an_older_message_changes_nothing() {
    let running = Running::start(json!({})).await;
    running.hear(None, "v1/root", &message(&running, "root", true, 10)).await;
    running.hear(None, "v1/root", &message(&running, "root", false, 5)).await;
    assert_eq!(running.view("root").state.word(), "fail");
    // An hour back is a clock that was set, not a message that was overtaken.
    running.hear(None, "v1/root", &message(&running, "root", false, -3600)).await;
    assert_eq!(running.view("root").state.word(), "pass");
}

#[tokio::test]
async fn silence_beyond_its_timeout_fails_a_check_once() {
    let running = Running::start(with_log(json!({
        "root": { "type": "remote", "options": { "timeout": 60 }, "actions": ["tell"] },
    })))
    .await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    running.wall.pass(TimeDelta::seconds(59));
    running.ask(Request::Run(name("root"))).await;
    assert_eq!(running.view("root").state.word(), "pass");
    running.wall.pass(TimeDelta::seconds(2));
    running.ask(Request::Run(name("root"))).await;
    running.ask(Request::Run(name("root"))).await;
    let view = running.view("root");
    assert_eq!(view.state.word(), "fail");
    assert!(view.state.log[0].starts_with("Update timeout 60 sec ("), "{:?}", view.state.log);
    assert_eq!(running.transitions("root").await, ["failed!"]);
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    assert_eq!(running.transitions("root").await, ["failed!", "recovered!"]);
}

#[tokio::test]
async fn a_clock_that_is_set_neither_ends_nor_stretches_the_time_of_an_agent() {
    let running = Running::start(json!({
        "checks": { "root": { "type": "remote", "options": { "timeout": 60 } } },
    }))
    .await;
    for step in [TimeDelta::hours(1), TimeDelta::hours(-1)] {
        running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
        running.wall.pass(TimeDelta::seconds(30));
        running.wall.set_by(step);
        running.ask(Request::Run(name("root"))).await;
        assert_eq!(running.view("root").state.word(), "pass", "{step}");
        running.wall.pass(TimeDelta::seconds(59));
        running.ask(Request::Run(name("root"))).await;
        assert_eq!(running.view("root").state.word(), "pass", "{step}");
        running.wall.pass(TimeDelta::seconds(2));
        running.ask(Request::Run(name("root"))).await;
        assert_eq!(running.view("root").state.word(), "fail", "{step}");
    }
}

#[tokio::test]
async fn a_hub_that_was_down_gives_its_agents_their_time() {
    let config =
        json!({ "checks": { "root": { "type": "remote", "options": { "timeout": 60 } } } });
    let running = Running::start(config.clone()).await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    running.wall.pass(TimeDelta::hours(5));
    let running = running.restart(config).await;
    running.ask(Request::Run(name("root"))).await;
    assert_eq!(running.view("root").state.word(), "pass");
    running.wall.pass(TimeDelta::seconds(61));
    running.ask(Request::Run(name("root"))).await;
    assert_eq!(running.view("root").state.word(), "fail");
}

#[tokio::test]
async fn an_agent_that_is_away_leaves_its_checks_stale_until_it_speaks_again() {
    let running = Running::start(json!({})).await;
    let topic = "fletchck/nas/check/root";
    let seen = by("nas", message(&running, "root", false, 0));
    running.hear(Some("nas"), topic, &seen).await;
    let nas = AgentId::try_from("nas").expect("an id");
    running.ask(Request::Silent(nas, "nas is away".into())).await;
    assert_eq!(running.view("nas/root").state.word(), "stale");
    running.hear(Some("nas"), topic, &seen).await;
    assert_eq!(running.view("nas/root").state.word(), "pass", "the same state again is news");
    assert!(running.transitions("nas/root").await.is_empty());
}

#[tokio::test]
async fn a_deleted_remote_check_leaves_nothing_retained() {
    let running = Running::start(json!({})).await;
    let seen = by("nas", message(&running, "root", false, 0));
    running.hear(Some("nas"), "fletchck/nas/check/root", &seen).await;
    running.hear(None, "v1/old", &message(&running, "old", false, 1)).await;
    running.ask(Request::Delete(name("nas/root"))).await;
    running.ask(Request::Delete(name("old"))).await;
    assert!(running.board().checks().is_empty());
    let outgoing = running.outgoing().await;
    let cleared: Vec<_> = outgoing.iter().map(|row| (row.topic.as_str(), row.retain)).collect();
    assert_eq!(cleared, [("fletchck/nas/check/root", true), ("v1/old", true)]);
    assert!(outgoing.iter().all(|row| row.payload.is_empty()));
    let running = running.restart(json!({})).await;
    assert!(running.board().checks().is_empty());
}

#[tokio::test]
async fn a_check_of_the_file_is_not_deleted_here() {
    let running = Running::start(json!({ "checks": { "root": { "type": "remote" } } })).await;
    let refused = running.engine.handle.ask(Request::Delete(name("root"))).await;
    assert!(matches!(refused, Err(Refused::NotHere(_))), "{refused:?}");
}

#[tokio::test]
async fn additions_are_bounded() {
    let running = Running::start(json!({ "limits": { "remotes": 2 } })).await;
    for n in 0..4 {
        let check = format!("c{n}");
        running.hear(None, &format!("v1/{n}"), &message(&running, &check, false, 0)).await;
    }
    assert_eq!(running.board().checks().len(), 2);
}

#[tokio::test]
async fn a_member_of_a_sequence_at_an_agent_is_told_of_by_its_sequence_alone() {
    let running = Running::start(json!({
        "actions": { "tell": { "type": "log" } }, "fleet": { "actions": ["tell"] },
    }))
    .await;
    let mut member = by("nas", message(&running, "load", true, 0));
    member["alerts"] = false.into();
    running.hear(Some("nas"), "fletchck/nas/check/load", &member).await;
    let whole = by("nas", message(&running, "all", true, 0));
    running.hear(Some("nas"), "fletchck/nas/check/all", &whole).await;
    let told = running.store.call(|db| {
        db.query_row(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'",
            (),
            |row| row.get(0),
        )
    });
    let told: i64 = told.await.expect("read");
    assert_eq!(told, 1, "one alert, the sequence's");
    assert_eq!(running.view("nas/load").state.word(), "fail", "and shown all the same");
}

#[tokio::test]
async fn a_broker_that_was_away_gives_silence_a_new_start() {
    let running = Running::start(json!({
        "checks": { "root": { "type": "remote", "options": { "timeout": 60 } } },
    }))
    .await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    let presence = json!({ "name": "agent nas", "type": "agent", "data": { "failState": false } });
    running.hear(Some("nas"), "fletchck/nas/status", &presence).await;
    running.ask(Request::BrokerAway("the broker is away".into())).await;
    assert_eq!(running.view("root").state.word(), "stale");
    assert_eq!(running.view("agent nas").state.word(), "pass", "the hub's own finding");
    running.wall.pass(TimeDelta::hours(1));
    running.ask(Request::BrokerBack).await;
    running.ask(Request::Run(name("root"))).await;
    assert_eq!(running.view("root").state.word(), "pass", "it has its time from now on");
    running.wall.pass(TimeDelta::seconds(61));
    running.ask(Request::Run(name("root"))).await;
    assert_eq!(running.view("root").state.word(), "fail", "and no more than that");
}

#[tokio::test]
async fn nobody_speaks_on_a_version_1_topic_for_an_agent_that_speaks_for_itself() {
    let running = Running::start(json!({})).await;
    let truth = by("nas", message(&running, "root", false, 0));
    running.hear(Some("nas"), "fletchck/nas/check/root", &truth).await;
    running.hear(None, "v1/pi", &by("nas", message(&running, "root", true, 1))).await;
    assert_eq!(running.view("nas/root").state.word(), "pass");
}

#[tokio::test]
async fn a_check_deleted_and_heard_again_at_once_is_there_after_a_restart() {
    let running = Running::start(json!({})).await;
    let topic = "fletchck/nas/check/root";
    running.hear(Some("nas"), topic, &by("nas", message(&running, "root", false, 0))).await;
    let again = by("nas", message(&running, "root", true, 1));
    let message = Message::parse(again.to_string().as_bytes(), Tz::UTC).expect("a message");
    let heard = Heard {
        message,
        topic: topic.into(),
        agent: AgentId::try_from("nas").ok(),
        retained: false,
        at: running.wall.now(),
    };
    // Both wait when the engine looks, so both are in one transaction.
    let clear = running.engine.handle.ask(Request::Cleared(topic.into()));
    let hear = running.engine.handle.hear(vec![heard]);
    let (cleared, taken) = futures_util::future::join(clear, hear).await;
    cleared.and(taken).expect("done");
    running.settle().await;
    let running = running.restart(json!({})).await;
    assert_eq!(running.view("nas/root").state.word(), "fail");
}

#[tokio::test]
async fn a_clock_that_was_set_back_a_little_is_no_silence() {
    let config =
        json!({ "checks": { "disk": { "type": "remote", "options": { "timeout": 60 } } } });
    let running = Running::start(config).await;
    running.hear(None, "v1/disk", &message(&running, "disk", false, 120)).await;
    for _ in 0..3 {
        running.wall.pass(TimeDelta::seconds(40));
        running.hear(None, "v1/disk", &message(&running, "disk", false, 0)).await;
        running.ask(Request::Run(name("disk"))).await;
        assert_eq!(running.view("disk").state.word(), "pass");
    }
    running.wall.pass(TimeDelta::seconds(61));
    running.ask(Request::Run(name("disk"))).await;
    assert_eq!(running.view("disk").state.word(), "fail");
}

#[tokio::test]
async fn a_hub_that_starts_anew_more_often_than_the_timeout_misses_a_remote_check() {
    let config = json!({ "checks": {
        "root": { "type": "remote", "options": { "timeout": 3600 } },
        "never": { "type": "remote", "options": { "timeout": 3600 } },
    } });
    let mut running = Running::start(config.clone()).await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    for _ in 0..2 {
        running.wall.pass(TimeDelta::seconds(1200));
        running = running.restart(config.clone()).await;
    }
    let word = async |running: &Running, check| {
        running.ask(Request::Run(name(check))).await;
        running.view(check).state.word()
    };
    running.wall.pass(TimeDelta::seconds(1199));
    assert_eq!(word(&running, "root").await, "pass");
    assert_eq!(word(&running, "never").await, "unknown");
    running.wall.pass(TimeDelta::seconds(1));
    assert_eq!(word(&running, "root").await, "fail");
    assert_eq!(word(&running, "never").await, "fail");
}

/// The broker is there a moment after each start, which is no news of it.
#[tokio::test]
async fn a_broker_that_is_there_after_each_start_gives_nobody_all_their_time_again() {
    let config =
        json!({ "checks": { "root": { "type": "remote", "options": { "timeout": 3600 } } } });
    let mut running = Running::start(config.clone()).await;
    running.ask(Request::BrokerBack).await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    for _ in 0..3 {
        running.wall.pass(TimeDelta::seconds(1200));
        running = running.restart(config.clone()).await;
        running.ask(Request::BrokerAway("it is not reached yet".into())).await;
        running.ask(Request::BrokerBack).await;
    }
    let word = async |running: &Running| {
        running.ask(Request::Run(name("root"))).await;
        running.view("root").state.word()
    };
    // It has time to come back since the last start, and no more: it was listened for long enough before.
    running.wall.pass(TimeDelta::seconds(119));
    assert_eq!(word(&running).await, "pass");
    running.wall.pass(TimeDelta::seconds(1));
    assert_eq!(word(&running).await, "fail");
    // One that was away after that gives them all their time.
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    running.wall.pass(TimeDelta::seconds(3000));
    running.ask(Request::BrokerAway("gone".into())).await;
    running.ask(Request::BrokerBack).await;
    running.wall.pass(TimeDelta::seconds(3599));
    assert_eq!(word(&running).await, "pass");
    running.wall.pass(TimeDelta::seconds(1));
    assert_eq!(word(&running).await, "fail");
}

#[tokio::test]
async fn a_hub_that_never_runs_for_ten_minutes_at_a_stretch_misses_a_remote_check() {
    let config =
        json!({ "checks": { "root": { "type": "remote", "options": { "timeout": 3600 } } } });
    let mut running = Running::start(config.clone()).await;
    running.ask(Request::BrokerBack).await;
    running.hear(None, "v1/root", &message(&running, "root", false, 0)).await;
    let heard = running.wall.now();
    // Five minutes each, of which four with a broker, and as long in between.
    while running.wall.now() - heard < TimeDelta::minutes(58) {
        running = running.restart(config.clone()).await;
        running.pass(TimeDelta::minutes(1)).await;
        running.ask(Request::BrokerBack).await;
        running.pass(TimeDelta::minutes(4)).await;
        assert_eq!(running.view("root").state.word(), "pass");
        running.wall.pass(TimeDelta::minutes(5));
    }
    running = running.restart(config).await;
    running.ask(Request::BrokerBack).await;
    running.pass(TimeDelta::seconds(119)).await;
    assert_eq!(running.view("root").state.word(), "pass", "it has time to be back");
    running.pass(TimeDelta::seconds(2)).await;
    assert_eq!(running.view("root").state.word(), "fail");
}

#[tokio::test]
async fn what_an_agent_holds_back_is_shown_and_told_to_nobody_until_it_no_longer_does() {
    let config = json!({
        "actions": { "tell": { "type": "log" } }, "fleet": { "actions": ["tell"] },
    });
    let running = Running::start(config.clone()).await;
    let topic = "fletchck/nas/check/web";
    let free = by("nas", message(&running, "web", true, 0));
    let mut held = free.clone();
    held["data"]["held"] = "it depends on `line`, which fails".into();
    running.hear(Some("nas"), topic, &held).await;
    let running = running.restart(config).await;
    let view = running.view("nas/web");
    assert_eq!(view.state.word(), "fail", "it is shown");
    let hidden = view.state.alert.hidden.clone().expect("held");
    assert_eq!(hidden.why, "its agent says that it depends on `line`, which fails");
    assert!(running.told("nas/web").await.is_empty());
    // The same run again, which is news all the same.
    running.hear(Some("nas"), topic, &free).await;
    assert_eq!(running.told("nas/web").await, ["failed"]);
}
