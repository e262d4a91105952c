//! What fuzzing has found so far: each parser is held against its inputs in `tests/fuzz/corpus`.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::fuzz::TARGETS;

/// Most bytes of all inputs: they are for every clone.
const BYTES: u64 = 300_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[test]
fn every_input_that_was_found_holds() -> Result<()> {
    let mut broken = Vec::new();
    let mut bytes = 0;
    for (target, property) in TARGETS {
        let folder = folder().join("corpus").join(target);
        let inputs = names(&folder)?;
        ensure!(!inputs.is_empty(), "{target} has no inputs, not even samples to begin with");
        for name in inputs {
            let path = folder.join(name);
            let input = fs::read(&path)?;
            bytes += input.len() as u64;
            if catch_unwind(AssertUnwindSafe(|| property(&input))).is_err() {
                broken.push(path.display().to_string());
            }
        }
    }
    ensure!(broken.is_empty(), "these do not hold, see above why:\n{}", broken.join("\n"));
    ensure!(bytes <= BYTES, "the corpus has {bytes} bytes, keep it below {BYTES}");
    Ok(())
}

/// The manifest has to name each target again, as cargo makes binaries of nothing else.
#[test]
fn every_target_has_its_binary_and_its_inputs() -> Result<()> {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    ensure!(targets.len() == TARGETS.len(), "a name in `fuzz::TARGETS` stands there twice");
    let manifest = fs::read_to_string(folder().join("Cargo.toml"))?;
    let binaries: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ name = \""))
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect();
    ensure!(binaries == targets, "tests/fuzz/Cargo.toml has {binaries:?}, wanted {targets:?}");
    let inputs = names(&folder().join("corpus"))?;
    ensure!(inputs == targets, "tests/fuzz/corpus has {inputs:?}, wanted {targets:?}");
    Ok(())
}
