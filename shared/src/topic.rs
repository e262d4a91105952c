//! MQTT topics, built and parsed in one place.

use std::fmt;

use crate::{AgentId, CheckName};

/// First level of the fleet topics where the configuration does not say otherwise.
pub const PREFIX: &str = "fletchck";

/// Level below the prefix that jobs report to: `P/push/TOKEN/SIGNAL`.
const PUSH: &str = "push";

/// Longest topic and longest filter that is accepted from outside, in bytes.
pub const TOPIC_MAX: usize = 512;

/// Why a text is no topic or no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The text is empty.
    #[error("a topic must not be empty")]
    Empty,
    /// The text is longer than [`TOPIC_MAX`].
    #[error("a topic has at most {TOPIC_MAX} bytes")]
    TooLong,
    /// A wildcard where none may be, or not alone in its level.
    #[error("`+` and `#` are wildcards: {0}")]
    Wildcard(&'static str),
    /// A control character.
    #[error("a topic must not contain control characters")]
    Character,
    /// `$` topics belong to brokers.
    #[error("topics that begin with `$` belong to the broker")]
    Dollar,
}

/// A topic that messages are published to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(String);

/// A pattern that subscriptions are made with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter(String);

/// What a fleet topic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetTopic {
    /// `P/AGENT/status`: `online` or `offline`, birth and will.
    Status(AgentId),
    /// `P/AGENT/info`: who the agent is.
    Info(AgentId),
    /// `P/AGENT/check/NAME`: the state of one check.
    Check(AgentId, CheckName),
}

impl Topic {
    /// The level that hubs have in place of an agent's id, so that no agent may have it as its id.
    pub const HUB: &str = "hub";

    /// The topic of an agent's birth and will.
    pub fn status(prefix: &str, agent: &AgentId) -> Self {
        Self(format!("{prefix}/{agent}/status"))
    }

    /// The topic of an agent's description.
    pub fn info(prefix: &str, agent: &AgentId) -> Self {
        Self(format!("{prefix}/{agent}/info"))
    }

    /// The topic of one check's state. The name is escaped into one level.
    pub fn check(prefix: &str, agent: &AgentId, check: &CheckName) -> Self {
        Self(format!("{prefix}/{agent}/check/{}", escape(check.as_str())))
    }

    /// The topic of the hub's own birth and will.
    pub fn hub_status(prefix: &str) -> Self {
        Self(format!("{prefix}/{}/status", Self::HUB))
    }

