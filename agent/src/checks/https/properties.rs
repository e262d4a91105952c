//! What must hold of what web servers answer, and of what is expected of them. See [`crate::checks::properties`].

use std::time::Duration;

use fletchck_shared::Outcome;
use http::{StatusCode, Version};
use serde_json::json;
use url::Url;

use super::{
    Https, KIND,
    ask::{BROKEN_OFF, NO_HTTP},
    place::Place,
    status::Statuses,
};
use crate::checks::{
    Options,
    content::json::Expected,
    net::{Steps, failed},
    properties::{Scripted, converse, fit, look, made},
};

/// An answer. The first byte says how long the pieces are that the rest comes in.
pub fn http_answer(bytes: &[u8]) {
    let Some((piece, said)) = bytes.split_first() else { return };
    let options = json!({
        "hostname": "www.example.org", "tls": false, "redirects": 1, "status": "below 400", "contains": "o",
        "expectHeaders": { "Server": "" }, "jsonPath": "$.status", "jsonIs": "!= down",
    });
    let https = made(&KIND, &options, Https::read);
    converse(said, usize::from(*piece), async |server: Scripted| {
        broken_off(spoken(&https, server.when_asked()).await)
    });
}

/// What is no HTTP told as what breaks off. hyper judges a head that comes at once before it sees that it has no end, and
/// reads one that comes in pieces to its end before it judges it.
fn broken_off(mut outcome: Outcome) -> Outcome {
    let told = [&mut outcome.text].into_iter().chain(&mut outcome.log);
    for text in told {
        *text = text.replace(NO_HTTP, BROKEN_OFF);
    }
    outcome
}

/// A field `Location`, seen from a place with TLS and from one without.
pub fn http_redirect(bytes: &[u8]) {
    for (tls, host) in [(true, "www.example.org"), (false, "fe80::1%7")] {
        let options = json!({ "hostname": host, "port": 8443, "tls": tls, "reqPath": "/a/b?c" });
        let from = made(&KIND, &options, Https::read);
        let Ok(to) = from.place.redirected(bytes, &from.demands) else { continue };
        assert!(to.tls.is_some() || !tls, "{} is not encrypted", to.url());
        let url = to.url();
        assert!(Url::parse(&url).is_ok(), "{url}");
        fit(&url);
        let again = to.redirected(url.as_bytes(), &from.demands).map(|place: Place| place.url());
        assert_eq!(again, Ok(url));
    }
}

/// A path, what is expected there, and a body, each on a line of its own.
pub fn json_path(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let [path, is] = [part(), part()].map(String::from_utf8_lossy);
    let body = part();
    let options = json!({ "jsonPath": path, "jsonIs": is });
    let options = options.as_object().expect("made so");
    let (expected, faults) = Options::read(options, KIND.options, Expected::read);
    let Some(expected) = expected else {
        return faults.iter().for_each(|fault| assert!(!fault.wrong.is_empty()));
    };
    let words = match expected.judge(body, "its body") {
        Ok(found) => {
            let number = found.number.as_deref().map(str::parse::<f64>);
            assert!(number.is_none_or(|number| number.is_ok_and(f64::is_finite)));
            found.text
        }
        Err(wrong) => wrong,
    };
    assert!(words.len() < path.len() + 400, "{words}");
    fit(&words);
}

/// Statuses that are good.
pub fn status_list(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let read = |status: &str| {
        let options = json!({ "status": status });
        let options = options.as_object().expect("made so");
        Options::read(options, KIND.options, |options| Some(Statuses::read(options))).0
    };
    let Some(statuses) = read(&text) else { return };
    let again = read(&statuses.to_string()).expect("it is written as it is read");
    let every = read("any").expect("it is always good");
    for status in (100..=999).filter_map(|code| StatusCode::from_u16(code).ok()) {
        assert_eq!(statuses.take(status), again.take(status));
        assert!(every.take(status));
    }
}

async fn spoken(https: &Https, server: Scripted) -> Outcome {
    let mut steps = Steps::default();
    let place = &https.place;
    let answer = https.exchange(server, Version::HTTP_11, None, place, &https.ask, &mut steps);
    let outcome = match answer.await {
        Err(error) => failed(https, &error),
        Ok(answer) => match answer.leads() {
            Some(location) => match place.redirected(location, &https.demands) {
                Ok(next) => Outcome::pass(next.url()),
                Err(wrong) => Outcome::fail(wrong),
            },
            None => {
                let judged = https.expect.judge(&answer, Duration::ZERO);
                answer.outcome("GET", judged, place, &look())
            }
        },
    };
    steps.complete(outcome)
}
