//! What streams of changes send, and when they end. Time is paused once somebody is logged in: a password is checked on
//! a thread that the paused clock would not wait for.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{pause, resume};

use super::client::{Browser, Site, failing, view};

/// One stream, read event by event.
struct Stream {
    body: Body,
    rest: String,
}

impl Stream {
    async fn open(browser: &mut Browser, query: &str) -> Self {
        let response = browser.send(Request::get(format!("/events?{query}")), Body::empty()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), rest: String::new() }
    }

    /// The next event's name and data; `None` at the end. Comments are skipped.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.rest.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.rest = rest;
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(name) = field("event: ") {
                    let data = field("data: ")
                        .map_or(Value::Null, |data| serde_json::from_str(data).expect("JSON"));
                    return Some((name.to_owned(), data));
                }
                continue;
            }
            let frame = self.body.frame().await?.expect("no error");
            let data = frame.into_data().expect("data");
            self.rest.push_str(std::str::from_utf8(&data).expect("text"));
        }
    }
}

#[tokio::test]
async fn a_burst_is_one_event_with_what_differs() {
    let site = Site::new();
    site.board.put(view("a"));
    site.board.put(view("b"));
    let mut browser = site.admin().await;
    pause();
    let mut stream = Stream::open(&mut browser, &format!("since={}", site.state.stamp())).await;
    for n in 0..10_000 {
        site.board.put(failing("b", &format!("seen {n}")));
    }
    let (name, change) = stream.next().await.expect("an event");
    assert_eq!(name, "update");
    assert_eq!(change["summary"]["text"], "1 check fails");
    assert_eq!(change["rows"].as_array().expect("rows").len(), 1);
    assert!(change["rows"][0][1].as_str().expect("html").contains("seen 9999"));
    assert!(change["cards"].as_str().expect("html").contains("seen 9999"));
    assert!(change.get("agents").is_none());
    // What did not change is not sent: the next event is about the next change.
    site.board.put(failing("b", "seen 9999"));
    site.board.put(view("b"));
    let (_, change) = stream.next().await.expect("an event");
    assert_eq!(change["summary"]["text"], "All clear: 2 checks pass");
}

#[tokio::test]
async fn a_page_that_is_behind_gets_itself_anew() {
    let site = Site::new();
    let mut browser = site.admin().await;
    pause();
    let old = site.state.stamp();
    site.board.put(view("a"));
    let mut stream = Stream::open(&mut browser, &format!("since={old}")).await;
    assert_eq!(stream.next().await.expect("an event").0, "reload");
    site.board.put(view("b"));
    assert_eq!(stream.next().await.expect("an event").0, "reload");
}

#[tokio::test]
async fn one_check_is_followed_alone() {
    let site = Site::new();
    site.board.put(view("a b"));
    let mut browser = site.admin().await;
    pause();
    let query = format!("check=a%20b&since={}", site.state.stamp());
    let mut stream = Stream::open(&mut browser, &query).await;
    site.board.put(view("another"));
    site.board.put(failing("a b", "no answer"));
    let (name, change) = stream.next().await.expect("an event");
    assert_eq!(name, "update");
    assert!(change["detail"].as_str().expect("html").contains("no answer"));
    site.board.remove(&view("a b").name);
    assert_eq!(stream.next().await.expect("an event").0, "reload");
}

#[tokio::test]
async fn a_stream_ends_with_its_login_and_with_the_server() {
    let site = Site::new();
    let mut browser = site.admin().await;
    let mut other = site.admin().await;
    pause();
    let query = format!("since={}", site.state.stamp());
    let mut stream = Stream::open(&mut browser, &query).await;
    let mut stays = Stream::open(&mut other, &query).await;
    let token = browser.token().await;
    browser.post("/logout", &[("token", &token)]).await;
    assert_eq!(stream.next().await.expect("an event").0, "bye");
    assert!(stream.next().await.is_none());
    site.board.put(view("a"));
    assert_eq!(stays.next().await.expect("an event").0, "reload");
    site.later(chrono::TimeDelta::days(2));
    assert_eq!(stays.next().await.expect("an event").0, "bye");

    resume();
    let mut third = site.admin().await;
    pause();
    let mut stream = Stream::open(&mut third, &format!("since={}", site.state.stamp())).await;
    site.state.stop().cancel();
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn streams_are_bounded_and_their_places_given_back() {
    let site = Site::new();
    let mut browser = site.admin().await;
    pause();
    let query = format!("/events?since={}", site.state.stamp());
    let mut open = Vec::new();
    loop {
        let response = browser.send(Request::get(&query), Body::empty()).await;
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert!(response.headers().contains_key("retry-after"));
            break;
        }
        open.push(response);
        assert!(open.len() < 1000, "streams have no bound");
    }
    open.pop();
    let response = browser.send(Request::get(&query), Body::empty()).await;
    assert_eq!(response.status(), StatusCode::OK);
}
