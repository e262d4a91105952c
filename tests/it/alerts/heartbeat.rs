//! The heartbeat of a running site.

use anyhow::{Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    pki::Pki,
    port,
    sink::{Answer, Sink},
};
use serde_json::{Value, json};

fn site(sink: &Sink, path: &str) -> Value {
    json!({
        "heartbeat": { "url": format!("{}/{path}?key=secret-2", sink.url()), "every": 5 },
        "checks": { "disk": {
            "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "options": { "level": 100 },
        } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_is_heard_while_the_site_is_well_and_stops_while_its_store_refuses()
-> Result<()> {
    let sink = Sink::start().await?;
    for program in [Program::Full, Program::Agent] {
        let mut running = Fletchck::start(program, &site(&sink, "secret-1")).await?;
        for asked in sink.wait_for(2).await? {
            ensure!(asked.method == "GET" && asked.path == "/secret-1?key=secret-2", "{asked:?}");
            ensure!(asked.header("user-agent").starts_with("fletchck/"), "{asked:?}");
        }
        let db = rusqlite::Connection::open(running.dir().join("fletchck.db"))?;
        db.execute_batch("BEGIN IMMEDIATE")?;
        let line = running.process()?.wait_for_line("no heartbeat is sent").await?;
        ensure!(line.contains("this site is not well"), "{line}");
        sink.asked();
        // The next is refused as well; what is not well is said once.
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        ensure!(sink.asked().is_empty(), "a site that stores nothing is not well");
        db.execute_batch("ROLLBACK")?;
        running.process()?.wait_for_line("the heartbeat is heard again").await?;
        sink.wait_for(1).await?;
        let log = running.process()?.log();
        ensure!(log.matches("no heartbeat is sent").count() == 1, "{log}");
        ensure!(!log.contains("secret-"), "{log}");
        running.stop().await?;
        sink.asked();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_follows_the_configuration_and_what_nobody_takes_is_said_once() -> Result<()> {
    let (first, second) = (Sink::start().await?, Sink::start().await?);
    for _ in 0..2 {
        first.answer(Answer::new(500, "no secret-1 here"));
    }
    let mut running = Fletchck::start(Program::Full, &site(&first, "secret-1")).await?;
    let line = running.process()?.wait_for_line("nobody hears the heartbeat").await?;
    ensure!(line.contains("heartbeat.url: ") && line.contains("answered 500"), "{line}");
    running.process()?.wait_for_line("the heartbeat is heard again").await?;
    let log = running.process()?.log();
    ensure!(log.matches("nobody hears the heartbeat").count() == 1, "{log}");
    ensure!(!log.contains("secret-"), "{log}");
    running.write(&site(&second, "other"))?;
    ensure!(second.wait_for(2).await?[0].path == "/other?key=secret-2");
    first.asked();
    second.wait_for(1).await?;
    ensure!(first.asked().is_empty(), "nobody asks there any more");
    let output = running.run(&["check-config"]).await?;
    ensure!(output.status.success(), "{output:?}");
    ensure!(!String::from_utf8_lossy(&output.stderr).contains("heartbeat"), "{output:?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_site_watches_another_that_shows_a_certificate_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = Pki::create(folder.path())?;
    let (port, token) = (port::free(), "0123456789abcdef");
    let watcher = json!({
        "webui": {
            "hostname": "127.0.0.1", "port": port, "users": {},
            "cert": pki.valid.cert, "key": pki.valid.key,
        },
        "checks": { "other": {
            "type": "push", "options": { "token": token, "period": 5, "grace": 10 },
        } },
    });
    let mut watcher = Fletchck::start(Program::Full, &watcher).await?;
    let url = format!("https://localhost:{port}/push/{token}");
    let site = |ca_file: Option<&std::path::Path>| json!({ "heartbeat": { "url": url, "cafile": ca_file, "every": 5 }, "checks": {} });
    let mut watched = Fletchck::start(Program::Full, &site(None)).await?;
    let line = watched.process()?.wait_for_line("nobody hears the heartbeat").await?;
    ensure!(line.contains("invalid peer certificate") && !line.contains(token), "{line}");
    watched.write(&site(Some(&pki.ca)))?;
    watcher.until("other", "pass").await?;
    watched.kill();
    watcher.until("other", "fail").await?;
    watcher.stop().await
}
