//! `fletchck completions SHELL`.

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use fletchck_agent::say;

use super::Args;

/// Prints the script.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "fletchck", &mut script);
    Ok(say::out(&String::from_utf8_lossy(&script))?)
}