    /// The topic's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Topic {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        level_text(text)?;
        if text.contains(['+', '#']) {
            return Err(TopicError::Wildcard("a topic to publish to has none"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FleetTopic {
    /// Reads a topic below `prefix`. `None` for every topic that is not one of the fleet's.
    pub fn parse(prefix: &str, topic: &str) -> Option<Self> {
        let rest = topic.strip_prefix(prefix)?.strip_prefix('/')?;
        let (agent, rest) = rest.split_once('/')?;
        let agent = AgentId::try_from(agent).ok()?;
        match rest.split_once('/') {
            None if rest == "status" => Some(Self::Status(agent)),
            None if rest == "info" => Some(Self::Info(agent)),
            Some(("check", name)) => {
                let name = CheckName::try_from(unescape(name)?).ok()?;
                Some(Self::Check(agent, name))
            }
            _ => None,
        }
    }
}

/// The token and the signal of a job's report, as the topic has them; without a signal that is empty.
pub fn push<'t>(prefix: &str, topic: &'t str) -> Option<(&'t str, &'t str)> {
    let rest = topic.strip_prefix(prefix)?.strip_prefix('/')?.strip_prefix(PUSH)?;
    let rest = rest.strip_prefix('/')?;
    let (token, signal) = rest.split_once('/').unwrap_or((rest, ""));
    (!signal.contains('/')).then_some((token, signal))
}

impl TopicFilter {
    /// All status, info and check topics of a fleet.
    pub fn fleet(prefix: &str) -> [Self; 3] {
        ["status", "info", "check/+"].map(|rest| Self(format!("{prefix}/+/{rest}")))
    }

    /// Reports of jobs: `P/push/TOKEN`, and that with a signal behind it.
    pub fn pushes(prefix: &str) -> [Self; 2] {
        ["+", "+/+"].map(|rest| Self(format!("{prefix}/{PUSH}/{rest}")))
    }

    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic matches, by MQTT's rules.
    pub fn matches(&self, topic: &str) -> bool {
        // Topics of the broker itself are for those who ask for them by name (MQTT 5, 4.7.2).
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for want in self.0.split('/') {
            match (want, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (want, Some(level)) if want == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        level_text(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            match level {
                "#" if levels.peek().is_some() => {
                    return Err(TopicError::Wildcard("`#` stands only at the end"));
                }
                "#" | "+" => {}
                level if level.contains(['+', '#']) => {
                    return Err(TopicError::Wildcard("each stands alone in its level"));
                }
                _ => {}
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn level_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_MAX {
        return Err(TopicError::TooLong);
    }
    if text.starts_with('$') {
        return Err(TopicError::Dollar);
    }
    if text.chars().any(char::is_control) {
        return Err(TopicError::Character);
    }
    Ok(())
}

/// Escapes a name into one topic level: percent-encoding of what separates levels, is a wildcard or a control
/// character, and of `%` itself. A leading `$` cannot be the topic's first character, so it may stay.
fn escape(name: &str) -> String {
    let mut level = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '%' | '/' | '+' | '#') || c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                level.push_str(&format!("%{byte:02X}"));
            }
        } else {
            level.push(c);
        }
    }
    level
}

/// The name of a level that [`escape`] wrote; `None` for a level it cannot have written.
fn unescape(level: &str) -> Option<String> {
    let mut name = Vec::with_capacity(level.len());
    let mut bytes = level.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'/' | b'+' | b'#' => return None,
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                name.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte => name.push(byte),
        }
    }
    // `%41` would be another topic of the check `A`, and what is cleared on one would stay on the other.
    String::from_utf8(name).ok().filter(|name| escape(name) == level)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn check_topics_round_trip(agent in "[a-zA-Z0-9._-]{1,64}", name in "[^\\p{Cc}]{1,60}") {
            let agent = AgentId::try_from(agent).expect("made to be one");
            let name = CheckName::try_from(name).expect("made to be one");
            let topic = Topic::check(PREFIX, &agent, &name);
            prop_assert_eq!(topic.as_str().split('/').count(), 4);
            prop_assert_eq!(
                FleetTopic::parse(PREFIX, topic.as_str()),
                Some(FleetTopic::Check(agent, name))
            );
        }

        #[test]
        fn no_topic_makes_the_parser_panic(topic in "\\PC{0,40}") {
            let _read = FleetTopic::parse("a", &topic);
            let _filter = TopicFilter::try_from(topic.as_str()).map(|filter| filter.matches("a/b"));
        }
    }

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, want) in [
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/d", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("a/b", "a/b/c", false),
            ("+", "a/b", false),
            ("#", "$SYS/b", false),
            ("+/b", "$SYS/b", false),
        ] {
            let filter = TopicFilter::try_from(filter).expect("valid");
            assert_eq!(filter.matches(topic), want, "{filter} {topic}");
        }
        for bad in ["", "a/#/b", "a+", "$SYS/#", "a\0"] {
            assert!(TopicFilter::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_topics_are_not_the_fleets() {
        for topic in ["x/nas/status", "fletchck/nas/status/x", "fletchck/nas", "fletchck//status"] {
            assert_eq!(FleetTopic::parse(PREFIX, topic), None, "{topic}");
        }
    }

    #[test]
    fn a_check_has_one_topic_and_no_other_spelling_of_it() {
        for level in ["a%2Fb", "%25", "a b"] {
            assert!(FleetTopic::parse("p", &format!("p/nas/check/{level}")).is_some(), "{level}");
        }
        for level in ["a%2fb", "%41", "%+Fb", "%2", "%", "%C3", "", "a/b"] {
            assert_eq!(FleetTopic::parse("p", &format!("p/nas/check/{level}")), None, "{level}");
        }
    }
}
