//! What must hold of topics and filters.

use fletchck::broker::covers;
use fletchck_shared::topic::{self, FleetTopic, PREFIX, TOPIC_MAX, Topic, TopicFilter};

/// Two filters and a topic, each on a line of its own.
pub(super) fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (wide, narrow, topic) = (line(), line(), line());
    let [wide, narrow] = [wide, narrow].map(|filter| TopicFilter::try_from(filter).ok());
    for filter in [&wide, &narrow].into_iter().flatten() {
        assert!(covers(filter.as_str(), filter.as_str()) && filter.as_str().len() <= TOPIC_MAX);
        assert_eq!(filter.matches(topic), by_level(filter.as_str(), topic), "{filter} {topic}");
    }
    if let (Some(wide), Some(narrow)) = (&wide, &narrow)
        && covers(wide.as_str(), narrow.as_str())
        && narrow.matches(topic)
    {
        assert!(wide.matches(topic), "{wide} covers {narrow}");
    }
    if let Ok(topic) = Topic::try_from(topic) {
        let itself = TopicFilter::try_from(topic.as_str()).expect("a topic is a filter");
        assert!(itself.matches(topic.as_str()));
    }
    if let Some(fleet) = FleetTopic::parse(PREFIX, topic) {
        let again = match fleet {
            FleetTopic::Status(agent) => Topic::status(PREFIX, &agent),
            FleetTopic::Info(agent) => Topic::info(PREFIX, &agent),
            FleetTopic::Check(agent, name) => Topic::check(PREFIX, &agent, &name),
        };
        // Else one check could stand on two topics, and clearing one would leave the other.
        assert_eq!(again.as_str(), topic);
    }
    if let Some((token, signal)) = topic::push(PREFIX, topic) {
        assert!(topic.ends_with(signal) && !token.contains('/') && !signal.contains('/'));
    }
}

/// Matching as MQTT 5 has it in section 4.7, level by level.
fn by_level(filter: &str, topic: &str) -> bool {
    fn levels(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            ([want, filter @ ..], [level, topic @ ..]) if *want == "+" || want == level => {
                levels(filter, topic)
            }
            _ => false,
        }
    }
    let [filter, levels_of]: [Vec<&str>; 2] = [filter, topic].map(|text| text.split('/').collect());
    // Topics of the broker itself are for those who ask for them by name.
    let hidden = topic.starts_with('$') && matches!(filter[0], "#" | "+");
    !hidden && levels(&filter, &levels_of)
}
