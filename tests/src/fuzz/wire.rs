//! What must hold of messages.

use std::{sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use fletchck::fleet::{Judged, Rules, judge};
use fletchck_shared::{
    AgentId, State, Tz,
    state::{Rule, Seen, step},
    topic::{FleetTopic, PREFIX, Topic, TopicFilter},
    wire::{Data, Info, Message, PAYLOAD_MAX},
};
use serde_json::Value;

static ZONE: LazyLock<Tz> = LazyLock::new(|| "Australia/Adelaide".parse().expect("a zone"));

/// The state of a check as an agent sends it, ours or the original.
pub(super) fn message(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes, *ZONE) else { return };
    published_again(&message);
    let value: Value = serde_json::from_slice(bytes).expect("it was read");
    saved_again(&value["data"], message.kind == "sequence");
}

/// Who an agent is, as it says itself.
pub(super) fn agent_info(bytes: &[u8]) {
    let Ok(info) = Info::parse(bytes) else { return };
    let Info { version, host, os, labels, config_hash, .. } = &info;
    let texts = [version, host, os, config_hash].into_iter().chain(labels.keys());
    assert!(texts.chain(labels.values()).all(|text| text.len() <= 256), "{info:?}");
    assert!(labels.len() <= 64);
    let written = serde_json::to_vec(&info).expect("it has nothing that is no JSON");
    assert_eq!(Info::parse(&written), Ok(info));
}

/// A message of a fleet: its topic on the first line, and its payload.
pub(super) fn fleet_message(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let topic = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let payload = parts.next().unwrap_or_default();
    let rules = Rules {
        prefix: PREFIX.into(),
        base: TopicFilter::try_from("site/#").ok(),
        own: AgentId::try_from("me").expect("an id"),
        zone: *ZONE,
    };
    let fleet = FleetTopic::parse(PREFIX, &topic);
    match judge(&rules, &topic, payload) {
        Judged::Check(message, Some(agent)) => {
            assert_eq!(fleet, Some(FleetTopic::Check(agent.clone(), message.name.clone())));
            assert!(message.agent.as_ref().is_none_or(|said| *said == agent));
            foreign(&rules, &agent);
            published_again(&message);
        }
        Judged::Check(message, None) => {
            assert!(topic.starts_with("site") && message.agent.as_ref() != Some(&rules.own));
            published_again(&message);
        }
        Judged::Status(agent, _) | Judged::Forgotten(agent) => {
            foreign(&rules, &agent);
            assert_eq!(fleet, Some(FleetTopic::Status(agent)));
        }
        Judged::Info(agent, _) => {
            foreign(&rules, &agent);
            assert_eq!(fleet, Some(FleetTopic::Info(agent)));
        }
        Judged::Push(_, _, said) => assert!(said.len() <= 3 * payload.len()),
        Judged::Rejected(why) => assert!(!why.is_empty()),
        Judged::Cleared | Judged::Own | Judged::NotOurs => {}
    }
}

fn foreign(rules: &Rules, agent: &AgentId) {
    assert!(*agent != rules.own && agent.as_str() != Topic::HUB);
}

/// As a hub takes it and publishes it again: others can read that, and find the same in it.
fn published_again(message: &Message) {
    let Message { name, kind, agent, alerts, report } = message;
    let took = report.phases.iter().try_fold(Duration::ZERO, |sum, one| sum.checked_add(one.took));
    assert!(took.is_some(), "phases that no sum has");
    let write = |report| {
        let (state, _) = step(&Rule::default(), &State::default(), Seen::Reported(report, now()));
        let written = Message::write(agent.as_ref(), name, kind, &state, *alerts, *ZONE);
        assert!(written.len() <= PAYLOAD_MAX, "{} bytes", written.len());
        (Message::parse(&written, *ZONE).expect("what is written can be read"), written)
    };
    let (again, written) = write(report);
    assert_eq!((&again.name, &again.kind), (name, kind));
    assert_eq!((&again.agent, again.alerts), (agent, *alerts));
    assert_eq!((&again.report.text, &again.report.level), (&report.text, &report.level));
    let (_, twice) = write(&again.report);
    let [written, twice] = [written, twice].map(|bytes| String::from_utf8(bytes).expect("JSON"));
    assert_eq!(written, twice);
}

/// As a site saves it and takes it up again.
fn saved_again(data: &Value, sequence: bool) {
    let state = Data::read(data, *ZONE).expect("it was read").seed();
    let saved = Value::Object(Data::write(&state, sequence, *ZONE));
    let again = Data::read(&saved, *ZONE).expect("what is saved can be read").seed();
    assert_eq!((again.text, again.log), (state.text, state.log));
    assert_eq!((again.last_check, again.last_fail), (state.last_check, state.last_fail));
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000, 0).expect("a time in 2026")
}
