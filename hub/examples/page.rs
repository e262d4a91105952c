//! The pages over a made-up site, to look at them and for the tests in a browser: `cargo run --example page`.
//! There is no engine behind it: a check that is run passes, and one that is deleted is gone.

use std::{fs, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use arc_swap::ArcSwap;
use chrono::{TimeDelta, Utc};
use fletchck::{
    identity::Identity,
    password,
    web::{Listen, Server, Settings, WebState, session::SqliteSessions},
};
use fletchck_agent::{
    engine::{AgentView, Board, CheckView, Handle, Inbox, Request},
    pem::PairFiles,
    store::Store,
};
use fletchck_shared::{
    AgentId, CheckName, Condition, Phase, Secret, Severity, State,
    config::Fault,
    state::{Cover, Failure},
    wire::Info,
};
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "demonstration";

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another provider of TLS is installed"))?;
    let folder = tempfile::tempdir()?;
    let file = |name| folder.path().join(name);
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(file("cert.pem"), made.cert.pem())?;
    fs::write(file("key.pem"), made.signing_key.serialize_pem())?;
    let _store = Store::open(&file("site.db"))?;

    let board = Arc::new(Board::default());
    board.replace(checks()?, faults());
    agents()?.into_iter().for_each(|agent| board.put_agent(agent));
    let (handle, inbox) = Handle::new(board.clone(), Arc::default(), 8);
    tokio::spawn(answer(inbox, board));

    let hash = password::hash(&Secret::new(PASSWORD))?;
    let users = ["admin", ""].map(|user| (user.to_owned(), hash.clone()));
    let zone = "Australia/Adelaide".parse().expect("a zone");
    let settings =
        Settings { name: "Kennel".into(), users: users.into(), zone, windows: Default::default() };
    let stop = CancellationToken::new();
    let sessions = Arc::new(SqliteSessions::open(&file("site.db"))?);
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let state = WebState::new(settings, handle, sessions, stop.clone());
    let listen = Listen {
        hostname: "127.0.0.1".into(),
        port: std::env::args().nth(1).map_or(Ok(0), |port| port.parse()).context("a port")?,
    };
    let identity = Arc::<Identity>::default();
    identity.renew(&PairFiles { cert: file("cert.pem"), key: file("key.pem") }).await?;
    let server = Server::bind(&listen, identity).await?;
    println!("https://{} admin {PASSWORD}", server.address());
    let ending = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            ending.cancel();
        }
    });
    Ok(server.run(state, stop).await?)
}

/// Does at once what is asked.
async fn answer(mut inbox: Inbox, board: Arc<Board>) {
    while let Some((request, answer)) = inbox.requests.recv().await {
        match request {
            Request::Run(name) => {
                if let Some(view) = board.check(name.as_str()) {
                    let mut view = CheckView::clone(&view);
                    view.state.condition = Condition::Pass;
                    view.state.cover = None;
                    view.state.fail_count = 0;
                    view.state.text = "answered in 12 ms".into();
                    view.state.last_check = Some(Utc::now());
                    board.put(view);
                }
            }
            Request::Delete(name) => board.remove(&name),
            _ => {}
        }
        // The browser may be gone by now.
        _ = answer.send(Ok(()));
    }
}

