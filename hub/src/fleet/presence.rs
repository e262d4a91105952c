//! The check that a hub makes of each agent's presence: `agent NAME`, of type `agent`.

use chrono::{DateTime, Utc};
use fletchck_agent::engine::Heard;
use fletchck_shared::{
    AgentId, CheckName, Tz,
    state::{Failure, Report},
    topic::Topic,
    wire::{Message, PRESENCE},
};

/// How it stands with an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is connected; and whether that was told to be otherwise.
    Here {
        /// It was told to be away.
        again: bool,
    },
    /// It was connected, until then.
    Away(DateTime<Utc>),
    /// It did not come since then, when this hub started.
    Missing(DateTime<Utc>),
}

/// An agent's presence as a message about the check `agent NAME`, as if the agent had run that check itself.
pub fn message(agent: &AgentId, presence: &Presence, at: DateTime<Utc>, zone: Tz) -> Message {
    let clock = |at: &DateTime<Utc>| at.with_timezone(&zone).format("%H:%M").to_string();
    let text = match presence {
        Presence::Here { again: false } => format!("{agent} is connected"),
        Presence::Here { again: true } => format!("{agent} is back"),
        Presence::Away(since) => {
            format!(
                "{agent} is away since {}: it was stopped, or its connection broke",
                clock(since)
            )
        }
        Presence::Missing(since) => {
            format!("{agent} has not connected since this hub started at {}", clock(since))
        }
    };
    let away = !matches!(presence, Presence::Here { .. });
    let report = Report {
        failure: away.then_some(Failure::Whole),
        fail_count: Some(u32::from(away)),
        threshold: Some(1),
        log: vec![text.clone()],
        text,
        last_check: Some(at),
        last_fail: away.then_some(at),
        last_pass: (!away).then_some(at),
        ..Report::default()
    };
    Message {
        name: name(agent),
        kind: PRESENCE.into(),
        agent: Some(agent.clone()),
        alerts: true,
        report,
    }
}

/// The same as the engine takes it.
pub fn heard(
    prefix: &str,
    agent: &AgentId,
    presence: &Presence,
    at: DateTime<Utc>,
    zone: Tz,
) -> Heard {
    Heard {
        message: message(agent, presence, at, zone),
        topic: Topic::status(prefix, agent).as_str().into(),
        agent: Some(agent.clone()),
        retained: false,
        at,
    }
}

/// The name of an agent's check.
pub fn name(agent: &AgentId) -> CheckName {
    CheckName::try_from(format!("agent {agent}")).expect("an id is printable and short")
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn presence_reads_as_a_sentence() {
        let nas = AgentId::try_from("nas").expect("an id");
        let at = Utc.with_ymd_and_hms(2026, 11, 23, 20, 3, 0).single().expect("a time");
        let berlin = "Europe/Berlin".parse().expect("a zone");
        let text = |presence| message(&nas, &presence, at, berlin).report.text;
        assert_eq!(
            text(Presence::Away(at)),
            "nas is away since 21:03: it was stopped, or its connection broke"
        );
        assert_eq!(text(Presence::Here { again: true }), "nas is back");
        assert_eq!(
            text(Presence::Missing(at)),
            "nas has not connected since this hub started at 21:03"
        );
        let away = message(&nas, &Presence::Away(at), at, berlin);
        assert!(away.report.reached());
        assert_eq!((away.name.as_str(), away.kind.as_str()), ("agent nas", "agent"));
    }
}
