//! What a person at a terminal asks about a site, without running it.

mod check;
mod export;
mod list;

use std::{path::Path, process::ExitCode};

use fletchck_shared::config::Severity;

pub use check::check;
pub use export::export;
pub use list::list;

use crate::config;

/// Tells all that is wrong with a configuration, to standard output. The code is a failure if a part of it does not run.
///
/// # Errors
/// It is no configuration at all.
pub fn check_config(path: &Path) -> anyhow::Result<ExitCode> {
    let loaded = config::load(path)?;
    for fault in &loaded.faults {
        println!("{fault}");
    }
    let errors = loaded.faults.iter().filter(|fault| fault.severity == Severity::Error).count();
    let warnings = loaded.faults.len() - errors;
    let checks = loaded.site.checks.len();
    println!("{}: {checks} checks run, {errors} errors, {warnings} warnings", path.display());
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
