//! `mqtt`: a message on a topic of the broker that this site speaks to.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::topic::Topic;

use super::{
    Action, ActionKind, Letter, TellError, To,
    words::{self, Words},
};
use crate::{
    options::{Opt, Options},
    store::{Batch, OutgoingRow},
};

/// The entry of `mqtt` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "mqtt",
    summary: "a message on a topic of the broker that this site speaks to",
    options: &[
        Opt::text("topic", "required", "topic of the message"),
        Opt::flag("retain", "false", "whether the broker keeps the last one"),
        Opt::text(
            "text",
            "all there is, as JSON",
            "template of the message, in the language of Jinja",
        ),
    ],
    gathers: false,
    build,
};

/// How long somebody who tries it out waits for the broker.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(20);

/// How often it is looked whether the broker has confirmed it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

struct Mqtt {
    topic: Topic,
    retain: bool,
    words: Option<Words>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let topic = options.required_text("topic").map(Topic::try_from);
    let retain = options.flag("retain", false);
    let words = options.given("text").then(|| Words::body(options));
    match topic? {
        Ok(topic) => Some(Arc::new(Mqtt { topic, retain, words })),
        Err(wrong) => {
            options.fault("topic", wrong.to_string(), "a topic, `home/alerts` for example");
            None
        }
    }
}

#[async_trait]
impl Action for Mqtt {
    /// It is told once it lies in the outbox, which is kept until the broker has it. Whoever tries it out is told whether the
    /// broker has.
    async fn tell(&self, letter: &Letter, to: &To<'_>) -> Result<String, TellError> {
        let payload = match &self.words {
            Some(words) => words.say_somehow(letter).text,
            None => words::context(letter).to_string(),
        };
        let row = OutgoingRow {
            topic: self.topic.as_str().into(),
            payload: payload.clone().into_bytes(),
            qos: 1,
            retain: self.retain,
            keep: true,
        };
        let batch = Batch { outgoing: vec![row], ..Batch::default() };
        if let Err((_, reason)) = to.store.commit(batch).await {
            return Err(TellError::passing(reason.to_string()));
        }
        if !to.trial {
            return Ok("in the outbox, for the broker".into());
        }
        let (topic, payload) = (self.topic.as_str(), payload.as_bytes());
        for _ in 0..CONFIRMED_WITHIN.as_millis() / LOOK_EVERY.as_millis() {
            tokio::time::sleep(LOOK_EVERY).await;
            match to.store.is_outgoing(topic, payload).await {
                Ok(true) => {}
                Ok(false) => return Ok("the broker has confirmed it".into()),
                Err(reason) => return Err(TellError::passing(reason.to_string())),
            }
        }
        let seconds = CONFIRMED_WITHIN.as_secs();
        Err(TellError::passing(format!(
            "the broker has not confirmed it within {seconds} s; it stays in the outbox, and goes out once there is a broker to take it"
        )))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{actions::testing::failed, store::Store};

    #[tokio::test(start_paused = true)]
    async fn whoever_tries_it_out_is_told_what_the_broker_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store")).expect("a store");
        let options = json!({ "topic": "home/alerts" });
        let (action, _) = KIND.action(options.as_object().expect("options"));
        let action = action.expect("an action");
        let to = To { group: "", store: &store, trial: true };
        let letter = failed();
        let silent = action.tell(&letter, &to).await.expect_err("nobody confirmed it");
        assert!(silent.text.contains("has not confirmed it within 20 s"), "{silent}");
        // As the link does it.
        let sent = async {
            loop {
                let rows = store.outgoing(0, 10).await.expect("read");
                store
                    .acknowledged(rows.iter().map(|(id, _)| *id).collect())
                    .await
                    .expect("written");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let said = tokio::select! { said = action.tell(&letter, &to) => said, () = sent => unreachable!() };
        assert_eq!(said.as_deref(), Ok("the broker has confirmed it"));
        let to = To { trial: false, ..to };
        assert_eq!(action.tell(&letter, &to).await.as_deref(), Ok("in the outbox, for the broker"));
    }
}
