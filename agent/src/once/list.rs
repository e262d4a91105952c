//! The checks of a site, a line each.

use std::{path::Path, process::ExitCode};

use fletchck_shared::{State, config::Kinds, time};

use crate::{
    config::{self, host_zone},
    say,
    service::store_path,
    store::Store,
};

/// Lists the checks of a site and how they stood last, those added by themselves included.
///
/// # Errors
/// It is no configuration, or the store cannot be read.
pub fn list(path: &Path, kinds: &impl Kinds) -> anyhow::Result<ExitCode> {
    let loaded = config::load_for(path, kinds)?;
    let past = Store::read_past(&store_path(&loaded.path))?;
    let zone = loaded.site.timezone.unwrap_or_else(host_zone);
    let mut rows = vec![["STATE", "CHECK", "TYPE", "LAST RUN", "TRIGGER", ""].map(str::to_owned)];
    let row = |name: &str, kind: &str, state: &State, trigger: String| {
        let last = state.last_check.map(|at| time::people(at, zone)).unwrap_or_default();
        [state.word().to_owned(), name.into(), kind.into(), last, trigger, state.text.clone()]
    };
    for (name, check) in &loaded.site.checks {
        let stored = past.checks.get(name).map(|row| &row.state).or(check.seed.as_ref());
        let trigger = check.trigger.as_ref().map(ToString::to_string).unwrap_or_default();
        rows.push(row(name.as_str(), &check.kind, stored.unwrap_or(&State::default()), trigger));
    }
    let mut added: Vec<_> = past.remotes.iter().filter(|(_, row)| row.added).collect();
    added.sort_by_key(|(name, _)| *name);
    for (name, remote) in added {
        let state = past.checks.get(name).map(|row| row.state.clone()).unwrap_or_default();
        let kind = format!("remote {}", remote.kind.as_deref().unwrap_or_default());
        rows.push(row(name.as_str(), kind.trim_end(), &state, String::new()));
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    say::out(&text)?;
    loaded.faults.iter().for_each(say::err);
    Ok(ExitCode::SUCCESS)
}
