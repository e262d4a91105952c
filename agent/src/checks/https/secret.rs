//! Fields that carry a secret, which must not be told: those that are sent, and those that come back, cookies above all.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::checks::net::Steps;

/// Length of the shortest secret of an answer that is hidden wherever it is repeated. Shorter ones are words of every day.
const TELLING: usize = 8;

/// Whether a field is likely to carry a secret.
pub(super) fn is_secret(name: &HeaderName) -> bool {
    const SIGNS: [&str; 6] = ["auth", "cookie", "key", "token", "secret", "pass"];
    // These say how to log in, not with what.
    const OPEN: [HeaderName; 2] = [header::WWW_AUTHENTICATE, header::PROXY_AUTHENTICATE];
    !OPEN.contains(name) && SIGNS.iter().any(|sign| name.as_str().contains(sign))
}

/// A field of an answer as it may be told: `sid=****; Path=/`.
pub(super) fn told(name: &HeaderName, mut text: String) -> String {
    if let Some(secret) = secret(name, &text) {
        text.replace_range(secret, "****");
    }
    text
}

/// Notes the fields of an answer, and hides their secrets wherever the rest of it repeats them.
pub(in crate::checks) fn note(fields: &HeaderMap, steps: &mut Steps) {
    for (name, value) in fields {
        let text = lossy(value);
        if let Some(secret) = secret(name, &text).filter(|secret| secret.len() >= TELLING) {
            steps.hide(&text[secret]);
        }
        steps.got(&format!("{name}: {}", told(name, text)));
    }
}

/// A value as text.
pub(super) fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// Where the secret of a field stands. The name of a cookie and its attributes are none.
fn secret(name: &HeaderName, text: &str) -> Option<Range<usize>> {
    if !is_secret(name) {
        return None;
    }
    if name != header::SET_COOKIE {
        return Some(0..text.len());
    }
    let end = text.find(';').unwrap_or(text.len());
    let begin = text[..end].find('=').map_or(0, |at| at + 1);
    Some(begin..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_keeps_its_name_and_its_attributes() {
        for (name, text, want) in [
            ("set-cookie", "sid=abc=def; Path=/; Secure", "sid=****; Path=/; Secure"),
            ("set-cookie", "sid=abc", "sid=****"),
            ("set-cookie", "odd; a=b", "****; a=b"),
            ("set-cookie", "", "****"),
            ("x-auth-token", "abc", "****"),
            ("www-authenticate", "Basic realm=\"a\"", "Basic realm=\"a\""),
            ("server", "nginx", "nginx"),
        ] {
            let name = HeaderName::try_from(name).expect("a name");
            assert_eq!(told(&name, text.into()), want, "{name}: {text}");
        }
    }
}
