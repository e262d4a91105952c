//! What people decide about alerts on the pages, with a real engine behind them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use fletchck_agent::{
    config::Built,
    engine::{Board, Clock, Engine},
    store::Store,
};
use fletchck_shared::{AgentId, Tz, config};
use indexmap::IndexMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use super::client::{Answer, Browser, admin_of};

/// A site whose check `disk` fails until its folder is made, with an action that tells a service of the web.
pub(super) struct Running {
    engine: Engine,
    admin: Browser,
    token: String,
    service: Service,
    pub(super) folder: TempDir,
    _stop: tokio_util::sync::DropGuard,
}

/// A service that answers with a status, and counts what it is told.
struct Service {
    status: Arc<AtomicU16>,
    told: Arc<AtomicUsize>,
    /// How long it thinks, in milliseconds.
    thinks: Arc<AtomicU64>,
    serve: JoinHandle<()>,
    port: u16,
}

impl Service {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (status, told) = (Arc::new(AtomicU16::new(status)), Arc::new(AtomicUsize::new(0)));
        let thinks = Arc::new(AtomicU64::new(0));
        let (answers, counts, pause) = (status.clone(), told.clone(), thinks.clone());
        let app = Router::new().fallback(move || async move {
            let status = StatusCode::from_u16(answers.load(Relaxed)).expect("a status");
            counts.fetch_add(1, Relaxed);
            sleep(Duration::from_millis(pause.load(Relaxed))).await;
            (status, "so it says")
        });
        let serve = tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
        Self { status, told, thinks, serve, port }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Relaxed);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.serve.abort();
    }
}

fn site(volume: &Path, port: u16) -> Value {
    json!({
        "broker": { "listeners": [{ "listen": "127.0.0.1:0" }] },
        "maintenance": {
            "paint": { "checks": "w*", "cron": { "day_of_week": "sun" }, "duration": 7200 },
            "past": { "checks": "*", "start": "2020-01-01T00:00", "end": "2020-01-02T00:00" },
        },
        "actions": {
            "tell": { "type": "log" },
            "web": {
                "type": "webhook", "gather": 0,
                "options": { "url": format!("http://127.0.0.1:{port}/secret-1") },
            },
        },
        "checks": { "disk": {
            "type": "disk", "options": { "volume": volume, "level": 100 }, "actions": ["tell", "web"],
        } },
    })
}

impl Running {
    /// A site with a failure that the service answers to with this status.
    async fn failing(status: u16) -> Self {
        let running = Self::start(status).await;
        let engine = &running.engine.handle;
        let name = fletchck_shared::CheckName::try_from("disk").expect("a name");
        engine.ask(fletchck_agent::engine::Request::Run(name)).await.expect("begun");
        running.until(|board| board.check("disk").is_some_and(|v| v.state.word() == "fail")).await;
        running
    }

    async fn start(status: u16) -> Self {
        Self::of(site, status).await
    }

    /// The site that is configured like this, with the path of its volume and the port of its service.
    pub(super) async fn of(site: fn(&Path, u16) -> Value, status: u16) -> Self {
        // Whichever test comes first.
        fletchck_agent::install_crypto().ok();
        let folder = tempfile::tempdir().expect("a folder");
        let service = Service::start(status).await;
        let config = site(&folder.path().join("volume"), service.port);
        let (site, faults) = config::read(&config, &Built, Tz::UTC);
        assert!(faults.is_empty(), "{faults:?}");
        let windows = site.maintenance.clone();
        let path = folder.path().join("site.db");
        let store = Store::open(&path).expect("a store");
        let stop = CancellationToken::new();
        let who = (AgentId::try_from("hub-1").expect("an id"), Tz::UTC, Clock::system());
        let engine =
            Engine::start(site, Vec::new(), who, store, stop.clone()).await.expect("an engine");
        let mut admin = admin_of(&engine.handle, &path, windows).await;
        let token = admin.token().await;
        Self { engine, admin, token, service, folder, _stop: stop.drop_guard() }
    }

    pub(super) async fn post(&mut self, address: &str, form: &[(&str, &str)]) -> Answer {
        let token = self.token.clone();
        let form = [&[("token", token.as_str())], form].concat();
        self.admin.post(address, &form).await
    }

