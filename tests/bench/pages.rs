//! The pages of a site with a thousand checks, over TLS: ours beside the original, in one run:
//! `cargo bench -p fletchck-tests --bench pages`. Four browsers ask as fast as they are answered, while the checks run once
//! a minute, so that the pages change all the time. The list is asked for as browsers do, who take it compressed, and
//! plain; the original has it plain alone. The ratios are what counts.

use std::{
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fletchck_tests::{
    fletchck::{Fletchck, Program},
    original::Original,
    pki::Pki,
    port, usage,
};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpStream, task::JoinSet, time::sleep};
use tokio_rustls::TlsConnector;

const CHECKS: usize = 1000;
const BROWSERS: usize = 4;

/// Until every check has run.
const WARM_UP: Duration = Duration::from_secs(8);
const ASKED: Duration = Duration::from_secs(6);

/// `secret`.
const SECRET: &str = "$argon2id$v=19$m=64,t=1,p=1$GoTy+K72tCQqUbh3L3BwNg$s5sHiwqtEUKZUcKp6ZE4TAU69IVdomA9dzrMC9qiUdw";

/// A page that is asked for, how it is called here, and where each program has it.
struct Page {
    name: &'static str,
    ours: &'static str,
    original: &'static str,
    packed: bool,
}

const PAGES: [Page; 3] = [
    Page { name: "list", ours: "/", original: "/checks", packed: true },
    Page { name: "list, plain", ours: "/", original: "/checks", packed: false },
    Page { name: "status", ours: "/status", original: "/status", packed: false },
];

/// How a program answered one kind of request.
struct Answered {
    rate: f64,
    cpu: f64,
    bytes: usize,
}

/// A browser that is logged in.
struct Browser {
    host: String,
    connection: SendRequest<Full<Bytes>>,
    cookie: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pki = Pki::create(dir.path())?;
    let port = port::free();
    let mut ours = Fletchck::start(Program::Full, &site(&pki, port)).await?;
    let pid = ours.process()?.id();
    let ours_answered = ask(&pki, port, pid, |page| page.ours).await?;
    let ours_bytes = usage::resident(pid)?;
    ours.stop().await?;

    let port = port::free();
    let mut original = Original::start(&site(&pki, port)).await?;
    original.process()?.wait_for_port(port).await?;
    let pid = original.process()?.id();
    let its_answered = ask(&pki, port, pid, |page| page.original).await?;
    let its_bytes = usage::resident(pid)?;
    drop(original);

    let mut out = std::io::stdout().lock();
    writeln!(out, "{CHECKS} checks, {BROWSERS} browsers, TLS")?;
    writeln!(
        out,
        "{:<12} {:<10} {:>9} {:>8} {:>9} {:>8}",
        "page", "program", "pages/s", "ms CPU", "bytes", "ratio"
    )?;
    for (page, (ours, its)) in PAGES.iter().zip(ours_answered.iter().zip(&its_answered)) {
        let ratio = format!("{:.1}x", ours.rate / its.rate);
        for (program, answered, ratio) in [("ours", ours, ""), ("original", its, &ratio)] {
            let Answered { rate, cpu, bytes } = answered;
            writeln!(
                out,
                "{:<12} {program:<10} {rate:>9.1} {:>8.2} {bytes:>9} {ratio:>8}",
                page.name,
                cpu * 1e3
            )?;
        }
    }
    let [ours, its] = [ours_bytes, its_bytes].map(|bytes| bytes as f64 / 1e6);
    writeln!(out, "memory: {ours:.1} MB, the original {its:.1} MB")?;
    Ok(())
}

fn site(pki: &Pki, port: u16) -> Value {
    let check = |n| {
        let check = json!({ "type": "memory", "trigger": { "interval": { "minutes": 1 } },
                            "options": { "level": 100 } });
        (format!("check {n}"), check)
    };
    json!({
        "webui": {
            "hostname": "localhost", "port": port, "name": "bench",
            "cert": pki.valid.cert, "key": pki.valid.key,
            "users": { "admin": SECRET, "": SECRET },
        },
        "checks": (0..CHECKS).map(check).collect::<Map<_, _>>(),
    })
}

/// Asks for each of the pages.
async fn ask(
    pki: &Pki,
    port: u16,
    pid: u32,
    path: fn(&Page) -> &'static str,
) -> Result<Vec<Answered>> {
    sleep(WARM_UP).await;
    let mut browsers = Vec::new();
    for _ in 0..BROWSERS {
        browsers.push(Browser::open(pki, port).await?);
    }
    let mut all = Vec::new();
    for page in PAGES {
        let (path, packed) = (path(&page), page.packed);
        let (began, before) = (Instant::now(), usage::cpu(pid)?);
        let mut asking = JoinSet::new();
        for mut browser in std::mem::take(&mut browsers) {
            asking.spawn(async move {
                let (mut count, mut bytes) = (0, 0);
                while began.elapsed() < ASKED {
                    bytes = browser.page(path, packed).await?;
                    count += 1;
                }
                anyhow::Ok((browser, count, bytes))
            });
        }
        let (mut pages, mut bytes) = (0, 0);
        while let Some(done) = asking.join_next().await {
            let (browser, count, last) = done??;
            browsers.push(browser);
            (pages, bytes) = (pages + count, last);
        }
        let cpu = (usage::cpu(pid)? - before).as_secs_f64() / f64::from(pages);
        all.push(Answered { rate: f64::from(pages) / began.elapsed().as_secs_f64(), cpu, bytes });
    }
    Ok(all)
}

impl Browser {
    /// Connects and logs in.
    async fn open(pki: &Pki, port: u16) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&pki.ca)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(("localhost", port)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let (connection, work) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(work);
        let cookie = String::new();
        let mut browser = Self { host: format!("localhost:{port}"), connection, cookie };
        let answer = browser.send(Method::POST, "/login", false, "username=admin&password=secret");
        let answer = answer.await?;
        let cookie = answer.headers().get(header::SET_COOKIE).context("no login")?.to_str()?;
        browser.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        answer.into_body().collect().await?;
        Ok(browser)
    }

    /// Reads a page. Answers with its length.
    async fn page(&mut self, path: &str, packed: bool) -> Result<usize> {
        let answer = self.send(Method::GET, path, packed, "").await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        Ok(answer.into_body().collect().await?.to_bytes().len())
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        packed: bool,
        form: &'static str,
    ) -> Result<Response<Incoming>> {
        self.connection.ready().await?;
        let encoding = if packed { "gzip" } else { "identity" };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::COOKIE, &self.cookie)
            .header(header::ACCEPT_ENCODING, encoding)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from_static(form.as_bytes())))?;
        Ok(self.connection.send_request(request).await?)
    }
}
