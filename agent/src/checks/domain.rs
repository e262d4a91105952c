//! `domain`: how long a domain is still registered for, as its registry says over RDAP.

mod known;
pub(super) mod properties;
mod rdap;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use http::{StatusCode, header};
use url::{Host, Url};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    https::Place,
    limit::WARN_ALERTS,
    net::{self, Days, GRACE, Reach, Steps, Talk, TalkError, Target, Tls, converse},
    web,
};
use known::Known;
use rdap::Registration;

/// The entry of `domain` in the table.
pub const KIND: Kind = Kind {
    name: "domain",
    summary: "how long a domain is still registered for, as its registry says over RDAP",
    options: &[
        Opt::text("domain", "required", "the domain as it is registered, with no host before it"),
        Opt::text(
            "server",
            SERVER,
            "address of an RDAP server; the default redirects to that of the registry",
        ),
        Opt::number("days", "14", "fewest days that it must still be registered for"),
        Opt::number("warn", "none", "days left below which a pass is a warning"),
        WARN_ALERTS,
        net::timeout("20"),
        net::IP_VERSION,
        net::SELFSIGNED,
        net::CAFILE,
    ],
    answers: Answers {
        proves: "The registry knows the domain, it is registered for the `days` or more, and it is neither deleted nor taken \
                 out of the DNS.",
        leaves_open: "Whether it is still registered to you, whether its renewal is paid, and whether its name servers answer. \
                      Some registries (that of `de`, for example) publish no end: there this check fails.",
        failure: "The sentence says when it expires or expired, or what its state means: ask your registrar at once, for a \
                  deleted domain can be restored for about a month at most. The level is the number of days left.",
        matters: "`days`, and `warn` for a time when renewing it is no hurry. Registries slow down those who ask often: an \
                  answer is used for a day while all is well, for an hour while not, and the sentence says how old it is.",
    },
    example: r#"{"type": "domain", "trigger": {"interval": {"hours": 12}}, "options": {"domain": "example.org", "days": 21, "warn": 45}}"#,
    build,
};

/// Where registries are found.
const SERVER: &str = "https://rdap.org/";

/// Largest answer that is read, in bytes.
const MOST: usize = 256 * 1024;

const ACCEPT: &str = "application/rdap+json, application/json";

#[derive(Debug)]
struct Domain {
    /// In ASCII and small letters.
    name: String,
    /// Where it is asked about.
    place: Place,
    demands: Tls,
    days: Days,
    /// Whether a warning is told.
    alerts: bool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let name = name(options);
    let server = server(options, name.as_deref().unwrap_or_default());
    let (target, port, path) = match server {
        Some((url, target, path)) => {
            let port = url.port_or_known_default().unwrap_or(443);
            (Some(target), Some((port, url.scheme() == "https")), Some(path))
        }
        None => (None, None, None),
    };
    let (port, encrypted) = port.unwrap_or((443, true));
    let reach = Reach::of(options, target, port, 20);
    let demands = Tls::trusting(options);
    let days = Days::read_or(options, 14.0);
    let alerts = options.flag("warnAlerts", false);
    let place = Place { reach: reach?, tls: encrypted.then(|| demands.clone()), path: path? };
    Some(Plan::Probe(Arc::new(Domain { name: name?, place, demands, days, alerts })))
}

fn name(options: &mut Options<'_>) -> Option<String> {
    let text = options.required_text("domain")?.trim_end_matches('.');
    let right = "a domain, as in `example.org`";
    // A name beyond ASCII becomes punycode, as it is registered.
    let name = match Host::parse(text) {
        Ok(Host::Domain(name)) if !text.contains('%') => name,
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => {
            options.fault("domain", "it is an address", right);
            return None;
        }
        _ => {
            options.fault("domain", "it is no name of a domain", right);
            return None;
        }
    };
    if !name.contains('.') || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        options.fault("domain", "it is no name that can be registered", right);
        return None;
    }
    Some(name)
}

/// The address of the server, its host, and the path of the question.
fn server(options: &mut Options<'_>, name: &str) -> Option<(Url, Target, http::Uri)> {
    let text = options.text("server").filter(|text| !text.is_empty()).unwrap_or(SERVER);
    let right = "an address, as in `https://rdap.org/`";
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let Some(url) = url else {
        options.fault("server", "it is no address of a web server", right);
        return None;
    };
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        options.fault("server", "it has more than scheme, host, port and path", right);
        return None;
    }
    let target = url.host_str().and_then(|host| Target::parse(host).ok());
    let path = format!("{}/domain/{name}", url.path().trim_end_matches('/')).parse().ok();
    if target.is_none() || path.is_none() {
        options.fault("server", "it names no host that can be asked", right);
    }
    Some((url, target?, path?))
}

#[async_trait]
impl Probe for Domain {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let kept = Known::kept(self, look);
        match kept.and_then(|kept| kept.instead(self, look)) {
            Some(outcome) => {
                let mut steps = Steps::default();
                steps.note(format!("* {} is not asked again so soon", self.place.url()));
                steps.complete(outcome)
            }
            None => converse(self, look).await,
        }
    }

    fn limit(&self) -> Duration {
        self.place.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Domain {
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
        let (document, place) =
            web::follow(&self.place, &self.demands, ACCEPT, MOST, look, steps).await?;
        let status = document.status;
        let from = match place.url() {
            url if url == self.place.url() => String::new(),
            url => format!("{url} "),
        };
        let patience = document.headers.get(header::RETRY_AFTER);
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                let name = &self.name;
                let text =
                    format!("{name} is not registered, {} has no such domain (404)", place.url());
                let log =
                    "A host such as www.example.org is none: give the domain as it is registered.";
                return Ok(Outcome::fail(text.clone()).soft_fail("domain").log([text, log.into()]));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                if status.as_u16() == 429 || patience.is_some() =>
            {
                let wait = patience.and_then(|value| value.to_str().ok()).unwrap_or("a while");
                steps.note(format!("* asks for patience: {wait}"));
                if let Some(kept) = Known::kept(self, look) {
                    return Ok(kept.for_now(self, look));
                }
                return Err(TalkError::Wrong(format!(
                    "{from}asks for patience ({status}), and nothing is known of {} yet: let this check run less often",
                    self.name
                )));
            }
            _ => return Err(TalkError::Wrong(format!("{from}answered {status}, wanted 200"))),
        }
        let seen = Registration::read(&document.body)
            .map_err(|error| TalkError::Wrong(error.to_string()))?;
        if let Some(other) = seen.name.filter(|other| !other.eq_ignore_ascii_case(&self.name)) {
            return Err(TalkError::Wrong(format!("it answered about {other}, not {}", self.name)));
        }
        let Some(expires) = seen.expires else {
            return Err(TalkError::Wrong(format!(
                "{from}does not tell when {} expires: its registry may not publish that",
                self.name
            )));
        };
        let known = Known {
            domain: self.name.clone(),
            server: self.place.url(),
            asked: look.now,
            expires,
            status: seen.status,
        };
        Ok(known.judge(self, look, "").keep(known.keep()))
    }
}

impl Domain {
    fn warned(&self, text: String) -> Outcome {
        let outcome = if self.alerts { Outcome::fail(text) } else { Outcome::pass(text) };
        outcome.warning(true)
    }
}

#[cfg(test)]
mod tests;
