//! `fletchck completions SHELL`.

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Args;

/// Prints the script.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    generate(shell, &mut Args::command(), "fletchck", &mut script);
    match io::stdout().write_all(&script) {
        // Whoever reads has had enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
