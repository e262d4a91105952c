//! Messages recorded from the original.

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::Tz;
use fletchck_shared::state::{Condition, Failure};
use fletchck_shared::wire::{Data, Message};
use fletchck_tests::fields;
use serde_json::Value;

/// One object per line: `sample`, `topic`, `qos`, `retain`, `payload`.
const RECORDED: &str = include_str!("../fixtures/messages.jsonl");

fn recorded() -> Result<Vec<Value>> {
    RECORDED.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[test]
fn every_recorded_message_is_read_and_says_the_same_when_written_again() -> Result<()> {
    let mut read = 0;
    for sample in recorded()? {
        let payload = sample["payload"].as_str().context("no payload")?;
        // What the original sends when a check is deleted.
        if payload.is_empty() {
            continue;
        }
        let message = Message::parse(payload.as_bytes(), Tz::UTC)
            .with_context(|| format!("{} was refused", sample["sample"]))?;
        let value: Value = serde_json::from_str(payload)?;
        fields::check(&value).with_context(|| format!("{}", sample["sample"]))?;
        ensure!(
            message.name.as_str() == value["name"]
                && message.kind == value["type"].as_str().unwrap_or_default()
        );
        let failing = match &value["data"]["failState"] {
            Value::String(members) => {
                (!members.is_empty()).then(|| Failure::Members(members.clone()))
            }
            other => (other == true).then_some(Failure::Whole),
        };
        ensure!(message.report.failure == failing, "{payload}: {:?}", message.report.failure);
        read += 1;
    }
    ensure!(read > 50, "only {read} messages");
    Ok(())
}

#[test]
fn what_a_recorded_check_resumes_from_is_published_as_it_was() -> Result<()> {
    for sample in recorded()? {
        let Ok(value) =
            serde_json::from_str::<Value>(sample["payload"].as_str().unwrap_or_default())
        else {
            continue;
        };
        let state = Data::read(&value["data"], Tz::UTC).map_err(anyhow::Error::msg)?.seed();
        // Never passed, never told: the original calls that failing, we call it unknown until it is seen again.
        if state.condition == Condition::Unknown {
            continue;
        }
        let zone: Tz = "Australia/Adelaide".parse()?;
        let written = Value::Object(Data::write(&state, value["type"] == "sequence", zone));
        fields::check(&serde_json::json!({ "name": "", "type": "", "data": written }))?;
        same_fields(&value["data"], &written).with_context(|| format!("{}", sample["sample"]))?;
    }
    Ok(())
}

fn same_fields(original: &Value, ours: &Value) -> Result<()> {
    let (original, ours) = (fields::shared(original), fields::shared(ours));
    for (field, value) in &original {
        ensure!(ours.get(field) == Some(value), "{field}: {value} became {:?}", ours.get(field));
    }
    Ok(())
}
