//! Flags and subcommands.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{
    CommandFactory, Parser, Subcommand, ValueEnum, builder::BoolishValueParser, error::ErrorKind,
};
use clap_complete::Shell;
use fletchck_shared::{ActionName, AgentId, CheckName};

/// Name of a configuration file where none is given, as the original's.
pub const FILE: &str = "fletchck.conf";

/// Folder that a site is made in where there is none yet.
pub const FOLDER: &str = "site";

/// What the process was asked to do.
#[derive(Clone, Debug, Parser)]
#[command(name = "fletchck", version, about, long_about = None, max_term_width = 100)]
pub struct Args {
    /// Configuration file, or the folder it lies in [default: fletchck.conf, else site/fletchck.conf]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Port of the pages, instead of the one in the configuration
    #[arg(long, global = true, value_name = "PORT")]
    pub port: Option<u16>,

    /// Whether to show pages, if the configuration has any
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true", value_parser = BoolishValueParser::new(),
          action = clap::ArgAction::Set, global = true)]
    pub webui: bool,

    /// Make a new site first, as the subcommand does
    #[arg(long)]
    pub init: bool,

    /// Merge a JSON or CSV file into the configuration first, as the subcommand does
    #[arg(long, value_name = "FILE")]
    pub merge: Option<PathBuf>,

    /// What to do [default: run]
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A subcommand.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the site
    Run,
    /// Make a new site: configuration, certificate, admin password
    Init {
        /// What the site is for
        #[arg(long, value_enum, default_value_t = Profile::Standalone)]
        profile: Profile,
        /// Replace a site that is there already, without asking
        #[arg(long)]
        replace: bool,
    },
    /// Tell everything that is wrong with a configuration; exits with 1 if a part of it cannot run
    CheckConfig {
        /// The configuration, instead of the one of --config
        file: Option<PathBuf>,
    },
    /// Run one check once, now, and show what it saw; exits with 1 if it fails
    Check {
        /// Its name
        name: CheckName,
        /// Print what was said and answered as well, without secrets
        #[arg(long)]
        explain: bool,
    },
    /// List the checks and their states
    List,
    /// Merge settings, actions and checks of a JSON or CSV file into the configuration
    Merge {
        /// The file; it is taken for CSV if its name ends in `csv`
        file: PathBuf,
    },
    /// Print the site in the original's format, with the states of its checks
    Export,
    /// Set the password of a user of the pages, read from the terminal or from standard input
    Passwd {
        /// The user; a new one is made
        #[arg(default_value = "admin")]
        user: String,
    },
    /// Let an agent report to this hub: makes its user and a configuration file to run it with
    AddAgent {
        /// Its id: letters, digits, `.`, `_` and `-`
        name: AgentId,
        /// Host name or address of this hub, as the agent reaches it [default: this machine's address]
        #[arg(long, value_name = "HOST")]
        address: Option<String>,
        /// File to write, or `-` for standard output [default: NAME.conf]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Give an agent that is known already a new password, and write over its file
        #[arg(long)]
        replace: bool,
    },
    /// Take the failure of a check on: nobody is reminded of it, and no further ones are told
    Ack {
        /// The check
        check: CheckName,
        /// What you say of it
        #[arg(long, default_value = "")]
        comment: String,
        /// Until it is well, however it fails meanwhile
        #[arg(long)]
        sticky: bool,
        /// How long it holds, as in 90m, 2h or 3d [default: until the check changes]
        #[arg(long = "for", value_name = "TIME")]
        length: Option<String>,
    },
    /// Take an acknowledgement back
    Unack {
        /// The check
        check: CheckName,
    },
    /// Hear nothing of one check for a while
    Snooze {
        /// The check
        check: CheckName,
        /// How long, as in 90m, 2h or 3d
        #[arg(long = "for", value_name = "TIME", default_value = "1h")]
        length: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Tell nobody of some checks for a while, once or again and again
    Silence(Silence),
    /// As `silence`, for work that is planned
    Maintenance(Silence),
    /// End a silence or maintenance window before its time; `alerts` shows the numbers
    EndSilence {
        /// Its number
        id: i64,
    },
    /// Show what waits to be told, what was given up, what is silenced and what was taken on
    Alerts,
    /// Send again what was given up
    Resend {
        /// Its number; all without one
        id: Option<i64>,
    },
    /// Try the ways of telling
    Action {
        /// What to do
        #[command(subcommand)]
        command: ActionCommand,
    },
    /// Print a script that completes these commands in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What can be done with an action.
#[derive(Clone, Debug, Subcommand)]
pub enum ActionCommand {
    /// Send a test, and show what the other side answers; exits with 1 if it was not told
    Test {
        /// The action
        name: ActionName,
    },
}

/// Which checks to be silent of, when, and why.
#[derive(Clone, Debug, clap::Args)]
pub struct Silence {
    /// Names of checks; `*` stands for any characters
    #[arg(long, value_name = "PATTERN", default_value = "")]
    pub check: String,
    /// Ids of agents
    #[arg(long, value_name = "PATTERN", default_value = "")]
    pub agent: String,
    /// Labels of the agent, as in site=barn
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub label: Vec<String>,
    /// When it begins, as in 2026-11-29T02:00 [default: now]
    #[arg(long, value_name = "TIME", default_value = "")]
    pub start: String,
    /// When it ends
    #[arg(long, value_name = "TIME", default_value = "")]
    pub end: String,
    /// How long it lasts, as in 90m, 2h or 3d
    #[arg(long = "for", value_name = "TIME", default_value = "")]
    pub length: String,
    /// When it begins again and again, as in `sun weekday 2 hr`
    #[arg(long, value_name = "TRIGGER", default_value = "")]
    pub cron: String,
    /// Why
    #[arg(long, default_value = "")]
    pub reason: String,
}

/// What a new site is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Watches this machine, shows pages, and hears agents
    Standalone,
    /// Watches this machine and reports to a hub; `add-agent` on the hub makes a better one
    Agent,
    /// Shows pages and hears agents, reachable from other machines
    Hub,
}

