//! Asking the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, bail, ensure};
use fletchck_shared::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Shortest password that is taken, in characters.
const SHORTEST: usize = 8;

/// Asks whether to do something. Without a terminal the answer is no.
pub(super) fn agrees(question: &str) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    eprint!("{question} (y/N) ");
    let mut answer = String::new();
    _ = io::stderr().flush();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) => answer.trim_start().starts_with(['y', 'Y']),
        Err(_) => false,
    }
}

/// Reads a new password: twice and unseen from a terminal, else one line of standard input.
pub(super) fn new_password(user: &str) -> Result<Secret> {
    let password = if io::stdin().is_terminal() {
        let password = unseen(&format!("New password of {user}: "))?;
        ensure!(unseen("Again: ")? == password, "the two differ; nothing was changed");
        password
    } else {
        line()?
    };
    if password.chars().count() < SHORTEST {
        bail!("a password has at least {SHORTEST} characters; nothing was changed");
    }
    Ok(Secret::new(password))
}

fn unseen(prompt: &str) -> Result<String> {
    eprint!("{prompt}");
    io::stderr().flush().context("writing to the terminal")?;
    let hidden = Unseen::begin().context("hiding what is typed")?;
    let line = line();
    drop(hidden);
    eprintln!();
    line
}

fn line() -> Result<String> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).context("reading the password")?;
    ensure!(read > 0, "no password was given; nothing was changed");
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// While it lives, nothing that is typed is shown.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing either.
        _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
