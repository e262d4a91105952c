//! Last wills: when they are sent, and when not.

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::raw::{Hello, Raw, V4, V5};
use super::setup::Site;

const WILL: Option<(&str, &str)> = Some(("w/status", "offline"));

fn dying(id: &str) -> Hello<'_> {
    Hello { id, will: WILL, ..Hello::default() }
}

/// The payloads on the will's topic up to the message `end`, which somebody else sends now.
async fn told(site: &mut Site, watch: &mut Raw) -> Result<Vec<String>> {
    let (mut other, _) =
        Raw::enter(site.port, V4, &Hello { id: "other", ..Hello::default() }).await?;
    other.publish("w/status", "end", false).await?;
    let (mut seen, mut heard) = (Vec::new(), Vec::new());
    loop {
        let (_, payload) = watch.message().await?;
        if payload == "end" {
            break;
        }
        seen.push(payload);
    }
    loop {
        let message = site.hear().await?;
        let payload = String::from_utf8(message.payload.to_vec())?;
        if payload == "end" {
            break;
        }
        heard.push(payload);
    }
    ensure!(seen == heard, "subscribers saw {seen:?}, the hub heard {heard:?}");
    Ok(seen)
}

async fn watching() -> Result<(Site, Raw)> {
    let site = Site::open().await?;
    let (mut watch, _) =
        Raw::enter(site.port, V4, &Hello { id: "watch", ..Hello::default() }).await?;
    watch.subscribe("w/+", 1).await?;
    Ok((site, watch))
}

/// Waits until the client has left.
async fn gone(site: &Site, id: &str) -> Result<()> {
    let until = Instant::now() + super::setup::LIMIT;
    while site.broker.clients().iter().any(|client| &*client.id == id) {
        ensure!(Instant::now() < until, "{id} never left");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_leaves_its_will_and_a_leaving_one_does_not() -> Result<()> {
    let (mut site, mut watch) = watching().await?;
    for level in [V4, V5] {
        let (raw, _) = Raw::enter(site.port, level, &dying("a")).await?;
        drop(raw);
        gone(&site, "a").await?;
        ensure!(told(&mut site, &mut watch).await? == ["offline"]);
        let (raw, _) = Raw::enter(site.port, level, &dying("a")).await?;
        raw.leave().await?;
        gone(&site, "a").await?;
        ensure!(told(&mut site, &mut watch).await?.is_empty());
        // A fault is no farewell either.
        let (mut raw, _) = Raw::enter(site.port, level, &dying("a")).await?;
        raw.send(&[0xf0, 0]).await?;
        raw.closed().await?;
        gone(&site, "a").await?;
        ensure!(told(&mut site, &mut watch).await? == ["offline"]);
    }
    // MQTT 5 can leave and have the will sent.
    let (mut raw, _) = Raw::enter(site.port, V5, &dying("a")).await?;
    raw.send(&[0xe0, 2, 4, 0]).await?;
    gone(&site, "a").await?;
    ensure!(told(&mut site, &mut watch).await? == ["offline"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_beyond_the_keep_alive_is_death() -> Result<()> {
    let (mut site, mut watch) = watching().await?;
    let started = Instant::now();
    let hello = Hello { keep_alive: 1, ..dying("a") };
    let (mut raw, _) = Raw::enter(site.port, V5, &hello).await?;
    ensure!(raw.closed().await? == Some(0x8d));
    let took = started.elapsed().as_millis();
    ensure!((1500..5000).contains(&took), "closed after {took} ms");
    gone(&site, "a").await?;
    ensure!(told(&mut site, &mut watch).await? == ["offline"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_sends_the_old_will_before_the_new_birth_unless_the_session_goes_on()
-> Result<()> {
    let (mut site, mut watch) = watching().await?;
    for level in [V4, V5] {
        // MQTT 5 keeps its session for an hour, so that both versions have one.
        let expiry = if level == V5 { &[17, 0, 0, 0x0e, 0x10][..] } else { &[] };
        for (old, new, sent) in
            [(false, false, true), (true, true, false), (true, false, true), (false, true, true)]
        {
            let hello = |keep: bool| Hello {
                keep_session: keep,
                properties: if keep { expiry } else { &[] },
                ..dying("a")
            };
            let (mut first, _) = Raw::enter(site.port, level, &hello(old)).await?;
            let (mut second, _) = Raw::enter(site.port, level, &hello(new)).await?;
            ensure!(first.closed().await? == (level == V5).then_some(0x8e));
            second.publish("w/status", "online", false).await?;
            second.leave().await?;
            gone(&site, "a").await?;
            let want: &[&str] = if sent { &["offline", "online"] } else { &["online"] };
            let got = told(&mut site, &mut watch).await?;
            ensure!(got == want, "level {level}, {old} then {new}: {got:?}");
            // Nothing is left over for the next round.
            Raw::enter(site.port, level, &dying("a")).await?.0.leave().await?;
            gone(&site, "a").await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_broker_says_nothing_about_its_clients() -> Result<()> {
    let (mut site, mut watch) = watching().await?;
    let (mut raw, _) = Raw::enter(site.port, V5, &dying("a")).await?;
    ensure!(told(&mut site, &mut watch).await?.is_empty());
    let Site { broker, mut heard, .. } = site;
    broker.stop().await;
    ensure!(raw.closed().await? == Some(0x8b));
    ensure!(heard.recv().await.is_none(), "a will was sent");
    Ok(())
}
