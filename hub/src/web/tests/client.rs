//! A site with pages, and a browser that keeps its cookie.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use chrono::{DateTime, TimeDelta, Utc};
use fletchck_agent::{
    engine::{Board, CheckView, Handle, Inbox},
    store::Store,
};
use fletchck_shared::{
    CheckName, Condition, Secret, Severity, State, Tz, policy::Silence, state::Failure,
};
use http_body_util::BodyExt;
use indexmap::IndexMap;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::web::{Settings, WebState, router, session::SqliteSessions};

/// Of `hunter2`, made by the original's library with cheap settings.
pub(super) const HUNTER2: &str = "$argon2id$v=19$m=64,t=1,p=1$Xlz224ylVNxwxSF2AtMAIA$1F5loKbfZ70hTe3nAVPFUWMtiptHkOU8g4zFT0muaO8";

/// The same password, set once more.
pub(super) const HUNTER2_AGAIN: &str = "$argon2id$v=19$m=64,t=1,p=1$RyBWYpzVBVY6HCDUojOhRg$XWJ8I8lGAHLpUhlLQoBA/CpgYo0g914LpUj6y03Dv5U";

/// A site, its board empty.
pub(in crate::web) struct Site {
    pub(super) board: Arc<Board>,
    pub(super) inbox: Inbox,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) now: Arc<Mutex<DateTime<Utc>>>,
    pub(in crate::web) state: WebState,
    app: Router,
    engine: Handle,
    path: PathBuf,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// One browser.
pub(super) struct Browser {
    pub(super) app: Router,
    pub(super) cookie: Option<String>,
    pub(super) peer: SocketAddr,
}

impl Site {
    pub(in crate::web) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("site.db");
        Store::open(&path).expect("the engine's store");
        let board = Arc::new(Board::default());
        let (engine, inbox) = Handle::new(board.clone(), Arc::default(), 8);
        let users = ["admin", ""].map(|user| (user.to_owned(), Secret::new(HUNTER2)));
        let settings = Settings {
            name: "Kennel".into(),
            users: users.into(),
            zone: zone(),
            windows: IndexMap::new(),
        };
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        let now = Arc::new(Mutex::new(time("2026-11-23T03:30:00Z")));
        let state = state(&settings, &engine, &path, &now);
        let app = router(state.clone());
        Self { board, inbox, settings, now, state, app, engine, path, _folder: folder }
    }

    /// The same site after a restart: the same files, nothing else.
    pub(super) fn restart(&mut self) {
        self.state = state(&self.settings, &self.engine, &self.path, &self.now);
        self.app = router(self.state.clone());
    }

    pub(super) fn later(&self, by: TimeDelta) {
        *self.now.lock().expect("unpoisoned") += by;
    }

    pub(super) fn browser(&self) -> Browser {
        Browser { app: self.app.clone(), cookie: None, peer: ([192, 0, 2, 1], 4000).into() }
    }

    /// A browser whose user is logged in.
    pub(super) async fn admin(&self) -> Browser {
        let mut browser = self.browser();
        let answer = browser.log_in("admin", "hunter2").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        browser
    }
}

/// A browser whose user is logged in at the pages of an engine that runs over this store.
pub(super) async fn admin_of(
    engine: &Handle,
    store: &std::path::Path,
    windows: IndexMap<String, Silence>,
) -> Browser {
    let users = ["admin", ""].map(|user| (user.to_owned(), Secret::new(HUNTER2)));
    let settings = Settings { name: "Kennel".into(), users: users.into(), zone: Tz::UTC, windows };
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let sessions = Arc::new(SqliteSessions::open(store).expect("sessions"));
    let state = WebState::new(settings, engine.clone(), sessions, CancellationToken::new());
    let peer = ([192, 0, 2, 1], 4000).into();
    let mut browser = Browser { app: router(state), cookie: None, peer };
    let answer = browser.log_in("admin", "hunter2").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    browser
}

impl Browser {
    /// Another one at the same pages.
    pub(super) fn again(&self) -> Self {
        Self { app: self.app.clone(), cookie: self.cookie.clone(), peer: self.peer }
    }

    pub(super) async fn get(&mut self, address: &str) -> Answer {
        self.ask(Request::get(address).header("accept", "text/html"), Body::empty()).await
    }

    pub(super) async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> Answer {
        let pairs = form.iter().map(|(key, value)| {
            let value = crate::web::page::escape(value);
            format!("{key}={value}")
        });
        let body = pairs.collect::<Vec<_>>().join("&");
        let request = Request::post(address)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .header("origin", "null");
        self.ask(request, body.into()).await
    }

    pub(super) async fn log_in(&mut self, user: &str, password: &str) -> Answer {
        self.post("/login", &[("username", user), ("password", password)]).await
    }

    /// The token of the forms on the overview.
    pub(super) async fn token(&mut self) -> String {
        let page = self.get("/").await.body;
        let (_, after) = page.split_once("name=\"token\" value=\"").expect("a form");
        after.split_once('"').expect("closed").0.to_owned()
    }

    /// Sends a request and keeps the cookie that comes back.
    pub(super) async fn ask(
        &mut self,
        request: axum::http::request::Builder,
        body: Body,
    ) -> Answer {
        let response = self.send(request, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The same without waiting for the end of the answer.
    pub(super) async fn send(
        &mut self,
        mut request: axum::http::request::Builder,
        body: Body,
    ) -> axum::response::Response {
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.header(header::HOST, "kennel:8443").extension(ConnectInfo(self.peer));
        let response = self.app.clone().oneshot(request.body(body).expect("a request")).await;
        let response = response.expect("infallible");
        if let Some(set) = response.headers().get(header::SET_COOKIE) {
            let set = set.to_str().expect("text");
            let pair = set.split(';').next().expect("a pair").to_owned();
            self.cookie = (!set.contains("Max-Age=0")).then_some(pair);
        }
        response
    }
}

/// A check that passes.
pub(super) fn view(name: &str) -> CheckView {
    CheckView {
        name: CheckName::try_from(name).expect("a name"),
        kind: "disk".into(),
        sub_kind: None,
        state: State { condition: Condition::Pass, threshold: 1, ..State::default() },
        grade: Severity::Critical,
        trigger: None,
        next: None,
        running: false,
        zone: zone(),
        members: Vec::new(),
        depends: Vec::new(),
        actions: Vec::new(),
        publish: None,
        agent: None,
        added: false,
        notice: None,
    }
}

/// A check that fails, and says so.
pub(super) fn failing(name: &str, text: &str) -> CheckView {
    let mut view = view(name);
    view.state.condition = Condition::Fail(Failure::Whole);
    view.state.text = text.into();
    view.state.last_fail = Some(time("2026-11-23T03:00:00Z"));
    view
}

pub(super) fn time(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

fn state(
    settings: &Arc<ArcSwap<Settings>>,
    engine: &Handle,
    path: &std::path::Path,
    now: &Arc<Mutex<DateTime<Utc>>>,
) -> WebState {
    let sessions = Arc::new(SqliteSessions::open(path).expect("sessions"));
    let now = now.clone();
    WebState::new(settings.clone(), engine.clone(), sessions, CancellationToken::new())
        .with_clock(move || *now.lock().expect("unpoisoned"))
}

fn zone() -> Tz {
    "Australia/Adelaide".parse().expect("a zone")
}
