//! `fletchck merge FILE`.

mod apply;
#[doc(hidden)]
pub mod properties;
mod table;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use fletchck_agent::{
    config::{edit, load},
    say,
};
use fletchck_shared::config::Severity;
use serde_json::Value;

/// Merges a file of settings, actions and checks into a configuration. All of the file is read first: if any of it cannot
/// be, nothing is merged.
///
/// # Errors
/// The file cannot be read, or the configuration cannot be changed.
pub fn merge(config: &Path, file: &Path) -> Result<()> {
    // Also says early that the configuration is none.
    let path = load(config)?.path;
    let real = fs::canonicalize(file).with_context(|| format!("reading {}", file.display()))?;
    let own = fs::canonicalize(&path).is_ok_and(|own| own == real);
    ensure!(!own, "{} is the configuration itself", file.display());
    let (import, mut notes) = read(file)?;
    let mut told = Vec::new();
    let changed = edit(config, |site| told = apply::apply(&import, site))?;
    notes.append(&mut told);
    for note in &notes {
        say::err(format_args!("warning: {note}"));
    }
    if !changed {
        say::out(&format!("{} has nothing new for {}\n", file.display(), config.display()))?;
        return Ok(());
    }
    say::out(&format!("merged {} into {}\n", file.display(), config.display()))?;
    // What came in may not fit what was there.
    let faults = load(config)?.faults;
    for fault in faults.iter().filter(|fault| fault.severity == Severity::Error) {
        say::err(fault);
    }
    Ok(())
}

/// What a file brings, and what its owner should know of it.
fn read(file: &Path) -> Result<table::Read> {
    let shown = file.display();
    let bytes = fs::read(file).with_context(|| format!("reading {shown}"))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| anyhow::anyhow!("{shown} is not UTF-8 text; save it as UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if file.to_string_lossy().to_lowercase().ends_with("csv") {
        return table::read(text).map_err(|faults| {
            let faults = faults.iter().map(|fault| format!("\n{shown}: {fault}"));
            anyhow::anyhow!("nothing was merged:{}", faults.collect::<String>())
        });
    }
    match serde_json::from_str(text).with_context(|| format!("{shown} is not JSON"))? {
        Value::Object(map) => Ok((map, Vec::new())),
        _ => bail!("{shown} is no configuration: that is an object, `{{…}}`"),
    }
}

#[cfg(test)]
mod tests;
