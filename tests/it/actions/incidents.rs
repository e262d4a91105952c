//! Alerts in a real Alertmanager, from their beginning to their end.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use fletchck_agent::actions::Notice;
use fletchck_shared::{Severity, policy::News};
use fletchck_tests::{
    alertmanager::Alertmanager,
    sink::Sink,
    tell::{self, letter, notice},
};
use serde_json::{Value, json};

/// A notice of now, of a failure that began a minute ago.
fn now(news: News, severity: Severity) -> Result<Notice> {
    let mut notice = notice("attic/web", news)?;
    notice.severity = severity;
    notice.at = Utc::now();
    notice.since = Some(notice.at - TimeDelta::minutes(1));
    notice.agent = Some("attic".into());
    Ok(notice)
}

/// What Alertmanager has told of: each alert's status and severity.
fn told(body: &Value) -> Result<Vec<(String, String)>> {
    let alerts = body["alerts"].as_array().context("alerts")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(alerts.iter().map(|a| (text(&a["status"]), text(&a["labels"]["severity"]))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_is_told_of_beginning_change_and_end() -> Result<()> {
    let sink = Sink::start().await?;
    let alertmanager = Alertmanager::start(&sink).await?;
    let options = json!({ "url": format!("http://127.0.0.1:{}", alertmanager.port) });
    let mut steps = Vec::new();
    for (news, severity, many) in [
        (News::Failed, Severity::Warning, 1),
        (News::Changed, Severity::Critical, 2),
        (News::Recovered, Severity::Ok, 1),
    ] {
        let answer = tell::ours("alertmanager", &options, &letter([now(news, severity)?])?).await?;
        ensure!(answer == Ok("200 OK".into()), "{answer:?}");
        let mut step = Vec::new();
        while step.len() < many {
            for asked in sink.wait_for(1).await? {
                let body = asked.json()?;
                let labels = &body["alerts"][0]["labels"];
                ensure!(labels["check"] == "attic/web" && labels["agent"] == "attic", "{body}");
                ensure!(
                    body["alerts"][0]["generatorURL"] == "https://hub.example/check/attic%2Fweb"
                );
                step.extend(told(&body)?);
            }
        }
        step.sort();
        steps.push(step);
    }
    let of = |status: &str, severity: &str| (status.to_owned(), severity.to_owned());
    ensure!(
        steps
            == [
                vec![of("firing", "warning")],
                vec![of("firing", "critical"), of("resolved", "warning")],
                vec![of("resolved", "critical")],
            ],
        "{steps:?}"
    );
    Ok(())
}
