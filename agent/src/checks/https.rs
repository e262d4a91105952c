//! `https`: a web server that answers, with a certificate that is good for a while.

mod answer;
mod ask;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use http::{Method, Uri};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    net::{self, GRACE, Reach, Steps, Talk, TalkError, Target, Tls, converse},
};

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
        Opt::text("reqType", "HEAD", "method of the request"),
        Opt::text("reqPath", "/", "path of the request"),
    ],
    answers: Answers {
        proves: "The name leads to a server, the server completes a TLS handshake with a certificate that is good for a \
                 week or more, and answers a request.",
        leaves_open: "Any status counts as an answer, 500 too, as in the original.",
        failure: "The sentence names the step that failed: no address, no connection, no TLS, a certificate that is not \
                  good, or an answer that is none.",
        matters: "`reqPath` for a page that says how the application is, `cafile` for a private authority.",
    },
    example: r#"{"type": "https", "trigger": {"interval": {"minutes": 5}}, "retries": 2, "options": {"hostname": "www.example.org", "reqPath": "/health"}}"#,
    build,
};

#[derive(Debug)]
struct Https {
    reach: Reach,
    /// What is demanded of the certificate, or `None` for plain HTTP.
    tls: Option<Tls>,
    method: Method,
    path: Uri,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let (target, port) = host_and_port(options);
    let on = options.flag("tls", true);
    let usual = if on { 443 } else { 80 };
    let reach = Reach::of(options, target, port.unwrap_or(usual), 10);
    let tls = Tls::read(options);
    let method = method(options);
    let path = path(options);
    let https = Https { reach: reach?, tls: on.then_some(tls), method: method?, path: path? };
    Some(Plan::Probe(Arc::new(https)))
}

#[async_trait]
impl Probe for Https {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Https {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        self.url()
    }

    fn waited(&self, _: &str) -> String {
        "it was connected and asked, and its answer did not come to its end".into()
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let answer = self.ask(look, steps).await?;
        Ok(answer.outcome(self, look))
    }
}

impl Https {
    /// What the Host field says: the port only where it is not the usual one.
    fn authority(&self) -> String {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        self.reach.target.authority(Some(self.reach.port).filter(|port| *port != usual))
    }

    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }
}

/// The host and the port. Without the option `port`, the port may follow the host, as the original takes it.
fn host_and_port(options: &mut Options<'_>) -> (Option<Target>, Option<u16>) {
    let port = options.port("port");
    if !options.given("port")
        && let Some(text) = options.peek_text("hostname")
        && let Some((host, port)) = text.split_once(':')
        && let (Ok(target), Ok(port @ 1..)) = (Target::parse(host), port.parse())
    {
        return (Some(target), Some(port));
    }
    (Target::read(options, "hostname"), port)
}

fn method(options: &mut Options<'_>) -> Option<Method> {
    let text = options.text("reqType").unwrap_or("HEAD");
    let method = Method::from_bytes(text.as_bytes()).ok().filter(|_| text.len() <= 64);
    if method.is_none() {
        options.fault("reqType", "it is no method", "one word, as in HEAD or GET");
    }
    method
}

fn path(options: &mut Options<'_>) -> Option<Uri> {
    let text = options.text("reqPath").filter(|text| !text.is_empty()).unwrap_or("/");
    let path = (text.starts_with('/') || text == "*").then(|| text.parse().ok()).flatten();
    if path.is_none() {
        let right = "a path that begins with `/`, other characters as in %20";
        options.fault("reqPath", "it is no path", right);
    }
    path
}

#[cfg(test)]
mod tests;
