//! Asking systemd by its own program.

use std::{env, io, path::Path, time::Duration};

use rustix::process::geteuid;
use tokio::{process::Command, time::Instant};

use super::{
    super::{aside::Aside, net::Steps},
    show::plain,
};
use crate::program::{End, KEPT, Ran, RunError, run, signal};

/// What is passed on to it: where to find it, and whom to ask. It must speak English and tell times in UTC.
const PASSED: &[&str] =
    &["PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"];

/// Asks the manager of the system, or of a user.
pub(super) struct Systemctl {
    pub(super) user: bool,
    pub(super) timeout: Duration,
    aside: Aside,
}

impl Systemctl {
    pub(super) fn new(user: bool, timeout: Duration) -> Self {
        Self { user, timeout, aside: Aside::default() }
    }

    /// Asks, and returns what it says, or the sentence why it says nothing. No more than [`KEPT`] bytes are kept.
    pub(super) async fn ask(
        &self,
        arguments: &[&str],
        end: Instant,
        steps: &mut Steps,
    ) -> Result<Vec<u8>, String> {
        let user: &[&str] = if self.user { &["--user"] } else { &[] };
        let mut command = Command::new("systemctl");
        command.args(user).args(["--no-pager", "--no-ask-password"]).args(arguments).env_clear();
        command.envs([("LC_ALL", "C"), ("TZ", "UTC"), ("SYSTEMD_COLORS", "0")]);
        command.envs(PASSED.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        if let Some(folder) = self.runtime_folder() {
            command.env("XDG_RUNTIME_DIR", folder);
        }
        steps.note(format!("* runs systemctl {} {}", user.join(" "), arguments.join(" ")));
        let time = end.saturating_duration_since(Instant::now());
        let ran =
            run(command, Vec::new(), time, &self.aside).await.map_err(|error| not_run(&error))?;
        for line in
            [&ran.output, &ran.errors].iter().flat_map(|said| said.split(|byte| *byte == b'\n'))
        {
            if !line.is_empty() {
                steps.got(&String::from_utf8_lossy(line));
            }
        }
        self.answer(ran)
    }

    /// Whether an answer may go on beyond what is kept of it.
    pub(super) fn cut(answer: &[u8]) -> bool {
        answer.len() >= KEPT
    }

    /// Where the manager of a user listens, if nobody has said so, as nobody does for a service of the system.
    fn runtime_folder(&self) -> Option<String> {
        let unsaid = self.user && env::var_os("XDG_RUNTIME_DIR").is_none();
        let folder = format!("/run/user/{}", geteuid().as_raw());
        (unsaid && Path::new(&folder).is_dir()).then_some(folder)
    }

    fn answer(&self, ran: Ran) -> Result<Vec<u8>, String> {
        match ran.end {
            End::Code(0) => Ok(ran.output),
            End::Code(code) => {
                let errors = String::from_utf8_lossy(&ran.errors);
                Err(self.refused(&errors, code))
            }
            End::Signal(number) => Err(format!("`systemctl` was ended by {}", signal(number))),
            End::Late => Err(format!(
                "systemd did not answer within {} s: is the machine overloaded, or does `systemctl` hang too?",
                self.timeout.as_secs_f64()
            )),
        }
    }

    /// Why systemd was not asked or says nothing, by what its program complains of.
    pub(super) fn refused(&self, errors: &str, code: i32) -> String {
        let has = |words: &[&str]| words.iter().any(|words| errors.contains(words));
        let first = plain(errors.lines().find(|line| !line.trim().is_empty()).unwrap_or_default());
        if has(&["not been booted with systemd"]) {
            return "this machine was not started with systemd, so there are no units: in a container, watch them from its host"
                .into();
        }
        if has(&["Access denied", "Permission denied", "not permitted", "authentication required"])
        {
            return format!("this user may not ask systemd: it says `{first}`");
        }
        if has(&["Failed to connect to bus", "XDG_RUNTIME_DIR"]) {
            return match self.user {
                true => format!(
                    "user {} has no manager of services that runs: is it the right user, and may it stay without a login \
                     (`loginctl enable-linger`)? It says `{first}`",
                    geteuid().as_raw()
                ),
                false => format!("systemd does not answer: it says `{first}`"),
            };
        }
        match first.is_empty() {
            true => format!("`systemctl` ended with {code} and said nothing"),
            false => format!("`systemctl` ended with {code}: {first}"),
        }
    }
}

fn not_run(error: &RunError) -> String {
    match error {
        RunError::System(error) if error.kind() == io::ErrorKind::NotFound => {
            "there is no `systemctl` in PATH: is this machine run by systemd at all?".into()
        }
        RunError::System(error) => format!("`systemctl` was not run: {error}"),
        RunError::Aside(error) => format!("`systemctl` {error}"),
    }
}