impl Args {
    /// Reads a command line. The original's flags may have one dash as well as two, as its own parser allows.
    ///
    /// # Errors
    /// What clap tells, help and version included; [`clap::Error::exit`] prints it.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args = Self::try_parse_from(args.into_iter().map(two_dashes))?;
        if (args.init || args.merge.is_some()) && !matches!(args.command, None | Some(Command::Run))
        {
            let wrong =
                "`--init` and `--merge` go before running the site, not before another command";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, wrong));
        }
        Ok(args)
    }

    /// The configuration file that is meant, whether or not it is there.
    pub fn file(&self) -> PathBuf {
        match &self.config {
            Some(path) if path.is_dir() => path.join(FILE),
            Some(path) => path.clone(),
            None if Path::new(FILE).exists() => FILE.into(),
            None => Path::new(FOLDER).join(FILE),
        }
    }

    /// The file that a new site gets: that of `--config`, or one in the current folder, as the original does it.
    pub fn new_file(&self) -> PathBuf {
        match &self.config {
            Some(_) => self.file(),
            None => FILE.into(),
        }
    }
}

fn two_dashes(arg: OsString) -> OsString {
    const FLAGS: [&str; 5] = ["-init", "-config", "-port", "-merge", "-webui"];
    match arg.to_str() {
        Some(text) if FLAGS.contains(&text.split('=').next().unwrap_or_default()) => {
            format!("-{text}").into()
        }
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::read(line.split_whitespace().map(OsString::from)).expect(line)
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_readme_names_every_command() {
        let readme = include_str!("../../../README.md");
        for command in Args::command().get_subcommands() {
            let name = command.get_name();
            let row = |line: &&str| {
                let first = line.split('|').nth(1).unwrap_or_default();
                first.split([' ', '`', ',']).any(|word| word == name)
            };
            // `fletchck` alone runs the site.
            assert!(name == "run" || readme.lines().any(|line| row(&line)), "{name}");
        }
    }

    #[test]
    fn the_originals_flags_are_understood() {
        let all = args("fletchck --init --config=a.conf --port 8000 --merge b.csv --webui=false");
        assert!(all.init && !all.webui);
        assert_eq!(all.port, Some(8000));
        assert_eq!(all.merge.as_deref(), Some(Path::new("b.csv")));
        assert_eq!(all.new_file(), Path::new("a.conf"));
        assert!(args("fletchck -init -config a.conf").init);
        assert!(args("fletchck").webui && args("fletchck --webui").webui);
        assert!(!args("fletchck -webui=f run").webui);
    }

    #[test]
    fn subcommands_take_the_configuration_before_or_after() {
        for line in ["fletchck -c x.conf list", "fletchck list --config x.conf"] {
            assert_eq!(args(line).file(), Path::new("x.conf"), "{line}");
        }
        assert!(
            matches!(args("fletchck passwd").command, Some(Command::Passwd { user }) if user == "admin")
        );
        for wrong in ["fletchck add-agent a/b", "fletchck --init list", "fletchck frobnicate"] {
            assert!(Args::read(wrong.split(' ').map(OsString::from)).is_err(), "{wrong}");
        }
    }
}
