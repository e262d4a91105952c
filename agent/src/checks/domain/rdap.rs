//! What a registry answers about a domain (RFC 9083).

use std::{fmt, marker::PhantomData};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use fletchck_shared::time::is_likely;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// Most events and states that are read; a domain has about five of each.
const MANY: usize = 32;

/// What a registry knows of a domain.
#[derive(Debug, PartialEq)]
pub(in crate::checks) struct Registration {
    /// The domain it is about, where it says so.
    pub(super) name: Option<String>,
    /// When it ends, where that is published.
    pub(super) expires: Option<DateTime<Utc>>,
    /// Its states, `active` or `pending delete` for example.
    pub(super) status: Vec<String>,
}

/// Why an answer says nothing about a domain: a clause that goes on from the service.
#[derive(Debug, thiserror::Error)]
pub(in crate::checks) enum NoRegistration {
    #[error("what it answers is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it answered about something else than a domain (`{0}`): is it an RDAP server?")]
    Class(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    object_class_name: Option<String>,
    #[serde(default)]
    ldh_name: Option<String>,
    #[serde(default, deserialize_with = "first")]
    events: Vec<Event>,
    #[serde(default, deserialize_with = "first")]
    status: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    event_action: Option<String>,
    #[serde(default)]
    event_date: Option<String>,
}

impl Registration {
    /// Reads the answer of an RDAP server.
    pub(in crate::checks) fn read(bytes: &[u8]) -> Result<Self, NoRegistration> {
        let answer: Answer = serde_json::from_slice(bytes)?;
        let class = answer.object_class_name.unwrap_or_default();
        if class != "domain" {
            return Err(NoRegistration::Class(plain(&class)));
        }
        // What the registry says counts. A registrar may have renewed what it has not paid for yet.
        let ends = |action: &str| {
            let named = |event: &&Event| event.event_action.as_deref() == Some(action);
            let dates = answer.events.iter().filter(named);
            dates.filter_map(|event| date(event.event_date.as_deref()?)).min()
        };
        Ok(Self {
            name: answer.ldh_name.map(|name| plain(name.trim_end_matches('.'))),
            expires: ends("expiration").or_else(|| ends("registrar expiration")),
            status: answer.status.iter().map(|status| plain(status)).collect(),
        })
    }
}

/// The first of a list, of which the rest is passed over. What is null is empty.
fn first<'de, D: Deserializer<'de>, T: Deserialize<'de>>(list: D) -> Result<Vec<T>, D::Error> {
    struct First<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for First<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut first = Vec::new();
            while first.len() < MANY {
                let Some(item) = list.next_element()? else { return Ok(first) };
                first.push(item);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(first)
        }
    }

    list.deserialize_any(First(PhantomData))
}

/// A date as registries write them: as RFC 3339 has it, without a zone, or the day alone.
fn date(text: &str) -> Option<DateTime<Utc>> {
    of_any_year(text.trim()).filter(is_likely)
}

fn of_any_year(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Some(at.and_utc());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(day.and_time(chrono::NaiveTime::MIN).and_utc())
}

/// As much of a text as is told, without control characters.
fn plain(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(answer: Value) -> Registration {
        Registration::read(answer.to_string().as_bytes()).expect("a registration")
    }

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(text.parse().expect("a time"))
    }

    #[test]
    fn the_end_and_the_states_are_read() {
        let seen = read(json!({
            "objectClassName": "domain", "ldhName": "EXAMPLE.ORG.", "handle": 5,
            "entities": [{"vcardArray": ["vcard", [["version", {}, "text", "4.0"]]]}],
            "status": ["client transfer prohibited", "active"],
            "events": [
                {"eventAction": "registration", "eventDate": "1995-08-14T04:00:00Z"},
                {"eventAction": "registrar expiration", "eventDate": "2026-01-01T00:00:00Z"},
                {"eventAction": "expiration", "eventDate": "2027-08-13T06:00:00.5+02:00"},
            ],
        }));
        assert_eq!(seen.name.as_deref(), Some("EXAMPLE.ORG"));
        assert_eq!(seen.expires, at("2027-08-13T04:00:00.5Z"));
        assert_eq!(seen.status, ["client transfer prohibited", "active"]);
    }

    #[test]
    fn registries_leave_out_much() {
        for (events, expires) in [
            (json!(null), None),
            (json!([{}, {"eventAction": "expiration"}]), None),
            (json!([{"eventAction": "expiration", "eventDate": "soon"}]), None),
            (
                json!([{"eventAction": "expiration", "eventDate": "2027-08-13"}]),
                at("2027-08-13T00:00:00Z"),
            ),
            (
                json!([{"eventAction": "expiration", "eventDate": "2027-08-13T01:02:03"}]),
                at("2027-08-13T01:02:03Z"),
            ),
            (
                json!([{"eventAction": "expiration", "eventDate": "2027-08-13 01:02:03"}]),
                at("2027-08-13T01:02:03Z"),
            ),
            (
                json!([{"eventAction": "registrar expiration", "eventDate": "2027-08-13"}]),
                at("2027-08-13T00:00:00Z"),
            ),
        ] {
            let seen = read(json!({"objectClassName": "domain", "events": events}));
            assert_eq!((seen.expires, seen.name), (expires, None), "{events}");
        }
    }

    #[test]
    fn what_is_about_no_domain_is_told() {
        for text in ["{}", "[]", r#"{"objectClassName": "autnum"}"#] {
            let error = Registration::read(text.as_bytes()).expect_err("no domain");
            assert!(matches!(error, NoRegistration::Class(_)), "{error}");
        }
        for text in ["", "<html>", "5", r#"{"objectClassName": 5}"#] {
            let error = Registration::read(text.as_bytes()).expect_err("no answer");
            assert!(matches!(error, NoRegistration::Json(_)), "{error}");
        }
    }

    #[test]
    fn of_a_long_list_only_the_beginning_is_kept() {
        let seen = read(json!({"objectClassName": "domain", "status": vec!["a"; 5000]}));
        assert_eq!(seen.status.len(), MANY);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            _ = Registration::read(&bytes);
        }

        #[test]
        fn no_date_is_too_strange(text in "[0-9TZ:. +-]{0,30}|\\PC{0,30}") {
            let seen = read(json!({
                "objectClassName": "domain",
                "events": [{"eventAction": "expiration", "eventDate": text}],
                "status": [text],
            }));
            prop_assert!(seen.status[0].chars().count() <= 64);
        }
    }
}
