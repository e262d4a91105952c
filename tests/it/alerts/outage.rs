//! A mail server that is away for an hour, by a clock that is moved on.

use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_agent::{
    actions::Notice,
    config::Built,
    delivery::{Delivery, Office},
    engine::Clock,
    store::{Batch, NewDelivery, Store},
};
use fletchck_shared::{ActionName, Tz, config, policy::News};
use fletchck_tests::{
    exim::Exim,
    fault::{Mode, Proxy},
    pki::Pki,
    tell::notice,
};
use serde_json::json;
use tokio::{task::spawn_blocking, time::Instant};
use tokio_util::sync::CancellationToken;

const ANN: &str = "ann@test.example";

/// Time that passes only as it is told to, for timers and for whoever asks what time it is.
struct Time {
    began: Instant,
    /// While something holds a thread, no time passes by itself.
    _still: Sender<()>,
}

impl Time {
    fn stop() -> Self {
        let (still, held) = channel::<()>();
        spawn_blocking(move || held.recv().ok());
        tokio::time::pause();
        Self { began: Instant::now(), _still: still }
    }

    fn clock(&self) -> Clock {
        let began = self.began;
        let now = move || {
            DateTime::UNIX_EPOCH
                + TimeDelta::days(20_000)
                + TimeDelta::from_std(began.elapsed()).unwrap_or_default()
        };
        Clock::new(now, move || began.elapsed())
    }

    /// Lets time pass, and gives the sockets a moment of the real one to follow. Where that is too short, the mail comes
    /// after a later step.
    #[expect(clippy::disallowed_methods, reason = "the clock of the runtime stands still")]
    async fn pass(&self, seconds: u64, moment: Duration) -> Result<()> {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        Ok(spawn_blocking(move || std::thread::sleep(moment)).await?)
    }
}

async fn put(store: &Store, clock: &Clock, news: &[(&str, News)]) -> Result<()> {
    let made: DateTime<Utc> = clock.now();
    let deliveries = news.iter().map(|(check, news)| {
        let notice = Notice { at: made, ..notice(check, *news)? };
        let action = ActionName::try_from("mail").expect("a name");
        Ok(NewDelivery { action, group: ANN.into(), notice, made })
    });
    let deliveries = deliveries.collect::<Result<_>>()?;
    let stored = store.commit(Batch { deliveries, ..Batch::default() }).await;
    stored.map_err(|(_, reason)| reason.into())
}

#[tokio::test]
async fn what_a_mail_server_misses_in_an_hour_arrives_in_order_and_folded_once_it_is_back()
-> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let exim = Exim::start(&pki).await?;
    let proxy = Proxy::start(exim.submission).await?;
    proxy.set(Mode::Refuse);
    let site = json!({ "actions": { "mail": { "type": "email", "options": {
        "hostname": "localhost", "port": proxy.port, "cafile": pki.ca, "username": Exim::USER,
        "password": Exim::PASSWORD, "sender": Exim::USER, "recipients": [ANN],
        // Of the time that is moved on: no conversation is to be cut off by that.
        "timeout": 3600,
    } } } });
    let (site, faults) = config::read(&site, &Built, Tz::UTC);
    ensure!(faults.is_empty(), "{faults:?}");
    let store = Store::open(&dir.path().join("store"))?;
    let time = Time::stop();
    let clock = time.clock();
    let (zone, stop) = (Tz::UTC, CancellationToken::new());
    let office = Office { store: store.clone(), clock: clock.clone(), zone, link: None };
    let mut delivery = Delivery::start(&site.actions, office, stop.clone());

    let short = Duration::from_millis(5);
    put(&store, &clock, &[("web", News::Failed), ("disk", News::Failed)]).await?;
    for minute in 0..60 {
        if minute == 20 {
            put(&store, &clock, &[("web", News::Recovered), ("mail", News::Failed)]).await?;
        }
        for _ in 0..6 {
            time.pass(10, short).await?;
        }
    }
    let waiting = store.shown_deliveries(false, 10).await?;
    ensure!(waiting.len() == 4 && exim.mails()?.is_empty(), "{waiting:?}");
    let tries = waiting.iter().map(|waiting| waiting.tries).max().context("four wait")?;
    ensure!((6..=14).contains(&tries), "{tries} tries in an hour");
    proxy.set(Mode::Pass);
    let mut minutes = 0;
    while store.count_deliveries().await?.0 > 0 {
        ensure!(minutes < 120, "{:?}", store.shown_deliveries(false, 10).await?);
        minutes += 1;
        time.pass(60, Duration::from_millis(250)).await?;
    }
    println!("{tries} tries while it was away, told within {minutes} min after");
    stop.cancel();
    delivery.finish().await;
    tokio::time::resume();
    let mails = exim.accepted().await?;
    let [mail] = &mails[..] else { anyhow::bail!("{} mails", mails.len()) };
    let place = |text: &str| mail.find(text).with_context(|| format!("{text:?} in {mail}"));
    let (web, disk, other) =
        (place("\nPASS web: ")?, place("\nFAIL disk: ")?, place("\nFAIL mail: ")?);
    ensure!(web < disk && disk < other, "in the order it came to it: {mail}");
    ensure!(mail.contains("Subject: [home] FAIL: 2 checks fail, 1 is well again"), "{mail}");
    Ok(())
}
