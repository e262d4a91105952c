//! Names, sentences and logs are any text. None may become part of a page's own language.

use axum::{
    body::{Body, HttpBody as _},
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use proptest::prelude::*;

use super::client::{Browser, Site, failing};
use crate::web::page::check_address;

/// Every page is well formed for each text: what comes from outside is escaped in texts and attributes.
fn texts() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</pre></li></details>",
        "&lt;b&gt;",
        "{{ 7 * 7 }}",
        "a/b?c#d%2F..",
        ".",
        "..",
        "Дверь ☃ \"q\"",
        "\u{202e}gnp.exe",
    ]);
    prop_oneof![nasty.prop_map(str::to_owned), "[^\\p{Cc}]{1,60}", "[<>\"'&/\\\\ a]{1,30}",]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_name_is_shown_as_it_is(name in texts(), text in texts()) {
        prop_assume!(fletchck_shared::CheckName::try_from(name.as_str()).is_ok());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(shown(&name, &text));
    }
}

async fn shown(name: &str, text: &str) {
    let site = Site::new();
    let mut browser = site.admin().await;
    tokio::time::pause();
    let mut check = failing(name, text);
    check.added = true;
    check.kind = text.into();
    check.notice = Some(text.into());
    check.state.log = vec![text.into(), name.into()];
    check.state.level = Some(text.into());
    check.state.soft_fail = Some(text.into());
    check.depends = vec![check.name.clone()];
    check.members = vec![check.name.clone()];
    site.board.put(check);

    let address = check_address(name);
    for page in ["/", address.as_str()] {
        let answer = browser.get(page).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        let tags = |tag: &str| answer.body.matches(tag).count();
        assert_eq!((tags("<script"), tags("<script src=\"/static/")), (1, 1), "{}", answer.body);
        assert_eq!((tags("<img"), tags("<article")), (0, 1), "{}", answer.body);
        assert_eq!(tags("<pre"), tags("</pre"), "{}", answer.body);
        assert_eq!(attribute_quotes(&answer.body), Ok(()), "{}", answer.body);
        assert!(unescape(&answer.body).contains(name));
    }
    let status = browser.get("/status").await.body;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["checks"][name]["failState"], true);
    assert_eq!(events(&mut browser, &site, name).await, name);
}

/// The name of the check in the first row that the stream sends, as a script reads it.
async fn events(browser: &mut Browser, site: &Site, name: &str) -> String {
    let stamp = site.state.stamp();
    let request = Request::get(format!("/events?since={stamp}"));
    let mut body = browser.send(request, Body::empty()).await.into_body();
    assert!(!body.is_end_stream());
    site.board.put(failing(name, "changed"));
    let mut stream = String::new();
    while !stream.contains("\n\n") {
        let frame = body.frame().await.expect("an event").expect("no error");
        stream.push_str(&String::from_utf8_lossy(&frame.into_data().expect("data")));
    }
    let data = stream.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    data["rows"][0][0].as_str().expect("a name").to_owned()
}

/// Every tag's quotes are in pairs, and no tag has a `<` in an attribute.
fn attribute_quotes(html: &str) -> Result<(), String> {
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').ok_or_else(|| format!("<{tag} is not closed"))?;
        if tag.matches('"').count() % 2 != 0 {
            return Err(format!("<{tag}> has a quote too many"));
        }
    }
    Ok(())
}

fn unescape(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}
