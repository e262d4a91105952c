//! Parts of a site that cannot run as the configuration says: everything else runs, the page and the log say so, and they
//! come by themselves.

use std::{fs, net::TcpListener, path::Path};

use anyhow::{Context as _, Result, ensure};
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    mosquitto::Mosquitto,
    mqtt::Mqtt,
    page::Page,
    pki::Pki,
    port,
    wait::{self, PATIENCE},
};
use rumqttc::MqttOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet::{SECRET, agent};

fn own_check() -> Value {
    json!({ "type": "disk", "trigger": { "interval": { "seconds": 1 } }, "options": { "level": 100 } })
}

/// A hub with pages, whose broker has these listeners.
fn hub(page: u16, pki: &Pki, listeners: Value) -> Value {
    json!({
        "agent": { "id": "hub-1" },
        "webui": { "hostname": "localhost", "port": page, "cert": pki.valid.cert, "key": pki.valid.key,
                   "users": { "admin": SECRET } },
        "broker": { "listeners": listeners,
                    "users": { "nas": { "password": SECRET }, "pi": { "password": SECRET } } },
        "checks": { "own": own_check() },
    })
}

fn listener(port: u16) -> Value {
    json!({ "listen": format!("127.0.0.1:{port}") })
}

fn take(port: u16) -> Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).context("taking a port")
}

fn login(user: &str, port: u16) -> MqttOptions {
    let mut options = MqttOptions::new(user, "127.0.0.1", port);
    options.set_credentials(user, "secret");
    options
}

/// Waits until the overview has all these words in it.
async fn page_says(port: u16, words: &[&str]) -> Result<String> {
    let says = async || {
        let page = Page::log_in(port, "admin", "secret").await.ok()?.get("/").await.ok()?.body;
        words.iter().all(|word| page.contains(word)).then_some(page)
    };
    wait::until(PATIENCE, &format!("the page to say {words:?}"), says).await
}

