//! `mqtt`: a message on a topic of the broker that this site speaks to.

use std::sync::Arc;

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
    /// It is told once it lies in the outbox, which is kept until the broker has it.
    async fn tell(&self, letter: &Letter, to: &To<'_>) -> Result<String, TellError> {
        let payload = match &self.words {
            Some(words) => words.say_somehow(letter).text,
            None => words::context(letter).to_string(),
        };
        let row = OutgoingRow {
            topic: self.topic.as_str().into(),
            payload: payload.into_bytes(),
            qos: 1,
            retain: self.retain,
            keep: true,
        };
        let batch = Batch { outgoing: vec![row], ..Batch::default() };
        match to.store.commit(batch).await {
            Ok(()) => Ok("in the outbox, for the broker".into()),
            Err((_, reason)) => Err(TellError::passing(reason.to_string())),
        }
    }
}
