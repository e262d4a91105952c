//! What every answer says to browsers, errors included, and what every change must come with.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};

use super::page;

/// No source but this site, nothing inline, no frames, no plugins.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                   img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const ALWAYS: [(&str, &str); 9] = [
    ("content-security-policy", CSP),
    ("strict-transport-security", "max-age=31536000"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("x-permitted-cross-domain-policies", "none"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Adds the headers. What has no rule of its own is not to be kept by anyone: pages show the state of this moment.
pub(super) async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Puts the short refusals of the framework, a form that is too large for example, on a page like all others.
pub(super) async fn dress(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    // What was said in words of its own stays as it is.
    let said = response.extensions().get::<page::Sentence>().is_some();
    if said || !plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let sentence = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "What was sent is too large. Send less.",
        StatusCode::REQUEST_TIMEOUT => "This took too long. Try again in a minute.",
        _ => "The request was not complete or not readable. Go back and try again.",
    };
    page::error(status, sentence)
}

/// Refuses changes that another site's page asks for. The token in each form is the second lock; this one also guards
/// the login, which has no session yet.
pub(super) async fn same_site_only(request: Request, next: Next) -> Response {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if harmless || from_here(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    page::error(
        StatusCode::FORBIDDEN,
        "This was asked for by a page of another site, so nothing was done. Open this site itself and try again there.",
    )
}

/// Browsers name the origin of a request in `Sec-Fetch-Site`, and older ones in `Origin`, which `no-referrer` turns into
/// `null`. A client that sends neither is no browser, and no page can make it do things.
fn from_here(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| text("host"));
    let origin = match text("origin") {
        None | Some("null") => true,
        Some(origin) => origin
            .strip_prefix("https://")
            .is_some_and(|origin| host.is_some_and(|host| origin.eq_ignore_ascii_case(host))),
    };
    site && origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_site_may_ask_for_changes() {
        let cases = [
            (vec![], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://hub:8443")], true),
            (vec![("origin", "https://HUB:8443")], true),
            (vec![("origin", "https://hub")], false),
            (vec![("origin", "http://hub:8443")], false),
            (vec![("origin", "https://evil.example")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site"), ("origin", "null")], false),
            (vec![("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], false),
        ];
        for (given, allowed) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("hub:8443"));
            for (name, value) in &given {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(from_here(&headers, &Uri::from_static("/run")), allowed, "{given:?}");
        }
    }
}