async fn page_is_well(port: u16) -> Result<()> {
    let well = async || {
        let page = Page::log_in(port, "admin", "secret").await.ok()?.get("/").await.ok()?.body;
        (!page.contains("Faults in the configuration")).then_some(())
    };
    wait::until(PATIENCE, "the page to be without faults", well).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_to_a_port_that_is_taken_leaves_the_broker_where_it_was() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let (page, old, new) = (port::free(), port::free(), port::free());
    let mut site = Fletchck::start(Program::Full, &hub(page, &pki, json!([listener(old)]))).await?;
    let target = tempfile::tempdir()?;
    let _nas = Fletchck::start(Program::Agent, &agent(old, "nas", target.path())).await?;
    site.until("nas/root", "pass").await?;

    let taken = take(new)?;
    site.write(&hub(page, &pki, json!([listener(new)])))?;
    let cannot = format!("127.0.0.1:{new} cannot be opened");
    page_says(page, &["broker.listeners[0].listen", &cannot, "is open all the same"]).await?;
    drop(Mqtt::with(login("pi", old)).await.context("the old port is still served")?);

    drop(taken);
    site.process()?.wait_for_port(new).await?;
    page_is_well(page).await?;
    drop(Mqtt::with(login("pi", new)).await?);
    ensure!(take(old).is_ok(), "the old port is closed now");
    let log = site.process()?.log();
    ensure!(log.contains(&cannot), "{log}");
    let gone = |line: &&str| line.contains("client disconnected") && line.contains("nas");
    ensure!(log.lines().find(gone).is_none(), "nobody had to leave for any of this: {log}");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_run_and_the_page_is_shown_whatever_else_cannot_start() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let (page, taken_port, tls_port) = (port::free(), port::free(), port::free());
    let (cert, key) = (dir.path().join("later.cert"), dir.path().join("later.key"));
    let mut tls = listener(tls_port);
    tls["tls"] = json!(true);
    let mut config = hub(page, &pki, json!([listener(taken_port), tls]));
    (config["webui"]["cert"], config["webui"]["key"]) = (json!(cert), json!(key));
    let taken = take(taken_port)?;
    let mut site = Fletchck::prepare(Program::Full, &config)?;
    let told = site.run(&["check-config"]).await?;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    ensure!(!told.status.success() && said.contains("webui.cert: cannot read "), "{said}");
    ensure!(said.contains("1 error and 0 warnings; 1 check runs"), "{said}");

    site.launch().await?;
    site.until("own", "pass").await?;
    let cannot = format!("127.0.0.1:{taken_port} cannot be opened");
    let faults = [
        "webui.cert",
        "later.cert",
        "one that was made for this run",
        cannot.as_str(),
        "broker.listeners[1].cert",
        "so that nobody can report through",
    ];
    page_says(page, &faults).await?;
    let stands_in = Page::at(page).get("/healthz").await?;
    ensure!(stands_in.body == r#"{"status":"ok"}"#, "{stands_in:?}");

    drop(taken);
    fs::copy(&pki.valid.cert, &cert)?;
    fs::copy(&pki.valid.key, &key)?;
    page_is_well(page).await?;
    for port in [taken_port, tls_port] {
        site.process()?.wait_for_port(port).await?;
    }
    let shown = Page::at(page).get("/healthz").await?.certificate;
    ensure!(shown != stands_in.certificate, "its owner's certificate is shown");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_whose_port_is_taken_come_once_it_is_free_and_checks_run_before() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let page = port::free();
    let config = json!({
        "webui": { "hostname": "127.0.0.1", "port": page, "cert": pki.valid.cert, "key": pki.valid.key },
        "checks": { "own": own_check() },
    });
    let taken = take(page)?;
    let mut site = Fletchck::prepare(Program::Full, &config)?;
    site.launch().await?;
    site.until("own", "pass").await?;
    site.process()?.wait_for_line("webui.port: cannot listen on 127.0.0.1").await?;
    drop(taken);
    site.process()?.wait_for_line("the pages are at https://127.0.0.1").await?;
    ensure!(Page::at(page).get("/healthz").await?.status == 200);
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_configuration_any_more_is_told_on_the_page() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let page = port::free();
    let config = hub(page, &pki, json!([listener(port::free())]));
    let mut site = Fletchck::start(Program::Full, &config).await?;
    page_is_well(page).await?;
    fs::write(site.config_path(), "{\n  \"checks\": {\n")?;
    page_says(page, &["the file", "fletchck.conf", "this is not JSON", "line 3"]).await?;
    let first = site.until("own", "pass").await?.last_check;
    let goes_on = async || {
        let state = site.until("own", "pass").await.ok()?;
        (state.last_check != first).then_some(())
    };
    wait::until(PATIENCE, "what ran before to go on", goes_on).await?;
    site.write(&config)?;
    page_is_well(page).await?;
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_hear_shows_no_remote_check_as_well() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let (page, broker) = (port::free(), port::free());
    let config = hub(page, &pki, json!([listener(broker)]));
    let mut site = Fletchck::start(Program::Full, &config).await?;
    let target = tempfile::tempdir()?;
    let _nas = Fletchck::start(Program::Agent, &agent(broker, "nas", target.path())).await?;
    site.until("nas/root", "pass").await?;

    // Its broker cannot open its port.
    site.stop().await?;
    let taken = take(broker)?;
    site.launch().await?;
    let stale = site.until("nas/root", "stale").await?;
    let why = format!("{:?}", stale.cover);
    ensure!(why.contains("nobody can reach the broker of this site"), "{why}");
    drop(taken);
    site.process()?.wait_for_port(broker).await?;
    site.until("nas/root", "pass").await?;

    // It has neither a broker nor a link any more.
    let mut without = config.clone();
    without.as_object_mut().context("an object")?.remove("broker");
    site.write(&without)?;
    let stale = site.until("nas/root", "stale").await?;
    let why = format!("{:?}", stale.cover);
    ensure!(why.contains("neither a broker nor a link"), "{why}");
    site.write(&config)?;
    site.until("nas/root", "pass").await?;
    site.stop().await
}

/// A hub that hears over a link to mosquitto.
fn linked(page: u16, pki: &Pki, broker: &Mosquitto, ca: &Path, password: &str) -> Value {
    json!({
        "agent": { "id": "hub-1" },
        "webui": { "hostname": "localhost", "port": page, "cert": pki.valid.cert, "key": pki.valid.key,
                   "users": { "admin": SECRET } },
        "mqtt": { "hostname": "127.0.0.1", "port": broker.tls_port, "tls": true, "cafile": ca,
                  "username": Mosquitto::USER, "password": password, "basetopic": "site/#" },
        "fleet": { "hub": true },
        "checks": { "root": { "type": "remote" } },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_cannot_be_made_is_told_and_tried_until_it_is() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let broker = Mosquitto::start(&pki).await?;
    let (page, ca) = (port::free(), dir.path().join("later.pem"));
    let heard = Mqtt::connect(broker.port).await?;
    let update = json!({
        "name": "root", "type": "disk", "data": { "failState": false, "lastCheck": chrono::Utc::now() },
    });
    heard.publish("site/root", update.to_string(), true).await?;

    // Nobody to trust, from the start on.
    let right = linked(page, &pki, &broker, &ca, Mosquitto::PASSWORD);
    let mut site = Fletchck::prepare(Program::Full, &right)?;
    let told = site.run(&["check-config"]).await?;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    ensure!(!told.status.success() && said.contains("mqtt.cafile: cannot read "), "{said}");
    site.launch().await?;
    let stale = site.until("root", "stale").await?;
    ensure!(format!("{:?}", stale.cover).contains("the broker is away"), "{stale:?}");
    page_says(page, &["mqtt.cafile", "later.pem", "there is no link to the broker"]).await?;
    fs::copy(&pki.ca, &ca)?;
    site.until("root", "pass").await?;
    page_is_well(page).await?;

    // A wrong password, after a reload.
    site.write(&linked(page, &pki, &broker, &ca, "wrong"))?;
    site.until("root", "stale").await?;
    page_says(page, &["mqtt.username", "does not authorise this user"]).await?;
    let log = site.process()?.log();
    ensure!(!log.contains(Mosquitto::PASSWORD), "{log}");
    site.write(&right)?;
    site.until("root", "pass").await?;
    page_is_well(page).await?;
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_removed_has_to_leave_and_nobody_else() -> Result<()> {
    let dir = TempDir::new()?;
    let pki = Pki::create(dir.path())?;
    let (page, broker) = (port::free(), port::free());
    let config = hub(page, &pki, json!([listener(broker)]));
    let mut site = Fletchck::start(Program::Full, &config).await?;
    let (nas, pi) =
        (Mqtt::with(login("nas", broker)).await?, Mqtt::with(login("pi", broker)).await?);
    let mut without = config.clone();
    without["broker"]["users"].as_object_mut().context("users")?.remove("nas");
    site.write(&without)?;
    let gone = async || nas.subscribe("fletchck/nas/#").await.is_err().then_some(());
    wait::until(PATIENCE, "`nas` to be disconnected", gone).await?;
    ensure!(Mqtt::with(login("nas", broker)).await.is_err(), "nor may it come back");
    pi.subscribe("fletchck/pi/#").await?;
    let log = site.process()?.log();
    let left = log.lines().filter(|line| line.contains("client disconnected"));
    ensure!(left.count() == 1, "{log}");
    site.stop().await
}