fn checks() -> Result<Vec<CheckView>> {
    let mut own = sequence("self-check", &["ram", "load", "root"])?;
    own.state.text = "3 of 3 pass".into();
    let mut shop = sequence("Web shop", &["front page", "certificate", "database"])?;
    shop.state.condition = Condition::Fail(Failure::Members("front page".into()));
    let mut database = check("database", "https", "")?;
    database.depends = vec![CheckName::try_from("router")?];
    database.state.cover = Some(Cover::Blocked("router".into()));
    database.state.text = "not run: `router`, which it depends on, fails".into();
    let mut printer = check("old printer", "ping", "")?;
    printer.state.cover = Some(Cover::Paused);
    let mut unknown = check("Дверь ☃ \"q\" <script>alert(1)</script>", "dns", "")?;
    unknown.state = State::default();
    let mut all = vec![own, check("ram", "memory", "41%")?, check("load", "cpu", "7%")?];
    all.extend([
        check("root", "disk", "63%")?,
        shop,
        fails("front page", "wanted status 200, got 503")?,
    ]);
    all.extend([check("certificate", "cert", "42 days")?, database, printer, unknown]);
    all.push(fails("router", "no answer from 192.0.2.1 within 5 s")?);
    let path = "a-name-without-any-space-that-somebody-made-from/srv/data/volumes/0123456789abcdef";
    all.push(check(path, "disk", "12%")?);
    for n in 0..6 {
        let mut remote = check(&format!("barn disk {n}"), "remote", "55%")?;
        remote.sub_kind = Some("disk".into());
        remote.agent = Some(AgentId::try_from("barn")?);
        remote.added = true;
        if n == 5 {
            remote.state.cover = Some(Cover::Stale("nothing heard for 12 minutes".into()));
        }
        all.push(remote);
    }
    for n in 0..12 {
        all.push(check(&format!("site-{n}.example"), "https", &format!("{} days", 20 + 7 * n))?);
    }
    Ok(all)
}

fn check(name: &str, kind: &str, level: &str) -> Result<CheckView> {
    let now = Utc::now();
    let phase = |name: &str, ms| Phase { name: name.into(), took: Duration::from_millis(ms) };
    let state = State {
        condition: Condition::Pass,
        threshold: 1,
        text: format!("{level}, as it should be"),
        level: (!level.is_empty()).then(|| level.into()),
        log: vec!["asked".into(), "answered".into()],
        phases: vec![phase("dns", 3), phase("tcp", 11), phase("tls", 38), phase("answer", 120)],
        last_check: Some(now),
        last_pass: Some(now - TimeDelta::days(3)),
        ..State::default()
    };
    Ok(CheckView {
        name: CheckName::try_from(name)?,
        kind: kind.into(),
        sub_kind: None,
        state,
        grade: Severity::Critical,
        trigger: Some("interval 5 min".parse()?),
        next: Some(now + TimeDelta::minutes(4)),
        running: false,
        zone: "Australia/Adelaide".parse().expect("a zone"),
        members: Vec::new(),
        depends: Vec::new(),
        actions: Vec::new(),
        publish: None,
        agent: None,
        added: false,
        notice: None,
    })
}

fn fails(name: &str, text: &str) -> Result<CheckView> {
    let mut view = check(name, "https", "")?;
    view.state.condition = Condition::Fail(Failure::Whole);
    view.state.text = text.into();
    view.state.fail_count = 3;
    view.state.last_fail = Some(Utc::now() - TimeDelta::minutes(47));
    view.state.log = vec!["GET / HTTP/1.1".into(), text.into()];
    Ok(view)
}

fn sequence(name: &str, members: &[&str]) -> Result<CheckView> {
    let mut view = check(name, "sequence", "")?;
    view.members = members.iter().copied().map(CheckName::try_from).collect::<Result<_, _>>()?;
    Ok(view)
}

fn agents() -> Result<Vec<AgentView>> {
    let agent = |(id, online, ahead)| {
        let info = Info {
            host: format!("{id}.example"),
            version: "0.1.0".into(),
            os: "Debian GNU/Linux 12".into(),
            checks: 6,
            ..Info::default()
        };
        let since = Utc::now() - TimeDelta::minutes(200);
        Ok(AgentView { id: AgentId::try_from(id)?, online, since, info, clock_ahead: Some(ahead) })
    };
    [("barn", true, 0), ("roof-cam", true, 73), ("shed", false, -4212)]
        .into_iter()
        .map(agent)
        .collect()
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::error("checks.mail.type", "`smpt` is no type of check", "`smtp`"),
        Fault::warning("checks.root.options.levle", "unknown key", "`level`, or nothing"),
    ]
}
