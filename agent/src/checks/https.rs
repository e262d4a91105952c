//! `https`: a web server that answers, with a certificate that is good for a while.

mod answer;
mod ask;
mod expect;
mod place;
pub(super) mod properties;
mod request;
mod secret;
mod status;
mod version;

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::time::Instant;

pub(super) use self::ask::{HEAD_BYTES, beside, wrong};
pub(super) use self::place::Place;
pub(super) use self::secret::note;
use self::{expect::Expect, request::Ask, version::Versions};
use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    content::JSON_IS,
    limit::WARN_ALERTS,
    net::{self, GRACE, IdentityFiles, Offer, Reach, Steps, Talk, TalkError, Tls, converse},
};

/// Most redirects that are followed.
const REDIRECTS: f64 = 20.0;

/// The entry of `https` in the table.
pub const KIND: Kind = Kind {
    name: "https",
    summary: "a web server that answers, and its certificate",
    options: &[
        net::HOSTNAME,
        Opt::port("443, or 80 without tls"),
        net::timeout("10"),
        net::IP_VERSION,
        Opt::flag("tls", "true", "false: plain HTTP"),
        net::SELFSIGNED,
        net::CAFILE,
        net::SERVER_NAME,
        net::DAYS,
        net::WARN_DAYS,
        Opt::text(
            "reqType",
            "HEAD, or GET to see a body, or POST to send one",
            "method of the request",
        ),
        Opt::text("reqPath", "/", "path of the request"),
        request::REQ_BODY,
        request::HEADERS,
        request::USERNAME,
        request::PASSWORD,
        request::TOKEN,
        net::CLIENT_CERT,
        net::CLIENT_KEY,
        version::HTTP,
        Opt::number("redirects", "0", "redirects that are followed, at most"),
        status::STATUS,
        expect::EXPECT_HEADERS,
        expect::CONTAINS,
        expect::LACKS,
        expect::MATCHES,
        expect::JSON_PATH,
        JSON_IS,
        expect::MAX_MS,
        expect::WARN_MS,
        WARN_ALERTS,
    ],
    answers: Answers {
        proves: "The name leads to a server, the server completes a TLS handshake with a certificate that is good for a \
                 week or more, and answers a request.",
        leaves_open: "Without `status` any status counts as an answer, 500 too, as in the original; without `contains`, \
                      `matches` or `jsonPath` the page may be empty or an error dressed up as one. Of a body the first \
                      256 KiB are looked at, and a longer one is not read as JSON.",
        failure: "The sentence names the step that failed: no address, no connection, no TLS, a certificate that is not \
                  good, an answer that is none, or one that is not what was expected, with what came instead.",
        matters: "`status`, best `below 400`; `reqPath` for a page that says how the application is, and `jsonPath` for \
                  what it says; `cafile` for a private authority. A `jsonPath` best leads straight to its value, as in \
                  `$.queue.length`: some thousand values on its way are too many. It has one `..` at most, outside of filters; \
                  within a filter `$` leads to one place, and a pattern of `match` or `search` is short and without `{`.",
    },
    example: r#"{"type": "https", "trigger": {"interval": {"minutes": 5}}, "retries": 2, "options": {"hostname": "www.example.org", "reqPath": "/health", "status": "below 400", "jsonPath": "$.status", "jsonIs": "ok"}}"#,
    build,
};

#[derive(Debug)]
struct Https {
    place: Place,
    ask: Ask,
    /// What is demanded of a certificate wherever a redirect leads.
    demands: Tls,
    versions: Versions,
    redirects: usize,
    expect: Expect,
    alerts: bool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Https::read(options)?)))
}

impl Https {
    fn read(options: &mut Options<'_>) -> Option<Self> {
        let (place, mut demands) = Place::read(options);
        let versions = Versions::read(options);
        let identity = IdentityFiles::read(options);
        let expect = Expect::read(options);
        let redirects = options.number("redirects", 0.0..=REDIRECTS, "redirects").unwrap_or(0.0);
        let ask = Ask::read(options, expect.wants_body());
        let mut place = place?;
        if identity.is_some() || !versions.protocols().is_empty() {
            demands = demands.offering(Offer::new(versions.protocols(), identity));
            place.tls = place.tls.is_some().then(|| demands.clone());
        }
        let redirects = redirects as usize;
        let alerts = options.flag("warnAlerts", false);
        Some(Self { place, ask: ask?, demands, versions, redirects, expect, alerts })
    }
}

#[async_trait]
impl Probe for Https {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await.alerting(self.alerts)
    }

    fn limit(&self) -> Duration {
        self.place.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Https {
    fn reach(&self) -> &Reach {
        &self.place.reach
    }

    fn service(&self) -> String {
        self.place.url()
    }

    fn waited(&self, _: &str) -> String {
        "it was connected and asked, and its answer did not come to its end".into()
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let began = Instant::now();
        self.ask.hide(steps);
        let (mut place, mut ask) = (Cow::Borrowed(&self.place), Cow::Borrowed(&self.ask));
        let mut asked = format!("{} {}", ask.method, place.url());
        for followed in 0.. {
            let answer = self.ask(&place, &ask, look, steps).await?;
            let Some(location) = answer.leads().filter(|_| self.redirects > 0) else {
                let judged = self.expect.judge(&answer, began.elapsed());
                return Ok(answer.outcome(&asked, judged, &place, look));
            };
            if followed == self.redirects {
                break;
            }
            let next = place.redirected(location, &self.demands).map_err(TalkError::Wrong)?;
            let stays = next.same_origin(&self.place);
            ask = Cow::Owned(ask.redirected(answer.status, stays).map_err(TalkError::Wrong)?);
            asked =
                format!("{} {} led to {}, which", self.ask.method, self.place.url(), next.url());
            place = Cow::Owned(next);
        }
        let place = place.url();
        Err(TalkError::Wrong(format!(
            "it redirects more than {} times, to {place}",
            self.redirects
        )))
    }
}

#[cfg(test)]
mod tests;
