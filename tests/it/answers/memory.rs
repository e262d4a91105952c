//! How much memory one answer without end takes.

use std::{process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use fletchck_agent::checks::Before;
use fletchck_shared::Verdict;
use fletchck_tests::{
    look,
    pki::Pki,
    scripted::{Bad, Scripted},
};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::spawn_blocking,
};

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
        // What its options take is no part of an answer.
        let (probe, stood) = (look::probe(&kind, &options)?, Before::default());
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let outcome = look::again(&*probe, &stood).await;
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

/// Bodies that fill what is read of one, and that become many times as large where they are read as text or as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_grows_when_it_is_looked_at_takes_less_than_a_megabyte() -> Result<()> {
    const BODY: usize = 250_000;
    let small = body(b"{}".to_vec()).await?;
    let repeated = |piece: &str| {
        format!("[{}{}]", format!("{piece},").repeat(BODY / (piece.len() + 1) - 1), piece)
    };
    let members: String = (0..BODY / 10).map(|nth| format!("\"{nth:05}\":1,")).collect();
    let path = |path: &str| json!({ "jsonPath": path });
    for (what, bytes, more, passes) in [
        ("no UTF-8", vec![0xff; BODY], json!({"contains": "x", "lacks": "y"}), false),
        ("no UTF-8", vec![0xff; BODY], json!({"lacks": "y"}), true),
        ("no UTF-8", vec![0xff; BODY], json!({"matches": "(?s)^.*x+y"}), false),
        ("letters", vec![b'x'; BODY], json!({"matches": "\\w{3,9}\\W.+"}), false),
        ("numbers", repeated("0").into(), path("$..a"), false),
        ("lists", repeated("[0]").into(), path("$[*]"), false),
        ("objects", repeated("{\"\":0}").into(), path("$"), false),
        ("members", format!("{{{members}\"a\":1}}").into(), path("$.*"), false),
        ("members", format!("{{{members}\"a\":1}}").into(), path("$.a"), true),
        ("a text", format!("{{\"a\":\"{}\"}}", "x".repeat(BODY)).into(), path("$.a"), false),
        (
            "beside a text",
            format!("{{\"b\":\"{}\",\"a\":1}}", "x".repeat(BODY)).into(),
            path("$.a"),
            true,
        ),
    ] {
        let large = body(bytes).await?;
        let to = |server: &Scripted| {
            let mut options = json!({"hostname": "127.0.0.1", "port": server.port, "tls": false});
            more.as_object().into_iter().flatten().for_each(|(key, value)| {
                options[key] = value.clone();
            });
            options
        };
        let (small, large) = (to(&small), to(&large));
        let outcome = look::ours("https", &large).await?;
        ensure!((outcome.verdict == Verdict::Pass) == passes, "{what}, {more}: {outcome:?}");
        let most = taken("https", &small, &large).await?;
        ensure!(most < ONE, "{what}, {more}: {most} bytes");
    }
    Ok(())
}

/// Documents of a probe that a parser makes much of, and answers of a registry.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_grows_when_it_is_looked_at_takes_less_than_a_megabyte() -> Result<()> {
    let filled = |size: usize, piece: &str| piece.repeat(size / piece.len());
    let temp = |inner: String| format!("<root>{inner}</root>").into_bytes();
    // What is read of a probe is 64 KiB, of a registry 256 KiB.
    let (probe, registry) = (64_000, 250_000);
    let many = |piece: &str| format!("{{\"objectClassName\":\"domain\",{piece}}}").into_bytes();
    for (kind, what, bytes) in [
        ("temp", "tags", temp(filled(probe, "<"))),
        ("temp", "elements", temp(filled(probe, "<a/>"))),
        ("temp", "elements that are not too many", temp(filled(7_900, "<a/>"))),
        ("temp", "nested elements", temp(filled(5_900, "<a>"))),
        ("temp", "attributes", temp(format!("<a {}/>", filled(probe, "a=\"\" ")))),
        ("temp", "Latin-1", vec![0xe9; probe]),
        ("temp", "a text", temp(filled(probe, "&amp;"))),
        ("domain", "events", many(&format!("\"events\":[{}{{}}]", filled(registry, "{},")))),
        ("domain", "states", many(&format!("\"status\":[{}\"\"]", filled(registry, "\"a\",")))),
        ("domain", "lists", many(&format!("\"x\":[{}0]", filled(registry, "[0],")))),
        ("domain", "nested lists", many(&format!("\"x\":{}", filled(registry, "[")))),
        ("domain", "a text", many(&format!("\"ldhName\":\"{}\"", filled(registry, "\\u00e4")))),
        ("domain", "no UTF-8", vec![0xff; registry]),
    ] {
        let (small, large) = (body(b"{}".to_vec()).await?, body(bytes).await?);
        let [small, large] = [&small, &large].map(|server| match kind {
            "temp" => json!({"hostname": "127.0.0.1", "port": server.port}),
            _ => json!({
                "domain": "example.org",
                "server": format!("http://127.0.0.1:{}/", server.port),
            }),
        });
        let outcome = look::ours(kind, &large).await?;
        ensure!(outcome.verdict == Verdict::Fail, "{kind}, {what}: {outcome:?}");
        let most = taken(kind, &small, &large).await?;
        ensure!(most < ONE, "{kind}, {what}: {most} bytes");
    }
    Ok(())
}

/// A web server that answers with this.
async fn body(bytes: Vec<u8>) -> Result<Scripted> {
    let bytes = Arc::new(bytes);
    Scripted::serve(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            _ = stream.read(&mut [0; 4096]).await?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
            stream.write_all(head.as_bytes()).await?;
            Ok(stream.write_all(&bytes).await?)
        }
    })
    .await
}

/// What is taken for a moment only is measured as well.
#[test]
fn the_measure_sees_what_is_taken_and_given_back() {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    drop(std::hint::black_box(vec![7_u8; 64 * ONE]));
    assert!(HEAP.peak_usage() >= before + 32 * ONE, "nothing was counted");
}
