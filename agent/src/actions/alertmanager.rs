//! `alertmanager`: an alert in Alertmanager, which tells people by its own rules and ends it when the check is well again.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_shared::{Severity, policy::News};
use serde_json::{Value, json};

use super::{
    Action, ActionKind, Letter, Notice, TellError, To,
    tone::Tone,
    web::{self, Request, Service},
};
use crate::options::{Opt, Options, Shape};

/// The entry of `alertmanager` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "alertmanager",
    summary: "an alert in Alertmanager, which ends when the check is well again",
    options: &[
        Opt::new("url", Shape::Secret, "required", "its address, as far as `/api/v2/alerts`"),
        Opt::text("username", "none", "user to log in as"),
        Opt::secret("password", "password of that user"),
        Opt::secret("token", "access token, instead of a user"),
        Opt::new("labels", Shape::Table, "none", "further labels of each alert"),
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: false,
    build,
};

/// How long an alert stays there that nobody ends. Without an end it would be taken for over after some minutes.
const STAYS: TimeDelta = TimeDelta::days(365);

/// How long a test stays there.
const TEST_STAYS: TimeDelta = TimeDelta::minutes(5);

struct Alertmanager {
    service: Service,
    url: String,
    /// The field `Authorization`.
    login: Option<String>,
    labels: Vec<(String, String)>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let service = Service::of(options);
    let url = web::base(options, "url", None);
    let user = options.text("username").filter(|text| !text.is_empty());
    let password = options.any_text("password").unwrap_or_default();
    let token = web::key(options, "token");
    let login = match (user, token) {
        (Some(user), _) => {
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        }
        (None, Some(token)) => Some(format!("Bearer {token}")),
        (None, None) => None,
    };
    let mut labels = Vec::new();
    for (name, value) in options.table("labels").unwrap_or_default() {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        if name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
            labels.push((name.to_owned(), value.to_owned()));
        } else {
            let wrong = format!("{name:?} is no name of a label");
            options.fault("labels", wrong, "letters, digits and `_`");
        }
    }
    let url = format!("{}/api/v2/alerts", url?);
    Some(Arc::new(Alertmanager { service, url, login, labels }))
}

#[async_trait]
impl Action for Alertmanager {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let notices = letter.entries.iter().map(|entry| &entry.notice);
        let now = Utc::now();
        let alerts: Value = notices.flat_map(|notice| self.alerts(letter, notice, now)).collect();
        let request = Request::json(&self.url, &alerts);
        let request = match &self.login {
            Some(login) => request.header("authorization", login),
            None => request,
        };
        self.service.send(request).await
    }
}

impl Alertmanager {
    /// The alert of a check, and the end of the one of its other severity: an alert is known by its labels, and its
    /// severity is one of them. Whether an alert has ended is for the clock there to say, so it goes by the one here and
    /// not by that of whoever ran the check, which may be years off.
    fn alerts(&self, letter: &Letter, notice: &Notice, now: DateTime<Utc>) -> Vec<Value> {
        let is = match Tone::of(notice) {
            Tone::Bad => Some(Severity::Critical),
            Tone::Worry => Some(Severity::Warning),
            Tone::Good => None,
            Tone::Test => {
                return vec![self.alert(letter, notice, "info", now + TEST_STAYS)];
            }
        };
        let each = [(Severity::Critical, "critical"), (Severity::Warning, "warning")].map(
            |(severity, word)| {
                let end = if is == Some(severity) { now + STAYS } else { known(notice.at, now) };
                self.alert(letter, notice, word, end)
            },
        );
        each.into()
    }

    fn alert(&self, letter: &Letter, notice: &Notice, severity: &str, end: DateTime<Utc>) -> Value {
        let since = notice.since.filter(|_| notice.news != News::Test).unwrap_or(notice.at);
        // An end before its beginning is refused, and a clock may have been set.
        let start = since.clamp(DateTime::UNIX_EPOCH, end);
        let mut labels = json!({
            "alertname": "fletchck",
            "site": letter.site,
            "check": notice.check.as_str(),
            "type": notice.kind,
            "severity": severity,
        });
        if let Some(agent) = &notice.agent {
            labels["agent"] = agent.as_str().into();
        }
        for (name, value) in &self.labels {
            labels[name] = value.as_str().into();
        }
        let mut alert = json!({
            "labels": labels,
            "annotations": { "summary": notice.text, "description": notice.log.join("\n") },
            "startsAt": start.to_rfc3339(),
            "endsAt": end.to_rfc3339(),
        });
        if let Some(page) = letter.page_of(notice) {
            alert["generatorURL"] = page.into();
        }
        alert
    }
}

/// A time that somebody else's clock said, as one that has been.
fn known(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    at.clamp(DateTime::UNIX_EPOCH, now.max(DateTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::testing::{letter, notice};

    fn ends(news: News, at: &str) -> Vec<DateTime<Utc>> {
        let options = json!({ "url": "http://localhost" });
        let manager =
            Options::read(options.as_object().expect("options"), KIND.options, |options| {
                let service = Service::of(options);
                Some(Alertmanager { service, url: String::new(), login: None, labels: Vec::new() })
            });
        let manager = manager.0.expect("a manager");
        let mut told = notice("web", news);
        (told.at, told.since) = (at.parse().expect("a time"), at.parse().ok());
        let letter = letter([told.clone()]);
        let alerts = manager.alerts(&letter, &told, now());
        let time = |text: &Value| text.as_str().expect("a text").parse::<DateTime<Utc>>();
        for alert in &alerts {
            let (start, end) = (time(&alert["startsAt"]), time(&alert["endsAt"]));
            assert!(start.expect("a time") <= end.expect("a time"), "{alert}");
        }
        alerts.iter().map(|alert| time(&alert["endsAt"]).expect("a time")).collect()
    }

    fn now() -> DateTime<Utc> {
        "2026-11-26T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn an_alert_stays_or_ends_whatever_the_clock_of_its_agent_says() {
        for at in [
            "2026-11-26T11:59:00Z",
            "1970-01-01T00:00:00Z",
            "-262142-01-01T00:00:00Z",
            "2030-01-01T00:00:00Z",
            "+262142-12-31T23:59:59Z",
        ] {
            let [critical, warning] = ends(News::Failed, at)[..] else { panic!("two") };
            assert!(critical > now() + TimeDelta::days(300) && warning <= now(), "{at}");
            assert!(ends(News::Recovered, at).iter().all(|end| *end <= now()), "{at}");
        }
    }
}
