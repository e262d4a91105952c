//! One letter by an action, without a site around it: ours, and the original's.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_agent::{
    actions::{self, Letter, Notice, TellError, To},
    store::Store,
};
use fletchck_shared::{CheckName, Severity, policy::News};
use serde_json::Value;
use tempfile::TempDir;

use crate::original;

/// Tells a letter to the first group of an action of this type.
///
/// # Errors
/// There is no such type, or its options are wrong.
pub async fn ours(
    kind: &str,
    options: &Value,
    letter: &Letter,
) -> Result<Result<String, TellError>> {
    let options = options.as_object().context("options are an object")?;
    let (action, faults) = actions::kind(kind).context("no such type")?.action(options);
    let Some(action) = action else { bail!("no action: {faults:?}") };
    let dir = TempDir::new()?;
    let store = Store::open(&dir.path().join("store"))?;
    let groups = action.groups();
    let group = groups.first().context("a group")?;
    Ok(action.tell(letter, &To { group, store: &store, trial: false }).await)
}

/// Has actions of the original tell of checks, each of which is `[type, options, check]` as `oracle/actions.py` says. It
/// trusts the certificates in `ca`.
///
/// # Errors
/// The original is not installed, fell over, or says that it told nobody.
pub fn originals(tellings: &[Value], ca: &Path) -> Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/actions.py");
    let mut python = Command::new(original::python())
        .arg(script)
        .env("SSL_CERT_FILE", ca)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting Python; tests/run sets it up")?;
    let mut stdin = python.stdin.take().context("it has an input")?;
    for telling in tellings {
        writeln!(stdin, "{telling}")?;
    }
    drop(stdin);
    let output = python.wait_with_output()?;
    ensure!(output.status.success(), "the original ended with {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    let told = said.lines().filter(|line| *line == "true").count();
    ensure!(told == tellings.len(), "the original answered {said}");
    Ok(())
}

/// A letter of these notices, of a site with pages.
///
/// # Errors
/// There are none.
pub fn letter(notices: impl IntoIterator<Item = Notice>) -> Result<Letter> {
    Letter::of(notices, "action/group", Some("https://hub.example")).context("a notice")
}

/// What is told of a check that failed at noon; it is well again, or reminded of, two hours later.
///
/// # Errors
/// It is no name of a check.
pub fn notice(check: &str, news: News) -> Result<Notice> {
    let noon: DateTime<Utc> = "2026-11-26T12:00:00Z".parse()?;
    let (severity, at, text) = match news {
        News::Failed => (Severity::Critical, noon, "no answer within 10 s"),
        News::Recovered => (Severity::Ok, noon + TimeDelta::hours(2), "200 OK in 31 ms"),
        News::Test => (Severity::Ok, noon, "ann tries whether this way of telling works: it does"),
        _ => (Severity::Critical, noon + TimeDelta::hours(2), "no answer within 10 s"),
    };
    Ok(Notice {
        site: "home".into(),
        check: CheckName::try_from(check)?,
        agent: None,
        kind: "https".into(),
        news,
        severity,
        about: Severity::Critical,
        at,
        since: (news != News::Test).then_some(noon),
        last_good: None,
        text: text.into(),
        level: None,
        log: vec![text.into(), "connected to 192.0.2.1 <in> 3 ms".into()],
        members: Vec::new(),
        zone: fletchck_shared::Tz::UTC,
    })
}
