//! Servers that answer badly, or not at all.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::{
    Outcome, Verdict,
    outcome::{LINE_BYTES, LOG_LINES},
};
use fletchck_tests::{
    fault::{self, Blackhole},
    look,
    pki::Pki,
    scripted::{Bad, Scripted},
    wait::PATIENCE,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{CASES, Case, Tls, server};

/// Time limit of the checks here, in seconds.
pub(crate) const LIMIT: f64 = 1.0;

/// How much longer than its limit a check may take.
const OVER: Duration = Duration::from_millis(100);

/// How often a look may be late before it is late.
const TRIES: u32 = 3;

/// Looks, and sees that the outcome is in time, bounded and no fault of ours.
///
/// The tests around this one keep all processors busy, and one of them may get none for more than [`OVER`]. That is not
/// ours to judge, and nothing can tell it from a look that was slow by itself but another try: the server here does the
/// same each time, so a look that is late by a fault of ours is late every time. Only one that is late in [`TRIES`]
/// tries is late, then. One that does not end at all is so at the first.
pub(crate) async fn look(kind: &str, options: &Value) -> Result<Outcome> {
    let limit = Duration::from_secs_f64(LIMIT) + OVER;
    for tried in 1.. {
        let began = Instant::now();
        let ended = timeout(PATIENCE, look::ours(kind, options)).await;
        let outcome = ended.with_context(|| format!("{kind} {options} does not end"))??;
        let took = began.elapsed();
        ensure!(outcome.text.len() <= LINE_BYTES && !outcome.text.is_empty(), "{outcome:?}");
        ensure!(outcome.log.len() <= LOG_LINES, "{outcome:?}");
        ensure!(!outcome.text.contains("broke down"), "{outcome:?}");
        if took <= limit {
            return Ok(outcome);
        }
        println!("{kind} took {took:?} at try {tried}: {}", outcome.text);
        ensure!(tried < TRIES, "{kind} took {took:?}: {outcome:?}");
    }
    unreachable!("the loop ends at the last try")
}

fn fails(case: &Case, what: &str, outcome: &Outcome) -> Result<()> {
    println!("{:50} {what:10} {}", case.name(), outcome.text);
    ensure!(outcome.verdict == Verdict::Fail, "{} {what}: {outcome:?}", case.name());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_answer_fails_in_time() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let trusted = server(&pki.valid)?;
    let mut running = Vec::new();
    for case in CASES {
        let whole = (case.tls == Tls::Whole).then(|| trusted.clone());
        for bad in Bad::ALL {
            // Inside of TLS, and in place of it.
            let layers = if whole.is_some() { vec![whole.clone(), None] } else { vec![None] };
            for layer in layers {
                let server = Scripted::start(bad, case.manner, layer.clone()).await?;
                let mut options = case.to("localhost", server.port, LIMIT);
                if whole.is_some() {
                    options["cafile"] = pki.ca.to_str().context("a path")?.into();
                }
                running.push(async move {
                    let outcome = look(case.kind, &options).await?;
                    drop(server);
                    let inside = if layer.is_some() { "in TLS " } else { "" };
                    if case.content {
                        Ok(())
                    } else {
                        fails(case, &format!("{inside}{bad:?}"), &outcome)
                    }
                });
            }
        }
    }
    // Not all at once: what waits for its turn is late without a fault of its own.
    stream::iter(running).buffer_unordered(8).try_collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_fails_in_time() -> Result<()> {
    let blackhole = Blackhole::open().await?;
    for case in CASES {
        let outcome = look(case.kind, &case.to("127.0.0.1", blackhole.port, LIMIT)).await?;
        fails(case, "vanishes", &outcome)?;
        ensure!(outcome.text.contains("no connection was taken"), "{outcome:?}");

        let outcome = look(case.kind, &case.to("127.0.0.1", fault::refused(), LIMIT)).await?;
        fails(case, "refused", &outcome)?;
        ensure!(outcome.text.contains("nothing listens there"), "{outcome:?}");

        let outcome = look(case.kind, &case.to("no-such-host.invalid", 1, LIMIT)).await?;
        fails(case, "unknown", &outcome)?;
        ensure!(outcome.text.contains("no-such-host.invalid"), "{outcome:?}");
    }
    Ok(())
}
