//! What a message is, before anything is done about it. Pure: a topic and bytes go in, and no input makes it panic.

use std::sync::Arc;

use fletchck_agent::checks::push::{PushKey, Signal};
use fletchck_shared::{
    AgentId, Tz,
    topic::{self, FleetTopic, TopicFilter},
    wire::{BROKER, Info, Message, OFFLINE, ONLINE, PRESENCE},
};

/// Id that no agent has: `P/hub/status` is the hub's own.
pub(super) const HUB: &str = "hub";

/// Most bytes that a job says of itself.
const SAID: usize = 8 * 1024;

/// What messages are judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// First level of the fleet topics.
    pub prefix: Arc<str>,
    /// Version 1 topics to hear.
    pub base: Option<TopicFilter>,
    /// This site's own id.
    pub own: AgentId,
    /// Zone of times without an offset.
    pub zone: Tz,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// The state of a check; with the agent whose fleet topic it came on.
    Check(Box<Message>, Option<AgentId>),
    /// An agent's birth, or its death.
    Status(AgentId, bool),
    /// Who an agent is.
    Info(AgentId, Box<Info>),
    /// An agent whose status was cleared: its owner wants it forgotten.
    Forgotten(AgentId),
    /// A job's own report.
    Push(PushKey, Signal, String),
    /// A topic of a check that its sender cleared.
    Cleared,
    /// This site's own, come back.
    Own,
    /// On a topic that is nothing to this program.
    NotOurs,
    /// Not what its topic asks for, and why.
    Rejected(String),
}

/// Judges a message by its topic and its bytes alone.
pub fn judge(rules: &Rules, topic: &str, payload: &[u8]) -> Judged {
    if let Some((key, signal)) = push_of(rules, topic) {
        return match signal {
            _ if payload.len() > SAID => {
                Judged::Rejected(format!("it says more than {SAID} bytes"))
            }
            Some(signal) => {
                Judged::Push(key, signal, String::from_utf8_lossy(payload).into_owned())
            }
            None => Judged::Rejected(
                "what stands behind the token is no start, success, fail, log or exit status"
                    .into(),
            ),
        };
    }
    match FleetTopic::parse(&rules.prefix, topic) {
        Some(fleet) => judge_fleet(rules, fleet, payload),
        None if below(topic, &rules.prefix) => Judged::NotOurs,
        None if rules.base.as_ref().is_some_and(|base| base.matches(topic)) => {
            judge_v1(rules, payload)
        }
        None => Judged::NotOurs,
    }
}

fn judge_fleet(rules: &Rules, topic: FleetTopic, payload: &[u8]) -> Judged {
    let (FleetTopic::Status(agent) | FleetTopic::Info(agent) | FleetTopic::Check(agent, _)) =
        &topic;
    if *agent == rules.own || agent.as_str() == HUB {
        return Judged::Own;
    }
    match topic {
        FleetTopic::Status(agent) => match payload {
            b"" => Judged::Forgotten(agent),
            payload if payload == ONLINE.as_bytes() => Judged::Status(agent, true),
            payload if payload == OFFLINE.as_bytes() => Judged::Status(agent, false),
            payload => {
                let bytes = payload.len();
                Judged::Rejected(format!(
                    "{bytes} bytes that are neither `{ONLINE}` nor `{OFFLINE}`"
                ))
            }
        },
        FleetTopic::Info(_) if payload.is_empty() => Judged::NotOurs,
        FleetTopic::Info(agent) => match Info::parse(payload) {
            Ok(info) => Judged::Info(agent, Box::new(info)),
            Err(why) => Judged::Rejected(why),
        },
        FleetTopic::Check(..) if payload.is_empty() => Judged::Cleared,
        FleetTopic::Check(agent, name) => match Message::parse(payload, rules.zone) {
            Err(why) => Judged::Rejected(why.to_string()),
            Ok(message) if message.name != name => Judged::Rejected(format!(
                "it is about `{}`, and its topic about `{name}`",
                message.name
            )),
            Ok(message) if message.agent.as_ref().is_some_and(|said| *said != agent) => {
                Judged::Rejected("it names another agent than its topic".into())
            }
            Ok(message) => check(message, Some(agent)),
        },
    }
}

fn judge_v1(rules: &Rules, payload: &[u8]) -> Judged {
    if payload.is_empty() {
        return Judged::Cleared;
    }
    match Message::parse(payload, rules.zone) {
        Err(why) => Judged::Rejected(why.to_string()),
        Ok(message) if message.agent.as_ref() == Some(&rules.own) => Judged::Own,
        Ok(message) => check(message, None),
    }
}

fn check(message: Message, agent: Option<AgentId>) -> Judged {
    if [PRESENCE, BROKER].contains(&message.kind.as_str()) {
        return Judged::Rejected(format!(
            "`{}` is the type of this hub's own checks",
            message.kind
        ));
    }
    Judged::Check(Box::new(message), agent)
}

/// Whom a report is addressed to, and what it reports. What can be no token is no report.
fn push_of(rules: &Rules, topic: &str) -> Option<(PushKey, Option<Signal>)> {
    let (token, signal) = topic::push(&rules.prefix, topic)?;
    Some((PushKey::of(token)?, Signal::parse(signal)))
}

