//! How much memory one answer without end takes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    look,
    pki::Pki,
    scripted::{Bad, Scripted},
};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{CASES, Tls, server};

/// Most memory that one answer may take, in bytes.
pub(crate) const ONE: usize = 1024 * 1024;

/// Counts what this program has been given, and the most that it ever was.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Tells the process of [`taken`] its type, and the options of both looks.
const VARIABLE: &str = "FLETCHCK_TEST_LOOK";

/// Begins the line of that process which is not the test harness's.
const MARK: &str = "LOOKED ";

/// The most memory that one look takes beside what was there when it began, in bytes. It runs in a process of its own that
/// does nothing else, and that has looked at `first` before: what all looks share is there already.
pub(crate) async fn taken(kind: &str, first: &Value, options: &Value) -> Result<usize> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--exact", "answers::memory::one_look_alone", "--ignored", "--nocapture"])
        .env(VARIABLE, json!([kind, first, options]).to_string());
    let output = spawn_blocking(move || command.output()).await??;
    let told = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let line = told.lines().find_map(|line| line.split_once(MARK)).context(told.clone())?.1;
    let (bytes, text) = line.split_once(' ').context(told.clone())?;
    println!("{kind:8} {bytes:>8} bytes: {text}");
    Ok(bytes.parse()?)
}

#[test]
#[ignore = "the process that measures, started by other tests"]
fn one_look_alone() -> Result<()> {
    let what = std::env::var(VARIABLE).context("other tests start this one")?;
    let (kind, first, options): (String, Value, Value) = serde_json::from_str(&what)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        look::ours(&kind, &first).await?;
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let outcome = look::ours(&kind, &options).await?;
        let most = HEAP.peak_usage().saturating_sub(before);
        println!("\n{MARK}{most} {}", outcome.text);
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_takes_less_than_a_megabyte() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let trusted = server(&pki.valid)?;
    for case in CASES {
        let layer = (case.tls == Tls::Whole).then(|| trusted.clone());
        let short = Scripted::start(Bad::HangUp, case.manner, layer.clone()).await?;
        let endless = Scripted::start(Bad::Endless, case.manner, layer).await?;
        let [short, endless] = [&short, &endless].map(|server| {
            let mut options = case.to("localhost", server.port, 10.0);
            if case.tls == Tls::Whole {
                options["cafile"] = json!(pki.ca);
            }
            options
        });
        let most = taken(case.kind, &short, &endless).await?;
        ensure!(most < ONE, "{} takes {most} bytes", case.name());
    }
    Ok(())
}

/// What is measured is what a look takes: this one takes what it is given whole, and is caught.
#[test]
fn the_measure_sees_what_is_taken_and_given_back() {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    drop(std::hint::black_box(vec![7_u8; 64 * ONE]));
    assert!(HEAP.peak_usage() >= before + 32 * ONE, "nothing was counted");
}
