//! `exec`: a command on this machine that judges by itself, as a plugin of Nagios does.

mod judge;
mod number;
pub(super) mod properties;
mod said;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    net::{GRACE, Steps},
};
use crate::program::{self, Program};
use said::Said;

/// The entry of `exec` in the table.
pub const KIND: Kind = Kind {
    name: "exec",
    summary: "a command on this machine that judges by itself, as a Nagios plugin does",
    options: &[
        program::COMMAND,
        Opt::seconds(
            "timeout",
            "10",
            "seconds that it may run; then it is killed, with all that it started",
        ),
        program::ENV,
        program::DIRECTORY,
        Opt::flag("warnAlerts", "true", "whether a warning is told as a failure is"),
    ],
    answers: Answers {
        proves: "The command ran to its end in time and ended with 0. What that means is the command's own to say: its first \
                 line is the sentence, further lines and its numbers are the log, and the first number is the level.",
        leaves_open: "Whatever the command does not look at. It runs as the user of this program, who may see less than root.",
        failure: "1 is a warning, 2 a failure, 3 says that the command could not tell; another code, a signal, and a command \
                  that does not end or cannot be started fail too, and the sentence says which. Run it by hand as the same \
                  user.",
        matters: "`command` is a list: with a shell, write [\"/bin/sh\", \"-c\", \"…\"]. Keep passwords out of it, for everybody \
                  on the machine sees the arguments of a program. What a command starts and leaves running is killed with it.",
    },
    example: r#"{"type": "exec", "trigger": {"interval": {"minutes": 5}}, "options": {"command": ["/usr/lib/nagios/plugins/check_load", "-w", "5,4,3", "-c", "10,8,6"]}}"#,
    build,
};

#[derive(Debug)]
struct Exec {
    program: Program,
    timeout: Duration,
    /// Whether a warning is told.
    alerts: bool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let program = Program::read(options);
    let timeout = options.seconds("timeout", 10);
    let alerts = options.flag("warnAlerts", true);
    Some(Plan::Probe(Arc::new(Exec { program: program?, timeout, alerts })))
}

#[async_trait]
impl Probe for Exec {
    async fn look(&self, _: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        steps.begin("run");
        // Neither arguments nor variables are told: there may be passwords among them.
        let many = self.program.arguments();
        steps.note(format!("* runs {} with {many} arguments", self.program.path()));
        for name in self.program.variables() {
            steps.note(format!("* {name} is set"));
        }
        let outcome = match self.program.run(&[], Vec::new(), self.timeout).await {
            Ok(ran) => {
                for line in String::from_utf8_lossy(&ran.output).lines() {
                    steps.got(line);
                }
                self.judge(&ran)
            }
            Err(text) => Outcome::fail(text.clone()).log([text]),
        };
        steps.complete(outcome)
    }

    fn limit(&self) -> Duration {
        self.timeout + GRACE
    }

    /// A command may ask any machine, and take as long as it is let: it must not hold up looks at this machine, which end at
    /// once.
    fn local(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
