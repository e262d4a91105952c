//! What the pages show and do.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use fletchck_agent::engine::{AgentView, Refused, Request as Asked};
use fletchck_shared::{
    AgentId, CheckName, Phase, Severity, config::Fault, state::Cover, wire::Info,
};
use std::time::Duration;

use super::client::{Site, failing, time, view};

#[tokio::test]
async fn nothing_fails_is_said_in_one_sentence() {
    let site = Site::new();
    let mut browser = site.admin().await;
    assert!(browser.get("/").await.body.contains("There are no checks yet"));
    site.board.put(view("a"));
    site.board.put(view("b"));
    assert!(browser.get("/").await.body.contains("All clear: 2 checks pass"));
}

#[tokio::test]
async fn what_fails_stands_first_with_its_reason() {
    let site = Site::new();
    let mut broken = failing("web", "wanted status 200, got 500");
    broken.state.log = vec!["line one".into(), "line two".into()];
    let mut sequence = failing("all", "web fails");
    sequence.kind = "sequence".into();
    sequence.members = vec![broken.name.clone()];
    let mut paused = view("quiet");
    paused.state.cover = Some(Cover::Paused);
    let fault = Fault::error("checks.x.type", "`pign` is no type of check", "`ping`");
    site.board.replace(vec![sequence, view("ram"), paused, broken], vec![fault]);
    site.board.put_agent(AgentView {
        id: AgentId::try_from("barn").expect("an id"),
        online: false,
        since: time("2026-11-23T03:20:00Z"),
        info: Info { host: "barn.example".into(), version: "0.1.0".into(), ..Info::default() },
        clock_ahead: Some(-90),
    });
    let page = site.admin().await.get("/").await.body;
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is not in {page}"));
    assert!(page.contains("1 part of the configuration does not run"));
    assert!(page.contains("1 check fails, 1 agent is offline"));
    assert!(at("`pign` is no type of check") < at("barn is away since 23 Nov 2026 13:50 ACDT"));
    assert!(at("barn is away") < at("wanted status 200, got 500"));
    assert!(at("line one\nline two") < at("All checks"));
    assert!(at("its clock is 90 s behind") < at("All checks"));
    assert_eq!(
        page.matches("<article").count(),
        2,
        "the sequence says nothing more than its member"
    );
    assert!(at("All checks") < at("data-name=\"quiet\""));
}

