//! `/status` in the original's shape, for the site the original's sample is of.

use std::path::Path;

use fletchck_agent::engine::CheckView;
use fletchck_shared::{CheckName, Condition, state::Failure};
use serde_json::{Value, json};

use super::client::{Site, time, view};

/// One check of the sample, told as the engine would show it.
fn told(name: &str, sample: &Value, members: &[String]) -> CheckView {
    let mut view = view(name);
    let text = |key: &str| sample[key].as_str().filter(|text| !text.is_empty());
    view.kind = sample["checkType"].as_str().expect("a type").into();
    view.state.condition = match &sample["failState"] {
        Value::Bool(true) => Condition::Fail(Failure::Whole),
        Value::String(members) if !members.is_empty() => {
            Condition::Fail(Failure::Members(members.clone()))
        }
        _ => Condition::Pass,
    };
    view.trigger = serde_json::from_value(sample["trigger"].clone()).expect("a trigger");
    view.state.soft_fail = text("softFail").map(str::to_owned);
    let moment = |key| text(key).map(|_| time("2026-11-23T03:30:21Z"));
    view.state.last_fail = moment("lastFail");
    view.state.last_pass = moment("lastPass");
    view.members =
        members.iter().map(|m| CheckName::try_from(m.as_str()).expect("a name")).collect();
    view
}

fn sample() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/status-of-original.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the sample")).expect("JSON")
}

#[tokio::test]
async fn the_same_site_reads_the_same() {
    let sample = sample();
    let site = Site::new();
    let checks = sample["checks"].as_object().expect("checks");
    for (name, check) in checks {
        let members = sample["seqs"][name].as_object();
        let members: Vec<String> = members.map(|m| m.keys().cloned().collect()).unwrap_or_default();
        site.board.put(told(name, check, &members));
    }
    let answer = site.admin().await.get("/status").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    let status: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(status, sample);
    let keys =
        |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&status), keys(&sample));
    assert_eq!(keys(&status["checks"]["cpu"]), keys(&sample["checks"]["cpu"]));
}

#[tokio::test]
async fn an_empty_site_has_all_keys() {
    let status = Site::new().admin().await.get("/status").await.body;
    assert_eq!(status, r#"{"fail":false,"info":null,"checks":{},"seqs":{},"inseqs":{}}"#);
}

#[tokio::test]
async fn a_sequence_whose_member_fails_meanwhile_depends_on_it() {
    let site = Site::new();
    let mut sequence = view("all");
    sequence.kind = "sequence".into();
    sequence.members = vec![CheckName::try_from("web").expect("a name")];
    site.board.put(sequence);
    site.board.put(super::client::failing("web", "no"));
    let status = site.admin().await.get("/status").await.body;
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["checks"]["all"]["failState"], "DEP");
    assert_eq!(status["info"], "1 check in fail state");
    assert_eq!(status["inseqs"], json!({ "all": [], "web": ["all"] }));
}
