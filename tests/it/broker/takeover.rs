//! Clients that push each other out.

use anyhow::{Context, Result, ensure};

use super::raw::{Hello, Raw, V4, V5, publish};
use super::setup::{Honest, Site};

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_takeovers_across_versions_leave_the_last_one_working() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    let mut last: Option<Raw> = None;
    for round in 0..300 {
        let level = if round % 2 == 0 { V4 } else { V5 };
        let hello = Hello { id: "same", keep_session: round % 3 == 0, ..Hello::default() };
        let (mut raw, _) = Raw::enter(site.port, level, &hello).await?;
        if let Some(mut old) = last.take() {
            ensure!(old.closed().await? == (old.level == V5).then_some(0x8e));
        }
        ensure!(raw.subscribe("t/x", 1).await.with_context(|| format!("round {round}"))? == 1);
        // Its own message may come before the acknowledgement.
        raw.send(&publish(level, "t/x", &round.to_string(), 1, false)).await?;
        let message = raw.message().await.with_context(|| format!("round {round}"))?;
        ensure!(message == ("t/x".into(), round.to_string()), "round {round}");
        last = Some(raw);
    }
    honest.check().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_with_one_name_ends_with_one() -> Result<()> {
    let site = Site::open().await?;
    let honest = Honest::start(site.port).await?;
    let mut crowd = Vec::new();
    for number in 0..200 {
        let port = site.port;
        crowd.push(tokio::spawn(async move {
            let level = if number % 2 == 0 { V4 } else { V5 };
            let hello = Hello { id: "same", keep_session: number % 3 == 0, ..Hello::default() };
            // Who is overtaken before it is let in gets no answer.
            Raw::enter(port, level, &hello).await.ok()
        }));
    }
    let mut inside = Vec::new();
    for one in crowd {
        inside.extend(one.await?);
    }
    let mut survivors = 0;
    for (mut raw, _) in inside {
        // The pushed ones read their end; the one that is in gets its answer.
        if raw.send(&[0xc0, 0]).await.is_ok() && raw.read_type(13).await.is_ok() {
            survivors += 1;
        }
    }
    ensure!(survivors <= 1, "{survivors} with one client id");
    let (mut raw, _) = Raw::enter(site.port, V4, &Hello { id: "same", ..Hello::default() }).await?;
    ensure!(raw.publish("x", "1", false).await? == 0);
    honest.check().await
}