#[tokio::test]
async fn a_check_whose_phases_have_no_sum_is_shown() {
    let site = Site::new();
    let mut check = view("slow");
    let phase = |name: &str| Phase { name: name.into(), took: Duration::MAX };
    check.state.phases = vec![phase("dns"), phase("tls")];
    let address = crate::web::page::check_address(check.name.as_str());
    site.board.put(check);
    assert_eq!(site.admin().await.get(&address).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_agent_that_is_away_needs_attention_once() {
    let site = Site::new();
    let barn = AgentId::try_from("barn").expect("an id");
    let mut presence =
        failing("agent barn", "barn is away since 13:50: it was stopped, or its connection broke");
    let mut stale = view("barn/root");
    stale.state.cover = Some(Cover::Stale("barn is away".into()));
    for (check, kind) in [(&mut presence, "agent"), (&mut stale, "disk")] {
        check.kind = "remote".into();
        check.sub_kind = Some(kind.into());
        check.agent = Some(barn.clone());
    }
    site.board.replace(vec![presence, stale, view("ram")], Vec::new());
    site.board.put_agent(AgentView {
        id: barn,
        online: false,
        since: time("2026-11-23T03:20:00Z"),
        info: Info::default(),
        clock_ahead: None,
    });
    let page = site.admin().await.get("/").await.body;
    assert_eq!(page.matches("<article").count(), 1, "{page}");
    assert!(page.contains("1 agent is offline and 1 check is stale"));
    assert!(
        page.contains("it was stopped, or its connection broke")
            && page.contains("its check is stale")
    );
}

#[tokio::test]
async fn a_check_has_everything_on_its_page() {
    let site = Site::new();
    let mut check = failing("web", "wanted status 200, got 500");
    check.state.level = Some("42 days".into());
    check.state.log = vec!["HTTP/1.1 500".into()];
    let phase = |name: &str, ms| Phase { name: name.into(), took: Duration::from_millis(ms) };
    check.state.phases = vec![phase("dns", 3), phase("tls", 40)];
    check.depends = vec![CheckName::try_from("the/router").expect("a name")];
    check.next = Some(time("2026-11-23T03:31:00Z"));
    check.grade = Severity::Warning;
    site.board.put(check);
    let page = site.admin().await.get("/check/web").await.body;
    for text in [
        "wanted status 200, got 500",
        "42 days",
        "HTTP/1.1 500",
        "40 ms",
        "/check/the%2Frouter",
        "23 Nov 2026 13:30 ACDT",
        "23 Nov 2026 14:01 ACDT",
        "Run now",
        "<dt>A failure is</dt><dd>a warning</dd>",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(!page.contains("Delete"), "it stands in the file");
}

#[tokio::test]
async fn run_and_delete_reach_the_engine() {
    let mut site = Site::new();
    let mut remote = view("a b");
    remote.added = true;
    site.board.put(remote);
    let mut browser = site.admin().await;
    assert!(browser.get("/check/a%20b").await.body.contains("Delete a b"));
    let token = browser.token().await;
    let engine = tokio::spawn(async move {
        let mut asked = Vec::new();
        while let Some((request, answer)) = site.inbox.requests.recv().await {
            let refuse = matches!(&request, Asked::Run(name) if name.as_str() == "far");
            asked.push(format!("{request:?}"));
            let answered = answer.send(if refuse {
                Err(Refused::NotHere("it runs at agent `barn`".into()))
            } else {
                Ok(())
            });
            answered.expect("somebody waits");
            if asked.len() == 3 {
                break;
            }
        }
        asked
    });
    let order = |name| [("token", token.as_str()), ("check", name)];
    let answer = browser.post("/run", &order("a b")).await;
    assert_eq!(answer.headers[header::LOCATION], "/check/a%20b");
    let answer = browser.post("/delete", &order("a b")).await;
    assert_eq!(answer.headers[header::LOCATION], "/");
    let answer = browser.post("/run", &order("far")).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body.contains("it runs at agent `barn`"), "{}", answer.body);
    let asked = engine.await.expect("the engine");
    assert_eq!(asked, ["Run(\"a b\")", "Delete(\"a b\")", "Run(\"far\")"]);
    // The engine is gone now.
    let answer = browser.post("/run", &order("a b")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let health = browser.get("/healthz").await;
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.body, r#"{"status":"stopped"}"#);
}

#[tokio::test]
async fn what_is_only_heard_of_has_no_button_that_would_do_nothing() {
    let mut site = Site::new();
    for (name, kind) in [("v1", "remote"), ("backup", "push")] {
        let mut heard = failing(name, "nothing was heard");
        heard.kind = kind.into();
        site.board.put(heard);
    }
    site.board.put(failing("web", "no"));
    let mut browser = site.admin().await;
    let overview = browser.get("/").await.body;
    assert_eq!(overview.matches("Run again").count(), 1, "{overview}");
    assert!(browser.get("/check/web").await.body.contains("Run now"));
    let token = browser.token().await;
    for name in ["v1", "backup"] {
        let page = browser.get(&format!("/check/{name}")).await.body;
        assert!(!page.contains("Run now"), "{page}");
        let answer = browser.post("/run", &[("token", &token), ("check", name)]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(answer.body.contains("runs elsewhere"), "{}", answer.body);
    }
    assert!(site.inbox.requests.try_recv().is_err(), "the engine is not bothered");
}

#[tokio::test]
async fn health_needs_no_login_and_tells_nothing_else() {
    let site = Site::new();
    site.board.put(failing("secret", "secret"));
    let answer = site.browser().ask(Request::get("/healthz"), Body::empty()).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn every_answer_has_the_headers_and_every_fault_a_page() {
    let site = Site::new();
    let mut browser = site.admin().await;
    let css = browser.get("/").await.body;
    let css = css.split('"').find(|text| text.ends_with(".css")).expect("a style").to_owned();
    let cases = [
        ("/", StatusCode::OK),
        (css.as_str(), StatusCode::OK),
        ("/status", StatusCode::OK),
        ("/healthz", StatusCode::OK),
        ("/checks", StatusCode::SEE_OTHER),
        ("/check/none", StatusCode::NOT_FOUND),
        ("/check?name=none", StatusCode::NOT_FOUND),
        ("/check", StatusCode::BAD_REQUEST),
        ("/check/%FF", StatusCode::BAD_REQUEST),
        ("/static/0/page.css", StatusCode::NOT_FOUND),
        ("/nothing", StatusCode::NOT_FOUND),
        ("/run", StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (address, status) in cases {
        let answer = browser.get(address).await;
        assert_eq!(answer.status, status, "{address}: {}", answer.body);
        let header = |name: &str| answer.headers[name].to_str().expect("text").to_owned();
        assert!(
            header("content-security-policy").starts_with("default-src 'none'; script-src 'self'")
        );
        assert_eq!(header("strict-transport-security"), "max-age=31536000");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cross-origin-embedder-policy"), "require-corp");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        let kept = if address == css { "public, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(header("cache-control"), kept, "{address}");
        if status.is_client_error() {
            assert!(
                answer.body.contains("<a href=\"/\">To the overview</a>"),
                "{address}: {}",
                answer.body
            );
        }
    }
    let answer = site.browser().get("/nothing").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.headers.contains_key("content-security-policy"));
}

#[tokio::test]
async fn pages_have_nothing_inline_that_the_policy_would_block() {
    let site = Site::new();
    let mut check = failing("web", "wanted status 200, got 500");
    check.state.phases = vec![Phase { name: "dns".into(), took: Duration::from_millis(3) }];
    site.board.put(check);
    let mut browser = site.admin().await;
    for address in ["/", "/check/web", "/nothing"] {
        let page = browser.get(address).await.body;
        for inline in [" style=", "<style", " onclick", "javascript:", "<script>"] {
            assert!(!page.contains(inline), "{inline} in {address}");
        }
    }
}

#[tokio::test]
async fn without_a_script_the_filter_is_a_request() {
    let site = Site::new();
    site.board.put(view("alpha"));
    site.board.put(failing("beta", "no"));
    let page = site.admin().await.get("/?q=fail%20BET").await.body;
    assert!(page.contains("data-name=\"beta\"") && !page.contains("data-name=\"alpha\""), "{page}");
}
