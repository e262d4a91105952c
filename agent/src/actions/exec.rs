//! `exec`: a program of one's own, which reads what there is to tell as JSON.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Action, ActionKind, Letter, TellError, To, cut,
    words::{self, Words},
};
use crate::{
    options::{Opt, Options},
    program::{self, End, Program, Ran, signal},
};

/// The entry of `exec` in the table.
pub const KIND: ActionKind = ActionKind {
    name: "exec",
    summary: "a program of one's own, which reads what there is to tell",
    options: &[
        program::COMMAND,
        TIMEOUT,
        program::ENV,
        program::DIRECTORY,
        Opt::text(
            "text",
            "all there is, as JSON",
            "template of what it reads, in the language of Jinja",
        ),
    ],
    gathers: false,
    build,
};

/// Option for the time that a program has.
pub(super) const TIMEOUT: Opt = Opt::seconds(
    "timeout",
    "10",
    "seconds that it may run; then it is killed, with all that it started",
);

struct Exec {
    program: Program,
    timeout: Duration,
    /// `None`: all there is, as JSON.
    words: Option<Words>,
}

fn build(options: &mut Options<'_>) -> Option<Arc<dyn Action>> {
    let program = Program::read(options);
    let timeout = options.seconds("timeout", 10);
    let words = options.given("text").then(|| Words::body(options));
    Some(Arc::new(Exec { program: program?, timeout, words }))
}

#[async_trait]
impl Action for Exec {
    async fn tell(&self, letter: &Letter, _: &To<'_>) -> Result<String, TellError> {
        let input = match &self.words {
            Some(words) => words.say_somehow(letter).text,
            None => words::context(letter).to_string(),
        };
        run(&self.program, &[], input, self.timeout).await
    }
}

/// Runs a program that tells people. It has told them if it ends with 0; whatever else happens may be over at the next
/// try, for what a code means is known to its author alone.
pub(super) async fn run(
    program: &Program,
    more: &[&str],
    input: impl Into<Vec<u8>>,
    timeout: Duration,
) -> Result<String, TellError> {
    let ran = program.run(more, input.into(), timeout).await.map_err(TellError::passing)?;
    let name = program.name();
    match ran.end {
        End::Code(0) => Ok(match answer(&ran) {
            said if said.is_empty() => format!("`{name}` ended with 0"),
            said => said,
        }),
        End::Code(code) => Err(failed(&ran, &format!("`{name}` ended with {code}"))),
        End::Signal(number) => {
            Err(failed(&ran, &format!("`{name}` was ended by {}", signal(number))))
        }
        End::Late => {
            let limit = timeout.as_secs_f64();
            Err(failed(&ran, &format!("`{name}` did not end within {limit} s and was killed")))
        }
    }
}

fn failed(ran: &Ran, how: &str) -> TellError {
    match answer(ran) {
        said if said.is_empty() => TellError::passing(how),
        said => TellError::passing(format!("{how}: {said}")),
    }
}

/// The first line that it said, of its complaints where it failed and had any.
fn answer(ran: &Ran) -> String {
    let streams = match ran.end {
        End::Code(0) => [&ran.output, &ran.errors],
        _ => [&ran.errors, &ran.output],
    };
    let lines = streams.into_iter().flat_map(|said| said.split(|byte| *byte == b'\n'));
    lines.map(cut::line).find(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::actions::testing::{failed, tell, told};

    fn shell(script: &str) -> Value {
        json!({ "command": ["/bin/sh", "-c", script], "timeout": 5 })
    }

    #[tokio::test]
    async fn it_reads_all_there_is() {
        let answer = tell("exec", &shell("cat"), &failed()).await.expect("told");
        assert!(answer.starts_with(r#"{"v":1,"site":"home","id":""#), "{answer}");
        let mut own = shell("cat");
        own["text"] = json!("{{ entries[0].check }}: {{ title }}");
        assert_eq!(tell("exec", &own, &failed()).await, Ok("web: [home] FAIL: web (https)".into()));
    }

    #[tokio::test]
    async fn it_has_told_if_it_ends_with_0() {
        for (script, answer) in [
            ("echo; echo sent; echo more", Ok("sent")),
            ("echo hint >&2", Ok("hint")),
            ("true", Ok("`sh` ended with 0")),
            ("echo out; echo busy >&2; exit 75", Err("`sh` ended with 75: busy")),
            ("exit 1", Err("`sh` ended with 1")),
            ("kill -TERM $$", Err("`sh` was ended by SIGTERM (signal 15)")),
        ] {
            let said = tell("exec", &shell(script), &failed()).await;
            let answer = answer.map(String::from).map_err(TellError::passing);
            assert_eq!(said, answer, "{script}");
        }
        let slow = json!({ "command": ["/bin/sleep", "100"], "timeout": 0.2 });
        let late = tell("exec", &slow, &failed()).await;
        assert_eq!(told(late), "passing: `sleep` did not end within 0.2 s and was killed");
        let missing = tell("exec", &json!({ "command": ["/no/such"] }), &failed()).await;
        assert_eq!(told(missing), "passing: `/no/such` does not exist: which package has it?");
    }
}