    pub(super) async fn page(&mut self, address: &str) -> String {
        let answer = self.admin.get(address).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    pub(super) async fn until(&self, there: impl Fn(&Board) -> bool) {
        for _ in 0..2000 {
            if there(self.engine.handle.board()) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not come to that");
    }

    /// Waits until `/alerts` has this text.
    pub(super) async fn until_page(&mut self, text: &str) -> String {
        for _ in 0..2000 {
            let page = self.page("/alerts").await;
            if page.contains(text) {
                return page;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{text} is not in {}", self.page("/alerts").await);
    }

    /// Waits until the service was told this often.
    pub(super) async fn until_told(&self, times: usize) {
        for _ in 0..2000 {
            if self.service.told.load(Relaxed) >= times {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("it was told {} times", self.service.told.load(Relaxed));
    }
}

/// Number of the first delivery with a button of this form.
fn number(page: &str, form: &str) -> String {
    let before = format!("form=\"{form}\" name=\"id\" value=\"");
    let (_, after) = page.split_once(&before).unwrap_or_else(|| panic!("no {form} in {page}"));
    after.split_once('"').expect("closed").0.to_owned()
}

fn refused(answer: &Answer, status: StatusCode, sentence: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body.contains(sentence), "{sentence} is not in {}", answer.body);
}

#[tokio::test]
async fn a_failure_is_taken_on_and_given_back() {
    let mut site = Running::failing(200).await;
    assert!(site.page("/check/disk").await.contains(">Acknowledge<"));
    assert!(site.page("/alerts").await.contains("No failure is acknowledged"));
    let taken =
        site.post("/ack", &[("check", "disk"), ("comment", "on my way"), ("for", "2h")]).await;
    assert_eq!(taken.status, StatusCode::SEE_OTHER, "{}", taken.body);
    assert_eq!(taken.headers[header::LOCATION], "/check/disk");
    let check = site.page("/check/disk").await;
    assert!(check.contains("admin has taken it on") && check.contains(": on my way (until "));
    assert!(site.page("/alerts").await.contains("on my way"));
    let given = site.post("/unack", &[("check", "disk")]).await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{}", given.body);
    assert!(!site.page("/check/disk").await.contains("has taken it on"));

    let again = site.post("/unack", &[("check", "disk")]).await;
    refused(&again, StatusCode::CONFLICT, "nobody has acknowledged `disk`");
    let soon = site.post("/ack", &[("check", "disk"), ("for", "soon")]).await;
    refused(&soon, StatusCode::BAD_REQUEST, "`soon` is no length of time; write minutes");
    let typo = site.post("/ack", &[("check", "typo")]).await;
    refused(&typo, StatusCode::NOT_FOUND, "There is no check `typo`");
    let nothing = site.post("/ack", &[]).await;
    refused(&nothing, StatusCode::BAD_REQUEST, "no name of a check");
    let sticky = site.post("/ack", &[("check", "disk"), ("sticky", "very")]).await;
    refused(&sticky, StatusCode::BAD_REQUEST, "The form was not complete");
}

#[tokio::test]
async fn checks_are_silenced_by_pattern_snoozed_and_heard_again() {
    let mut site = Running::start(200).await;
    for form in [
        [("check", "d*k"), ("for", "1h"), ("reason", "paint"), ("kind", "silence")],
        [("agent", "hub-?"), ("for", "2h"), ("cron", "sun weekday 2 hr"), ("kind", "maintenance")],
        [("exactly", "disk"), ("for", "90m"), ("label", ""), ("kind", "snooze")],
        [
            ("label", "room=cellar, site=barn"),
            ("start", "2999-01-01 02:00"),
            ("for", "1d"),
            ("kind", ""),
        ],
    ] {
        let answer = site.post("/silence", &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{form:?}: {}", answer.body);
        assert_eq!(answer.headers[header::LOCATION], "/alerts");
    }
    let page = site.page("/alerts").await;
    for text in [
        "Silence</b> d*k",
        "by admin</span> paint",
        "Maintenance</b> on hub-?",
        "for 120 min, next ",
        "Snooze</b> disk",
        "room=cellar, site=barn",
        "from 01 Jan 2999 02:00",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let ended = site.post("/silence/end", &[("id", "3")]).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert!(!site.page("/alerts").await.contains("Snooze</b> disk"));
    let again = site.post("/silence/end", &[("id", "3")]).await;
    refused(&again, StatusCode::CONFLICT, "there is no silence 3");

    // What is silenced is shown to fail, and nobody hears of it.
    let run = site.post("/run", &[("check", "disk")]).await;
    assert_eq!(run.status, StatusCode::SEE_OTHER);
    site.until(|board| board.check("disk").is_some_and(|view| view.state.word() == "fail")).await;
    assert!(site.page("/check/disk").await.contains("Nobody is told: silenced by admin"));
    assert!(site.page("/").await.contains("Nobody is told: silenced by admin"));
    assert_eq!(site.service.told.load(Relaxed), 0);
}

#[tokio::test]
async fn a_silence_of_no_check_there_is_says_so_on_the_page() {
    const NOBODY: &str = "no check is called so now";
    let mut site = Running::start(200).await;
    // The window of the configuration is for `w*`, and there is no such check.
    assert_eq!(site.page("/alerts").await.matches(NOBODY).count(), 1);
    for (check, agent, count) in
        [("d*k", "", 1), ("*", "nobody", 1), ("", "nas", 1), ("dsik", "", 2)]
    {
        let form = [("check", check), ("agent", agent), ("for", "1h")];
        assert_eq!(site.post("/silence", &form).await.status, StatusCode::SEE_OTHER);
        assert_eq!(site.page("/alerts").await.matches(NOBODY).count(), count, "{check} {agent}");
    }
}

#[tokio::test]
async fn windows_of_the_configuration_are_shown_and_cannot_be_ended_here() {
    let mut site = Running::start(200).await;
    let page = site.page("/alerts").await;
    assert!(page.contains("w* <span class=\"meta\">cron "), "{page}");
    assert!(page.contains("by the configuration (`paint`)</span>"), "{page}");
    assert!(!page.contains("past") && !page.contains(">End</button>"), "{page}");
}

#[tokio::test]
async fn a_silence_that_makes_no_sense_is_refused_in_a_sentence() {
    let mut site = Running::start(200).await;
    let check = ("check", "*");
    for (form, sentence) in [
        (vec![("for", "1h")], "Say which checks"),
        (vec![check], "Say for how long: minutes"),
        (vec![check, ("for", "2 fortnights")], "`2 fortnights` is no length of time"),
        (vec![check, ("start", "tomorrow"), ("for", "1h")], "`tomorrow` is no time"),
        (vec![check, ("start", "+262142-12-31T23:00:00Z"), ("for", "1w")], "is no time; write it"),
        (vec![check, ("end", "2020-01-01 00:00")], "It ends before it begins"),
        (vec![("label", "barn"), ("for", "1h")], "A label is written as `key=value`"),
        (vec![check, ("cron", "sun weekday 2 hr")], "Say how long it lasts each time"),
        (vec![check, ("cron", "every blue moon"), ("for", "1h")], "write it as in `sun weekday"),
        (
            vec![check, ("cron", "2 hr"), ("for", "1h"), ("start", "2030-01-01 00:00")],
            "What comes again has no start",
        ),
        (vec![check, ("for", "1h"), ("kind", "quiet")], "`quiet` is neither silence"),
    ] {
        refused(&site.post("/silence", &form).await, StatusCode::BAD_REQUEST, sentence);
    }
    let typo = [("kind", "snooze"), ("exactly", "typo"), ("for", "1h")];
    refused(&site.post("/silence", &typo).await, StatusCode::NOT_FOUND, "There is no check `typo`");
    for id in ["", "x", "1.5"] {
        let answer = site.post("/silence/end", &[("id", id)]).await;
        refused(&answer, StatusCode::BAD_REQUEST, "The form was not complete");
    }
    assert!(site.engine.handle.board().silences().is_empty());
}

#[tokio::test]
async fn what_was_given_up_is_sent_again_or_forgotten() {
    let mut site = Running::failing(404).await;
    let page = site.until_page("Send all again").await;
    assert!(page.contains("404 Not Found: so it says") && !page.contains("secret-1"), "{page}");
    let id = number(&page, "again");
    let unknown = site.post("/deliveries/again", &[("id", "999")]).await;
    refused(&unknown, StatusCode::NOT_FOUND, "There is no alert 999 that was given up");

    site.service.answers(200);
    let told = site.service.told.load(Relaxed);
    let again = site.post("/deliveries/again", &[("id", &id)]).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    site.until_told(told + 1).await;
    site.until_page("Everybody was told of everything").await;
    assert!(site.page("/alerts").await.contains("Nothing was given up"));

    site.service.answers(404);
    std::fs::create_dir(site.folder.path().join("volume")).expect("made");
    site.post("/run", &[("check", "disk")]).await;
    site.until_page("Forget all").await;
    let forgotten = site.post("/deliveries/forget", &[]).await;
    assert_eq!(forgotten.status, StatusCode::SEE_OTHER);
    assert!(site.page("/alerts").await.contains("Nothing was given up"));
}

#[tokio::test]
async fn what_waits_is_tried_at_once_and_nothing_else_is_promised() {
    let mut site = Running::failing(503).await;
    let page = site.until_page("tried 3 times").await;
    assert!(page.contains("form=\"now\"") && page.contains("503 Service Unavailable"), "{page}");
    site.service.answers(200);
    let began = Instant::now();
    let now = site.post("/deliveries/now", &[]).await;
    assert_eq!(now.status, StatusCode::SEE_OTHER, "{}", now.body);
    site.until_page("Everybody was told of everything").await;
    // By itself it would have waited for 4 seconds at least.
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_wish_to_try_at_once_is_not_lost_while_the_last_try_lasts() {
    let mut site = Running::failing(503).await;
    site.until_page("tried 2 times").await;
    site.service.thinks.store(1000, Relaxed);
    site.until_told(3).await;
    // It is answered as before, and from the next on otherwise.
    site.service.answers(200);
    let began = Instant::now();
    site.post("/deliveries/now", &[]).await;
    site.until_page("Everybody was told of everything").await;
    // By itself it would have waited for 4 seconds at least after that.
    assert!(began.elapsed() < Duration::from_millis(4500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_test_shows_what_the_other_side_answers() {
    let mut site = Running::start(200).await;
    let page = site.post("/action/test", &[("action", "web")]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("200 OK: so it says"), "{}", page.body);
    site.service.answers(500);
    let page = site.post("/action/test", &[("action", "web")]).await;
    // A page all the same, for the person who asked.
    assert!(page.body.contains("the service answered 500"), "{}", page.body);
    assert!(!page.body.contains("secret-1"), "{}", page.body);
    for action in ["typo", "", "a\nb"] {
        let page = site.post("/action/test", &[("action", action)]).await;
        refused(&page, StatusCode::NOT_FOUND, "There is no action");
    }
}

#[tokio::test]
async fn no_form_is_taken_from_elsewhere() {
    let mut site = Running::failing(404).await;
    site.until_page("Send all again").await;
    let path = site.folder.path().join("site.db");
    let mut other = admin_of(&site.engine.handle, &path, IndexMap::new()).await;
    let foreign = other.token().await;
    let told = site.service.told.load(Relaxed);
    for (address, form) in [
        ("/ack", vec![("check", "disk")]),
        ("/unack", vec![("check", "disk")]),
        ("/silence", vec![("check", "*"), ("for", "1h")]),
        ("/silence/end", vec![("id", "1")]),
        ("/action/test", vec![("action", "web")]),
        ("/deliveries/again", vec![]),
        ("/deliveries/now", vec![]),
        ("/deliveries/forget", vec![]),
    ] {
        for token in ["", "nonsense", foreign.as_str()] {
            let form = [&[("token", token), ("by", "root")], form.as_slice()].concat();
            let answer = site.admin.post(address, &form).await;
            refused(&answer, StatusCode::FORBIDDEN, "This form is from another login");
        }
        let stranger = Request::post(address)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "cross-site");
        let body = format!("token={}&check=disk", site.token);
        let answer = site.admin.ask(stranger, Body::from(body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address}");
        let mut nobody = Browser { cookie: None, ..site.admin.again() };
        let answer = nobody.post(address, &[("token", site.token.as_str())]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{address}");
        let looked = site.admin.get(address).await;
        assert_eq!(looked.status, StatusCode::METHOD_NOT_ALLOWED, "{address}");
    }
    let view = site.engine.handle.board().check("disk").expect("there");
    assert_eq!(view.state.alert.ack, None);
    assert!(site.engine.handle.board().silences().is_empty());
    assert!(site.page("/alerts").await.contains("Send all again"), "nothing was forgotten");
    assert_eq!(site.service.told.load(Relaxed), told, "nor sent");
}
