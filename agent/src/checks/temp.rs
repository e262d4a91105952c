//! `temp`: the temperature of a probe by Comet on the network.

mod event;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use http::StatusCode;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    limit::{Limit, Scale, WARN, WARN_ALERTS},
    net::{self, GRACE, Reach, Steps, Talk, TalkError, converse},
    web::{self, Wanted},
};
pub(super) use event::temperature;

/// The entry of `temp` in the table.
pub const KIND: Kind = Kind {
    name: "temp",
    summary: "the temperature of a probe by Comet on the network",
    options: &[
        net::HOSTNAME,
        Opt::port("80"),
        net::timeout("10"),
        net::IP_VERSION,
        Opt::number("temperature", "50", "limit of the temperature, °C"),
        Opt::number(
            "hysteresis",
            "2",
            "a failing check passes once it is this far below the temperature, °C",
        ),
        WARN,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The probe answers over HTTP, and its first channel is not over the temperature.",
        leaves_open: "The probe's other channels, and how warm it is where no probe is. Too cold is no failure.",
        failure: "The sentence says the temperature and the limit, or why there is none: the probe is away, or its page \
                  `/event.xml` has no temperature in `all/vs1`, as with a broken sensor.",
        matters: "`temperature`: some degrees above the warmest day that was still well; `warn` for the time to act.",
    },
    example: r#"{"type": "temp", "trigger": {"interval": {"minutes": 5}}, "retries": 2, "options": {"hostname": "probe.example.org", "temperature": 35, "warn": 30}}"#,
    build,
};

/// A temperature.
static CELSIUS: Scale = Scale {
    option: "temperature",
    counts: "degrees Celsius",
    range: (-100.0, 1000.0),
    seen: degrees,
    chosen: |degrees| format!("{degrees}°C"),
    level: degrees,
};

/// Largest document that is read, in bytes. A probe's has a few thousand.
const MOST: usize = 64 * 1024;

const PATH: &str = "/event.xml";

struct Temp {
    reach: Reach,
    limit: Limit,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let reach = Reach::read(options, 80, 10);
    let limit = Limit::read(options, &CELSIUS, 50.0, 2.0);
    Some(Plan::Probe(Arc::new(Temp { reach: reach?, limit })))
}

#[async_trait]
impl Probe for Temp {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Temp {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        format!("the probe at {}", self.reach.place())
    }

    fn waited(&self, _: &str) -> String {
        format!("it was connected and asked for {PATH}, and that did not come to its end")
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let stream = self.reach.connect(steps).await?;
        let host = self.reach.target.authority(Some(self.reach.port).filter(|port| *port != 80));
        let wanted = Wanted { host: &host, path: PATH, accept: "*/*", most: MOST };
        let document = web::get(stream, &wanted, steps).await?;
        if document.status != StatusCode::OK {
            let status = document.status;
            return Err(TalkError::Wrong(format!("{PATH} was answered {status}, wanted 200")));
        }
        let celsius =
            temperature(&document.body).map_err(|error| TalkError::Wrong(error.to_string()))?;
        let target = &self.reach.target;
        let log = format!("{target}: {} {}", degrees(celsius), self.limit.target());
        let what = format!("the temperature at {target}");
        Ok(self.limit.judge(&what, celsius, "", look.before).log([log]))
    }
}

/// A temperature as levels carry it, `"54.0°C"`.
pub(super) fn degrees(celsius: f64) -> String {
    format!("{celsius:.1}°C")
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::checks::{
        Before,
        testing::{faults, look_after, probe},
    };

    /// A look at a probe that answers so, after a look that stood like this.
    async fn look(answer: String, more: Value, before: &Before) -> Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer.as_bytes()).await.ok();
        });
        let mut options = json!({"hostname": "127.0.0.1", "port": port});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let mut outcome = look_after(&*probe("temp", options), before).await;
        outcome.text = outcome.text.replace(&port.to_string(), "PORT");
        outcome
    }

    fn page(body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    fn reads(value: &str) -> String {
        page(&format!("<root><all><vs1>{value}</vs1></all></root>"))
    }

    #[tokio::test]
    async fn a_temperature_is_judged_as_the_original_does() {
        let passing = Before::default();
        let failing = Before { failing: true, ..Before::default() };
        for (value, before, verdict, level) in [
            ("23.4°C", &passing, Verdict::Pass, "23.4°C"),
            ("50°C", &passing, Verdict::Pass, "50.0°C"),
            ("50.1°C", &passing, Verdict::Fail, "50.1°C"),
            ("48°C", &failing, Verdict::Fail, "48.0°C"),
            ("47.9°C", &failing, Verdict::Pass, "47.9°C"),
            ("-12.25°C", &passing, Verdict::Pass, "-12.2°C"),
        ] {
            let outcome = look(reads(value), json!({}), before).await;
            assert_eq!(outcome.verdict, verdict, "{outcome:?}");
            assert_eq!(outcome.level.as_deref(), Some(level));
            assert_eq!(outcome.log, [format!("127.0.0.1: {level} Target: 50°C")]);
        }
        let outcome = look(reads("31°C"), json!({"temperature": 35, "warn": 30}), &passing).await;
        assert!(outcome.warning && outcome.verdict == Verdict::Pass);
        assert_eq!(
            outcome.text,
            "the temperature at 127.0.0.1 is 31.0°C, over the warning at 30°C (limit 35°C)"
        );
    }

    #[tokio::test]
    async fn an_answer_without_a_temperature_fails() {
        for (answer, words) in [
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
                "/event.xml was answered 404 Not Found, wanted 200",
            ),
            (page("<root/>"), "there is no `all/vs1` in its event.xml: is it a probe by Comet?"),
            (reads("Error"), "`all/vs1` in its event.xml is `Error`, no temperature in °C"),
            (page(&"a".repeat(MOST + 1)), "it sent more than 64 KiB"),
            (
                reads("5°C").replace("Length: ", "Length: 9"),
                "connection closed by the other side before its answer was complete",
            ),
            ("220 ESMTP\r\n".to_owned(), "what it answers is no HTTP"),
        ] {
            let outcome = look(answer, json!({}), &Before::default()).await;
            assert_eq!(outcome.verdict, Verdict::Fail);
            assert_eq!(outcome.text, format!("the probe at 127.0.0.1:PORT: {words}"));
            assert_eq!(outcome.level, None);
        }
    }

    #[test]
    fn a_temperature_is_a_number() {
        let options = json!({"hostname": "a", "temperature": "40", "hysteresis": -1});
        assert_eq!(faults("temp", options), ["temperature", "hysteresis"]);
        assert_eq!(faults("temp", json!({"hostname": "a", "temperature": -18})), [""; 0]);
    }
}
