//! A web service that answers as it is told, and keeps what it is asked.

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response},
};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::wait::{self, PATIENCE};

/// Largest body that is kept, in bytes.
const BODY: usize = 16 * 1024 * 1024;

/// What was asked once.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How.
    pub method: Method,
    /// For what, with the part behind `?`.
    pub path: String,
    /// The fields before the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub status: u16,
    /// When it came.
    pub at: Instant,
}

/// What is answered once.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Further fields.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: String,
    /// How long it thinks before.
    pub after: Duration,
}

/// A web service on a port of 127.0.0.1, until dropped. It answers 200 with `ok` where nothing else was asked for.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
    serve: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Vec<Asked>>,
    answers: Mutex<VecDeque<Answer>>,
    fails_half: AtomicBool,
}

impl Sink {
    /// Starts one.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serve = tokio::spawn(async move {
            // It goes on until it is dropped.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { port, shared, serve })
    }

    /// Its address, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has it answer so to what comes next, after what it was told before.
    pub fn answer(&self, answer: Answer) {
        self.shared.answers.lock().push_back(answer);
    }

    /// Whether it answers 503 to half of what comes, by chance.
    pub fn fail_half(&self, fails: bool) {
        self.shared.fails_half.store(fails, Ordering::Relaxed);
    }

    /// How often it was asked, since it last forgot.
    pub fn times(&self) -> usize {
        self.shared.asked.lock().len()
    }

    /// All it was asked, which it forgets.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock())
    }

    /// Waits until it was asked so often.
    ///
    /// # Errors
    /// It was not, in [`PATIENCE`].
    pub async fn wait_for(&self, times: usize) -> Result<Vec<Asked>> {
        let many = async || (self.times() >= times).then_some(());
        wait::until(PATIENCE, &format!("{times} requests"), many).await?;
        Ok(self.asked())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serve.abort();
    }
}

impl Answer {
    /// This status, with this body.
    pub fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO }
    }

    /// With a further field.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Asked {
    /// A field, as text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The fields of a form, in their order.
    pub fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is none.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let at = Instant::now();
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY).await.unwrap_or_default().to_vec();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
    let next = shared.answers.lock().pop_front();
    let fails = shared.fails_half.load(Ordering::Relaxed) && rand::random();
    let usual = || if fails { Answer::new(503, "not now") } else { Answer::new(200, "ok") };
    let Answer { status, headers, body: says, after } = next.unwrap_or_else(usual);
    let asked = Asked { method: parts.method, path, headers: parts.headers, body, status, at };
    shared.asked.lock().push(asked);
    tokio::time::sleep(after).await;
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    answer.body(Body::from(says)).expect("a status and fields that a test has written")
}
