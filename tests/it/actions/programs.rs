//! The actions that run programs: `apprise`, where it is installed.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use fletchck_shared::policy::News;
use fletchck_tests::{
    original,
    sink::{Answer, Sink},
    tell::{self, letter, notice},
};
use serde_json::json;

/// The program in the environment of the original.
fn apprise() -> Result<PathBuf> {
    let program = original::python().with_file_name("apprise");
    ensure!(program.is_file(), "{} is missing; please run tests/run", program.display());
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn apprise_tells_by_addresses_that_nobody_sees() -> Result<()> {
    let sink = Sink::start().await?;
    let url = format!("json://ann:secret-1@127.0.0.1:{}/hook", sink.port);
    let options = json!({ "program": apprise()?, "url": url });
    for (news, kind) in
        [(News::Failed, "failure"), (News::Recovered, "success"), (News::Test, "info")]
    {
        let answer = tell::ours("apprise", &options, &letter([notice("web", news)?])?).await?;
        let said = answer.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        ensure!(!said.contains("secret-1"), "{said}");
        println!("{said}");
        let asked = sink.asked().pop().context("a request")?;
        let body = asked.json()?;
        ensure!(body["type"] == kind, "{body}");
        ensure!(body["title"].as_str().is_some_and(|title| title.starts_with("[home] ")), "{body}");
        ensure!(asked.header("authorization").starts_with("Basic "), "{asked:?}");
    }
    for _ in 0..5 {
        sink.answer(Answer::new(500, "oh"));
    }
    let answer = tell::ours("apprise", &options, &letter([notice("web", News::Failed)?])?).await?;
    let error = answer.err().context("not told")?;
    ensure!(!error.permanent && error.text.contains("`apprise` ended with 1"), "{error:?}");
    ensure!(!error.text.contains("secret-1"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn without_apprise_it_says_so() -> Result<()> {
    let options = json!({ "program": "no-apprise-here", "url": "json://localhost" });
    let answer = tell::ours("apprise", &options, &letter([notice("web", News::Failed)?])?).await?;
    let error = answer.err().context("not there")?;
    let text = "`no-apprise-here` is in no directory of PATH: give its whole path";
    ensure!(!error.permanent && error.text == text, "{error:?}");
    Ok(())
}