fn below(topic: &str, prefix: &str) -> bool {
    topic.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{CheckName, State};
    use proptest::prelude::*;

    use super::*;

    fn agent(id: &str) -> AgentId {
        AgentId::try_from(id).expect("an id")
    }

    fn rules() -> Rules {
        Rules {
            prefix: "fletchck".into(),
            base: Some(TopicFilter::try_from("#").expect("a filter")),
            own: agent("me"),
            zone: Tz::UTC,
        }
    }

    fn message(from: Option<&str>, name: &str, kind: &str) -> Vec<u8> {
        let from = from.map(agent);
        let name = CheckName::try_from(name).expect("a name");
        Message::write(from.as_ref(), &name, kind, &State::default(), true, Tz::UTC)
    }

    /// The judgement in one word.
    fn word(topic: &str, payload: &[u8]) -> String {
        match judge(&rules(), topic, payload) {
            Judged::Check(message, agent) => {
                format!("check {} of {}", message.name, agent.map_or("?".into(), |a| a.to_string()))
            }
            Judged::Status(agent, online) => format!("status {agent} {online}"),
            Judged::Info(agent, info) => format!("info {agent} {}", info.host),
            Judged::Forgotten(agent) => format!("forgotten {agent}"),
            Judged::Rejected(why) => format!("rejected: {why}"),
            Judged::Push(_, signal, said) => format!("push {signal:?} {said}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_what_topic_and_payload_say_together() {
        let disk = message(Some("nas"), "disk /", "disk");
        let old = message(None, "root", "disk");
        for (topic, payload, want) in [
            ("fletchck/nas/status", &b"online"[..], "status nas true"),
            ("fletchck/nas/status", b"offline", "status nas false"),
            ("fletchck/nas/status", b"", "forgotten nas"),
            (
                "fletchck/nas/status",
                b"on",
                "rejected: 2 bytes that are neither `online` nor `offline`",
            ),
            ("fletchck/nas/info", br#"{"host": "nas.lan", "new": 1}"#, "info nas nas.lan"),
            ("fletchck/nas/info", b"", "NotOurs"),
            ("fletchck/nas/check/disk %2F", &disk, "check disk / of nas"),
            ("fletchck/nas/check/disk %2F", b"", "Cleared"),
            (
                "fletchck/nas/check/other",
                &disk,
                "rejected: it is about `disk /`, and its topic about `other`",
            ),
            (
                "fletchck/evil/check/disk %2F",
                &disk,
                "rejected: it names another agent than its topic",
            ),
            ("fletchck/me/status", b"offline", "Own"),
            ("fletchck/me/check/disk %2F", &disk, "Own"),
            ("fletchck/hub/status", b"online", "Own"),
            ("fletchck/push/0123456789abcdef", b"all good", "push Success all good"),
            ("fletchck/push/0123456789abcdef/3", b"", "push Fail(Some(3)) "),
            (
                "fletchck/push/0123456789abcdef/over",
                b"",
                "rejected: what stands behind the token is no start, success, fail, log or exit status",
            ),
            ("fletchck/push/short", b"", "NotOurs"),
            ("fletchck/push/status", b"online", "status push true"),
            ("fletchck/nas/cmd", b"{}", "NotOurs"),
            ("fletchck/nas/check/a/b", &disk, "NotOurs"),
            ("site/root", &old, "check root of ?"),
            ("site/root", b"", "Cleared"),
            ("site/root", &message(Some("me"), "root", "disk"), "Own"),
            (
                "site/x",
                &message(Some("nas"), "agent nas", "agent"),
                "rejected: `agent` is the type of this hub's own checks",
            ),
        ] {
            assert_eq!(word(topic, payload), want, "{topic}");
        }
        let none = Rules { base: None, ..rules() };
        assert_eq!(judge(&none, "site/root", &old), Judged::NotOurs);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            topic in prop_oneof![
                Just("fletchck/nas/check/x".to_owned()), Just("fletchck/nas/info".into()),
                Just("fletchck/nas/status".into()), "\\PC{0,30}", "fletchck/\\PC{0,20}",
            ],
            payload in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..200),
                "\\{\"name\":\"x\",\"type\":\"[a-z]{0,3}\",\"data\":\\{\"failState\":(true|null|\"x\"|1),\
                  \"(threshold|failCount|log|lastCheck)\":(null|-1|1e99|\"\"|\\[1\\])\\}\\}"
                    .prop_map(String::into_bytes),
            ],
        ) {
            let _judged = judge(&rules(), &topic, &payload);
        }

        #[test]
        fn an_agent_cannot_speak_for_another(
            topic_of in "[a-z]{1,8}", said in "[a-z]{1,8}", name in "[a-z /%]{1,12}"
        ) {
            let name = CheckName::try_from(name).expect("a name");
            let topic = fletchck_shared::topic::Topic::check("fletchck", &agent(&topic_of), &name);
            let payload = message(Some(&said), name.as_str(), "disk");
            match judge(&rules(), topic.as_str(), &payload) {
                Judged::Check(_, from) => {
                    prop_assert_eq!(&from, &Some(agent(&topic_of)));
                    prop_assert_eq!(topic_of, said);
                }
                _ => prop_assert!(topic_of != said || topic_of == "me" || topic_of == "hub"),
            }
        }
    }
}
