//! A program of this machine that is run as its owner has said, for a check or to tell people.

mod run;

use std::{env, io, path::Path, path::PathBuf, time::Duration};

use rustix::process::Signal;
use tokio::process::Command;

pub(crate) use run::{End, KEPT, Ran, RunError, run};

use crate::{
    checks::aside::Aside,
    options::{Opt, Options, Shape},
};

/// Option for the program and its arguments.
pub(crate) const COMMAND: Opt = Opt::new(
    "command",
    Shape::Texts,
    "required",
    "the program, by its whole path or a name in PATH, and its arguments, one text each; no shell reads them",
);

/// Option for its variables.
pub(crate) const ENV: Opt = Opt::new(
    "env",
    Shape::Table,
    "none",
    "variables that it finds beside those of this program, whose own (FLETCHCK…) it does not see",
);

/// Option for where it runs.
pub(crate) const DIRECTORY: Opt =
    Opt::text("directory", "that of this program", "directory that it runs in");

/// A program, and what is around it when it runs.
#[derive(Debug, Default)]
pub(crate) struct Program {
    path: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    directory: Option<PathBuf>,
    aside: Aside,
}

impl Program {
    /// As the options [`COMMAND`], [`ENV`] and [`DIRECTORY`] say.
    pub(crate) fn read(options: &mut Options<'_>) -> Option<Self> {
        let command = command(options);
        let variables = variables(options);
        let directory = options.text("directory").filter(|text| !text.is_empty());
        if directory.is_some_and(|directory| !directory.starts_with('/')) {
            options.fault("directory", "it is no absolute path", "a path that begins with `/`");
        }
        let (path, arguments) = command?;
        let directory = directory.map(PathBuf::from);
        Some(Self { path, arguments, variables, directory, aside: Aside::default() })
    }

    /// The program of this path or name, without arguments.
    pub(crate) fn of(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// With a variable that it finds.
    #[must_use]
    pub(crate) fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Its path or name, as it was given.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Its name without its folder.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// How many arguments it has.
    pub(crate) fn arguments(&self) -> usize {
        self.arguments.len()
    }

    /// The names of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|(name, _)| name.as_str())
    }

    /// Runs it for so long, with further arguments, and lets it read `input`.
    ///
    /// # Errors
    /// Why it could not be run, and what to do.
    pub(crate) async fn run(
        &self,
        more: &[&str],
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<Ran, String> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).args(more);
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
        run(command, input, limit, &self.aside).await.map_err(|error| self.refused(&error))
    }

    /// Why it could not be run.
    fn refused(&self, error: &RunError) -> String {
        let program = &self.path;
        let error = match error {
            RunError::Aside(error) => return format!("`{program}` {error}"),
            RunError::System(error) => error,
        };
        if let Some(directory) = self.directory.as_deref().filter(|directory| !directory.is_dir()) {
            let directory = directory.display();
            return format!(
                "`{program}` was not run: there is no directory `{directory}` that this user may see"
            );
        }
        let is_path = program.starts_with('/');
        match error.kind() {
            io::ErrorKind::NotFound if is_path && Path::new(program).exists() => format!(
                "`{program}` was not run: the program that its first line names (`#!`), or its loader, does not exist"
            ),
            io::ErrorKind::NotFound if is_path => {
                format!("`{program}` does not exist: which package has it?")
            }
            io::ErrorKind::NotFound => {
                format!("`{program}` is in no directory of PATH: give its whole path")
            }
            io::ErrorKind::PermissionDenied => format!(
                "`{program}` was not run: this user may not execute it (`chmod +x`, or is it a directory?)"
            ),
            io::ErrorKind::ArgumentListTooLong => {
                format!("`{program}` was not run: its arguments are too long")
            }
            _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => format!(
                "`{program}` was not run: it is no program; a script needs a first line such as `#!/bin/sh`"
            ),
            _ => format!("`{program}` was not run: {error}"),
        }
    }
}

/// A signal with its name, where it has one.
pub(crate) fn signal(number: i32) -> String {
    match Signal::from_named_raw(number) {
        Some(signal) => {
            let name = format!("{signal:?}");
            format!(
                "SIG{} (signal {number})",
                name.trim_matches('"').trim_start_matches("Signal::")
            )
        }
        None => format!("signal {number}"),
    }
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
