//! What the tests of actions share.

use chrono::{DateTime, Utc};
use fletchck_shared::{CheckName, Severity, policy::News};
use serde_json::Value;

use super::{Letter, Notice, TellError, To, kind};
use crate::store::Store;

/// Sends a letter by an action with these options.
pub(super) async fn tell(
    name: &str,
    options: &Value,
    letter: &Letter,
) -> Result<String, TellError> {
    let options = options.as_object().expect("options are an object");
    let (action, faults) = kind(name).expect("a type of action").action(options);
    let action = action.unwrap_or_else(|| panic!("{name}: {faults:?}"));
    let dir = tempfile::TempDir::new().expect("a folder");
    let store = Store::open(&dir.path().join("store")).expect("a store");
    let groups = action.groups();
    action.tell(letter, &To { group: &groups[0], store: &store, trial: false }).await
}

/// What became of it, in one line.
pub(super) fn told(answer: Result<String, TellError>) -> String {
    match answer {
        Ok(said) => format!("told: {said}"),
        Err(TellError { permanent, text, .. }) => {
            format!("{}: {text}", if permanent { "permanent" } else { "passing" })
        }
    }
}

/// A letter of one failure.
pub(super) fn failed() -> Letter {
    letter([notice("web", News::Failed)])
}

/// A letter of these notices, of a site with pages.
pub(super) fn letter(notices: impl IntoIterator<Item = Notice>) -> Letter {
    Letter::of(notices, "action/group", Some("https://hub.example/")).expect("a notice")
}

/// What is told of a check that failed at noon; it is well again, or reminded of, two hours later.
pub(super) fn notice(check: &str, news: News) -> Notice {
    let noon: DateTime<Utc> = "2026-11-26T12:00:00Z".parse().expect("a time");
    let hours = chrono::TimeDelta::hours;
    let (severity, at, text) = match news {
        News::Failed => (Severity::Critical, noon, "no answer within 10 s"),
        News::Recovered | News::Steady => (Severity::Ok, noon + hours(2), "200 OK in 31 ms"),
        News::Test => (Severity::Ok, noon, "ann tries whether this way of telling works: it does"),
        _ => (Severity::Critical, noon + hours(2), "no answer within 10 s"),
    };
    Notice {
        site: "home".into(),
        check: CheckName::try_from(check).expect("a name"),
        agent: None,
        kind: "https".into(),
        news,
        severity,
        about: Severity::Critical,
        at,
        since: (news != News::Test).then_some(noon),
        last_good: (news != News::Test).then(|| noon - hours(1)),
        text: text.into(),
        level: None,
        log: vec![text.into(), "connected to 192.0.2.1 in 3 ms".into()],
        members: Vec::new(),
        zone: fletchck_shared::Tz::UTC,
    }
}
