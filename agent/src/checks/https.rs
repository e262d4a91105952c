//! `https`: a web server that answers, with a certificate that is good for a while.

mod answer;
mod ask;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use http::{Method, Uri};
use tokio::time::timeout;

use super::{
    Kind, Look, Opt, Options, Plan, Probe,
    net::{Steps, Target, Trust},
};

/// The entry of `https` in the table.
pub const KIND: Kind = Kind {
    name: "https",
    summary: "a web server that answers, and its certificate",
    options: &[
        Opt {
            name: "hostname",
            default: "required",
            meaning: "name, IPv4, IPv6 or hardware address of the server",
        },
        Opt { name: "port", default: "443, or 80 without tls", meaning: "port of the server" },
        Opt {
            name: "timeout",
            default: "10",
            meaning: "seconds for all of it, name lookup included",
        },
        Opt { name: "tls", default: "true", meaning: "false: plain HTTP" },
        Opt {
            name: "selfsigned",
            default: "false",
            meaning: "take any certificate, and watch only that it is good for 7 days or more",
        },
        Opt {
            name: "cafile",
            default: "those of the system",
            meaning: "PEM file with the certificates to trust",
        },
        Opt { name: "reqType", default: "HEAD", meaning: "method of the request" },
        Opt { name: "reqPath", default: "/", meaning: "path of the request" },
    ],
    example: r#"{"type": "https", "trigger": {"interval": {"minutes": 5}}, "retries": 2, "options": {"hostname": "www.example.org", "reqPath": "/health"}}"#,
    build,
};

/// What the caller grants beyond the timeout, so that a look that takes too long can say where.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Https {
    target: Target,
    /// The port as it was given; a URL and a Host field leave the usual one out.
    port: Option<u16>,
    timeout: Duration,
    /// What is trusted, or `None` for plain HTTP.
    tls: Option<Trust>,
    method: Method,
    path: Uri,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let (target, port) = host_and_port(options);
    let timeout = options.seconds("timeout", 10);
    let tls = trust(options);
    let method = method(options);
    let path = path(options);
    let https = Https { target: target?, port, timeout, tls, method: method?, path: path? };
    Some(Plan::Probe(Arc::new(https)))
}

#[async_trait]
impl Probe for Https {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        let mut steps = Steps::default();
        let asked = timeout(self.timeout, self.ask(look, &mut steps)).await;
        let outcome = match asked {
            Ok(Ok(answer)) => answer.outcome(self, look),
            Ok(Err(error)) => error.outcome(self),
            Err(_) => self.late(steps.current()),
        };
        outcome.phases(steps.finish()).bounded()
    }

    fn limit(&self) -> Duration {
        self.timeout + GRACE
    }
}

impl Https {
    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.tls.is_some() { 443 } else { 80 })
    }

    /// What the Host field says: the port only where it is not the usual one.
    fn authority(&self) -> String {
        let usual = if self.tls.is_some() { 443 } else { 80 };
        self.target.authority(self.port.filter(|port| *port != usual))
    }

    fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.path)
    }

    fn late(&self, step: Option<&'static str>) -> Outcome {
        let seconds = self.timeout.as_secs_f64();
        let waited = match step {
            Some("dns") => "the name servers did not answer",
            Some("connect") => {
                "no connection was taken (is the machine up, does a firewall drop it?)"
            }
            Some("tls") => "it was connected, and the TLS handshake did not end",
            _ => "it was connected and asked, and its answer did not come to its end",
        };
        let text = format!("{} did not answer within {seconds} s: {waited}", self.url());
        Outcome::fail(text.clone()).log([format!("{}: {text}", self.target)])
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

fn trust(options: &mut Options<'_>) -> Option<Trust> {
    let tls = options.flag("tls", true);
    let any = options.flag("selfsigned", false);
    let file = options.text("cafile").filter(|file| !file.is_empty()).map(PathBuf::from);
    if any && file.is_some() {
        options.warning("cafile", "it does nothing beside `selfsigned`", "one of the two");
    }
    tls.then_some(match file {
        _ if any => Trust::Any,
        Some(file) => Trust::File(file),
        None => Trust::System,
    })
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
