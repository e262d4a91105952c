//! `exec`: a command on this machine that judges by itself, as a plugin of Nagios does.

mod judge;
mod number;
pub(super) mod parse;
mod run;
mod said;

use std::{env, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::process::Command;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe, Shape,
    aside::Aside,
    net::{GRACE, Steps},
};
use run::run;
use said::Said;

/// The entry of `exec` in the table.
pub const KIND: Kind = Kind {
    name: "exec",
    summary: "a command on this machine that judges by itself, as a Nagios plugin does",
    options: &[
        Opt::new(
            "command",
            Shape::Texts,
            "required",
            "the program, by its whole path or a name in PATH, and its arguments, one text each; no shell reads them",
        ),
        Opt::seconds(
            "timeout",
            "10",
            "seconds that it may run; then it is killed, with all that it started",
        ),
        Opt::new(
            "env",
            Shape::Table,
            "none",
            "variables that it finds beside those of this program, whose own (FLETCHCK…) it does not see",
        ),
        Opt::text("directory", "that of this program", "directory that it runs in"),
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
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    directory: Option<PathBuf>,
    timeout: Duration,
    /// Whether a warning is told.
    alerts: bool,
    aside: Aside,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let command = command(options);
    let variables = variables(options);
    let directory = options.text("directory").filter(|text| !text.is_empty());
    if directory.is_some_and(|directory| !directory.starts_with('/')) {
        options.fault("directory", "it is no absolute path", "a path that begins with `/`");
    }
    let timeout = options.seconds("timeout", 10);
    let alerts = options.flag("warnAlerts", true);
    let (program, arguments) = command?;
    Some(Plan::Probe(Arc::new(Exec {
        program,
        arguments,
        variables,
        directory: directory.map(PathBuf::from),
        timeout,
        alerts,
        aside: Aside::default(),
    })))
}

fn command(options: &mut Options<'_>) -> Option<(String, Vec<String>)> {
    let right = "a list, as in [\"/usr/lib/nagios/plugins/check_load\", \"-w\", \"5,4,3\"]";
    if options.peek_text("command").is_some() {
        options.fault("command", "it is a text, and no shell would take it apart", right);
        return None;
    }
    if !options.given("command") {
        options.fault("command", "it is missing", right);
        return None;
    }
    let command = options.texts("command")?;
    let Some((program, arguments)) =
        command.split_first().filter(|(program, _)| !program.is_empty())
    else {
        options.fault("command", "it names no program", right);
        return None;
    };
    if program.contains('/') && !program.starts_with('/') {
        let right = "the whole path, or a name that is in PATH";
        options.fault("command", "the path of the program is not absolute", right);
    }
    if command.iter().any(|text| text.contains('\0')) {
        options.fault("command", "there is a NUL in it", "what a program can be given");
    }
    Some(((*program).to_owned(), arguments.iter().map(|&text| text.to_owned()).collect()))
}

fn variables(options: &mut Options<'_>) -> Vec<(String, String)> {
    let variables = options.table("env").unwrap_or_default();
    if variables.iter().any(|(name, _)| name.is_empty() || name.contains(['=', '\0'])) {
        options.fault("env", "one of its names is none", "names without `=`");
    }
    if variables.iter().any(|(_, value)| value.contains('\0')) {
        options.fault("env", "there is a NUL in it", "texts without it");
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[async_trait]
impl Probe for Exec {
    async fn look(&self, _: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        steps.begin("run");
        // Neither arguments nor variables are told: there may be passwords among them.
        let many = self.arguments.len();
        steps.note(format!("* runs {} with {many} arguments", self.program));
        for (name, _) in &self.variables {
            steps.note(format!("* {name} is set"));
        }
        let outcome = match run(self.command(), self.timeout, &self.aside).await {
            Ok(ran) => {
                for line in String::from_utf8_lossy(&ran.output).lines() {
                    steps.got(line);
                }
                self.judge(&ran)
            }
            Err(error) => {
                let text = self.refused(&error);
                Outcome::fail(text.clone()).log([text])
            }
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

impl Exec {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // Secrets of this program may be among its own variables, and its service manager listens to it alone.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("FLETCHCK") || text == "NOTIFY_SOCKET" {
                command.env_remove(&name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

#[cfg(test)]
mod tests;
