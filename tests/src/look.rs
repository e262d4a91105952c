//! One look of a check, without a site around it: ours, and the original's.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use fletchck_agent::checks::{self, Before, Look, Plan, Probe};
use fletchck_shared::{CheckName, Outcome, Tz};
use serde_json::{Map, Value};

use crate::original;

/// What a check of this type sees now.
///
/// # Errors
/// There is no such type, it takes no look, or its options are wrong.
pub async fn ours(kind: &str, options: &Value) -> Result<Outcome> {
    ours_after(kind, options, &Before::default()).await
}

/// What a check of this type sees now that stood like this before.
///
/// # Errors
/// There is no such type, it takes no look, or its options are wrong.
pub async fn ours_after(kind: &str, options: &Value, before: &Before) -> Result<Outcome> {
    Ok(again(&*probe(kind, options)?, before).await)
}

/// A check of this type, for more looks than one.
///
/// # Errors
/// There is no such type, it takes no look, or its options are wrong.
pub fn probe(kind: &str, options: &Value) -> Result<Arc<dyn Probe>> {
    let options = options.as_object().context("options are an object")?;
    let kind = checks::kind(kind).context("no such type")?;
    let (plan, faults) = kind.plan(options);
    let Some(Plan::Probe(probe)) = plan else { bail!("no probe: {faults:?}") };
    Ok(probe)
}

/// What this check sees now that stood like this before.
pub async fn again(probe: &dyn Probe, before: &Before) -> Outcome {
    let name = CheckName::try_from("check").expect("it is a name");
    probe.look(&Look { name: &name, now: Utc::now(), zone: Tz::UTC, before }).await
}

/// What the original's checks see now: of each name's `[type, options]` its `[passes, log, level, soft fail]`. It
/// trusts the certificates in `ca`.
///
/// # Errors
/// The original is not installed, or fell over.
pub fn originals(checks: &Value, ca: &Path) -> Result<Map<String, Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/checks.py");
    let mut python = Command::new(original::python())
        .arg(script)
        .env("SSL_CERT_FILE", ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting Python; tests/run sets it up")?;
    let mut stdin = python.stdin.take().context("it has an input")?;
    stdin.write_all(checks.to_string().as_bytes())?;
    drop(stdin);
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "the original ended with {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
