//! `pagerduty`: an alert in PagerDuty, which ends when the check is well again.

use std::sync::Arc;

use async_trait::async_trait;
use fletchck_shared::policy::News;
use serde_json::{Value, json};

use super::{
    Action, ActionKind, Entry, Letter, TellError, To,
    cut::{chars, cut},
    tone::Tone,
    web::{self, Request, Service},
    words,
};
use crate::options::{Opt, Options, Shape};

/// The entry of `pagerduty` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "pagerduty",
    summary: "an alert in PagerDuty, which is acknowledged when somebody takes the failure on, and ends when the check is well again",
    options: &[
        Opt::new(
            "token",
            Shape::Secret,
            "required",
            "integration key of the service there, of the type Events API v2",
        ),
        Opt::new("url", Shape::Secret, URL, "address of the Events API"),
        web::TIMEOUT,
        web::CA_FILE,
    ],
    gathers: false,
    build,
};

const URL: &str = "https://events.pagerduty.com";

/// Longest summary, in characters.
const SUMMARY: usize = 1024;

struct Pagerduty {
    service: Service,
    url: String,
    key: String,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let service = Service::of(options);
    let url = web::base(options, "url", Some(URL));
    let key = web::required_key(options, "token");
    Some(Arc::new(Pagerduty { service, url: format!("{}/v2/enqueue", url?), key: key? }))
}

#[async_trait]
impl Action for Pagerduty {
    fn acknowledges(&self) -> bool {
        true
    }

    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let mut said = String::new();
        for entry in &letter.entries {
            let about = words::of_entry(entry, letter);
            for event in self.events(letter, entry, &about) {
                // Said again after a failure half way through, an event changes nothing.
                let request = Request::json(&self.url, &event).hide(&self.key);
                said = self.service.send(request).await?;
            }
        }
        Ok(said)
    }
}

impl Pagerduty {
    /// A failure opens an alert or renews it, somebody who takes it on acknowledges it, a recovery ends it. What failed and is well again before anybody was told
    /// is there as well, but wakes nobody; neither does a test.
    fn events(&self, letter: &Letter, entry: &Entry, about: &Value) -> Vec<Value> {
        let tone = Tone::of(&entry.notice);
        let event = |action: &str| {
            json!({
                "routing_key": self.key,
                "event_action": action,
                "dedup_key": entry.notice.subject(),
            })
        };
        let severity = if tone == Tone::Bad { "critical" } else { "warning" };
        if entry.notice.news == News::Acknowledged {
            // What nobody there has heard of yet is opened first.
            let opens = entry.earlier.iter().any(|notice| notice.news != News::Acknowledged);
            let opened = opens.then(|| self.alert(letter, entry, about, severity));
            return opened.into_iter().chain([event("acknowledge")]).collect();
        }
        let end = event("resolve");
        match tone {
            Tone::Good if entry.over() => vec![self.alert(letter, entry, about, "info"), end],
            Tone::Good => vec![end],
            Tone::Test => vec![self.alert(letter, entry, about, "info"), end],
            Tone::Worry | Tone::Bad => vec![self.alert(letter, entry, about, severity)],
        }
    }

    fn alert(&self, letter: &Letter, entry: &Entry, about: &Value, severity: &str) -> Value {
        let notice = &entry.notice;
        let says = about["says"].as_str().unwrap_or_default();
        let summary = format!("{} {says}: {}", notice.check, notice.text);
        let mut alert = json!({
            "routing_key": self.key,
            "event_action": "trigger",
            "dedup_key": notice.subject(),
            "client": "fletchck",
            "payload": {
                "summary": cut(&summary, SUMMARY, chars),
                "source": notice.agent.as_deref().unwrap_or(&letter.site),
                "severity": severity,
                "timestamp": about["at_iso"],
                "component": notice.check.as_str(),
                "group": letter.site,
                "class": notice.kind,
                "custom_details": about,
            },
        });
        if let Some(page) = letter.page_of(notice) {
            alert["client_url"] = page.clone().into();
            alert["links"] = json!([{ "href": page, "text": "the check" }]);
        }
        alert
    }
}
