//! Who gets in, how long, and who does not.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use chrono::TimeDelta;
use fletchck_shared::Secret;

use super::client::{Browser, HUNTER2_AGAIN, Site};
use crate::web::Settings;

async fn inside(browser: &mut Browser) -> bool {
    let answer = browser.get("/").await;
    match answer.status {
        StatusCode::OK => true,
        StatusCode::SEE_OTHER => {
            assert_eq!(answer.headers[header::LOCATION], "/login");
            false
        }
        other => panic!("{other}: {}", answer.body),
    }
}

#[tokio::test]
async fn a_right_password_opens_the_site_and_a_strict_cookie_keeps_it_open() {
    let site = Site::new();
    let mut browser = site.browser();
    assert!(!inside(&mut browser).await);
    let form = [("username", "admin"), ("password", "hunter2"), ("next", "/check/a%2Fb")];
    let answer = browser.post("/login", &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers[header::LOCATION], "/check/a%2Fb");
    let cookie = answer.headers[header::SET_COOKIE].to_str().expect("text");
    let (name, attributes) = cookie.split_once("; ").expect("attributes");
    assert!(name.starts_with("__Host-fletchck=") && name.len() == "__Host-fletchck=".len() + 43);
    // Two days, as with the original: without that, it ends with the browser.
    assert_eq!(attributes, "Max-Age=172800; Path=/; Secure; HttpOnly; SameSite=Strict");
    assert!(inside(&mut browser).await);
    assert_eq!(browser.get("/login").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn wrong_unknown_and_nameless_all_read_the_same() {
    let site = Site::new();
    let mut answers = Vec::new();
    for (user, password) in [("admin", "hunter3"), ("nobody", "hunter2"), ("", "hunter2")] {
        let mut browser = site.browser();
        let answer = browser.log_in(user, password).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{user:?}");
        assert!(answer.body.contains("Wrong user name or password"), "{}", answer.body);
        assert!(browser.cookie.is_none());
        answers.push(answer.body.replace(&format!("value=\"{user}\""), "value=\"\""));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn what_is_too_long_or_no_form_is_refused_before_any_hash() {
    let site = Site::new();
    let mut browser = site.browser();
    for (user, password) in [("x".repeat(257), "x".into()), ("admin".into(), "x".repeat(1025))] {
        let answer = browser.log_in(&user, &password).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.body.contains("at most 256 bytes"), "{}", answer.body);
    }
    let answer = browser.log_in("admin", &"x".repeat(20_000)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    for body in ["", "username=admin", "\u{0}"] {
        let request = Request::post("/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let answer = browser.ask(request, Body::from(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:?}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_down_and_told_how_long() {
    let site = Site::new();
    let mut browser = site.browser();
    for _ in 0..8 {
        assert_eq!(browser.log_in("admin", "guess").await.status, StatusCode::UNAUTHORIZED);
    }
    // The right password does not help either, or guessing on would still pay.
    let answer = browser.log_in("admin", "hunter2").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 =
        answer.headers[header::RETRY_AFTER].to_str().expect("text").parse().expect("a number");
    assert!((1..=16).contains(&wait), "{wait}");
    assert!(answer.body.contains(&format!("Wait {wait} seconds")), "{}", answer.body);
}

#[tokio::test]
async fn a_session_survives_a_restart_and_ends_with_its_time() {
    let mut site = Site::new();
    let cookie = site.admin().await.cookie;
    site.restart();
    let mut browser = Browser { cookie, ..site.browser() };
    assert!(inside(&mut browser).await);
    site.later(TimeDelta::hours(47));
    assert!(inside(&mut browser).await);
    site.later(TimeDelta::hours(1));
    assert!(!inside(&mut browser).await);
}

#[tokio::test]
async fn a_session_ends_on_logout_for_every_copy_of_its_cookie() {
    let mut site = Site::new();
    let mut browser = site.admin().await;
    let copy = browser.cookie.clone();
    let token = browser.token().await;
    let answer = browser.post("/logout", &[("token", &token)]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(browser.cookie.is_none());
    for _ in 0..2 {
        let mut thief = Browser { cookie: copy.clone(), ..site.browser() };
        assert!(!inside(&mut thief).await);
        site.restart();
    }
}

#[tokio::test]
async fn a_session_ends_when_the_password_changes_or_the_user_goes() {
    let site = Site::new();
    let another = Secret::new(HUNTER2_AGAIN);
    let changes: [fn(&mut Settings, Secret); 2] = [
        |settings, hash| _ = settings.users.insert("admin".into(), hash),
        |settings, _| _ = settings.users.shift_remove("admin"),
    ];
    for change in changes {
        let before = site.settings.load_full();
        let mut browser = site.admin().await;
        let mut settings = (*before).clone();
        change(&mut settings, another.clone());
        site.settings.store(Arc::new(settings));
        assert!(!inside(&mut browser).await);
        site.settings.store(before);
        // Not even the old password brings an ended session back.
        assert!(!inside(&mut browser).await);
    }
}

#[tokio::test]
async fn forms_of_others_are_refused() {
    let site = Site::new();
    let mut browser = site.admin().await;
    let mut other = site.admin().await;
    let stolen = other.token().await;
    for address in ["/run", "/delete", "/logout"] {
        for token in ["", "x", stolen.as_str()] {
            let answer = browser.post(address, &[("token", token), ("check", "a")]).await;
            let refused = [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&answer.status);
            assert!(refused, "{address} {token:?}: {}", answer.status);
        }
        let token = browser.token().await;
        let body = format!("token={token}&check=a");
        let request = Request::post(address)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, "https://evil.example");
        let answer = browser.ask(request, Body::from(body)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{address}");
        assert_eq!(browser.get(address).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(inside(&mut browser).await);
}

#[tokio::test]
async fn a_program_is_told_and_not_led_to_the_login() {
    let site = Site::new();
    for address in ["/status", "/events"] {
        let answer = site.browser().ask(Request::get(address), Body::empty()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{address}");
    }
    let answer = site.browser().get("/check/a%2Fb?x=%22").await;
    assert_eq!(answer.headers[header::LOCATION], "/login?next=%2Fcheck%2Fa%252Fb%3Fx%3D%2522");
}
