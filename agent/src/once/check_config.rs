//! All that is wrong with a configuration.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use fletchck_shared::config::{Fault, Kinds, Severity};

use crate::{
    config::{Loaded, load_for},
    say,
};

/// Prints everything that is wrong with a configuration, a fault a line. Exits with 1 if a part of it cannot run.
///
/// # Errors
/// The file is no configuration at all.
pub fn check_config(path: &Path, kinds: &impl Kinds) -> Result<ExitCode> {
    let loaded = load_for(path, kinds)?;
    let faults: String = all(&loaded).map(|fault| format!("{fault}\n")).collect();
    say::out(&format!("{faults}{}: {}\n", path.display(), summary(&loaded)))?;
    Ok(if loaded.sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn all(loaded: &Loaded) -> impl Iterator<Item = &Fault> {
    loaded.faults.iter().chain(&loaded.unusable)
}

fn summary(loaded: &Loaded) -> String {
    let count = |severity| all(loaded).filter(|fault| fault.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let checks = plural(loaded.site.checks.len(), "check runs", "checks run");
    match (errors, warnings) {
        (0, 0) => format!("no faults; {checks}"),
        (0, _) => format!("{}; {checks}", plural(warnings, "warning", "warnings")),
        _ => format!(
            "{} and {}; {checks}",
            plural(errors, "error", "errors"),
            plural(warnings, "warning", "warnings")
        ),
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
