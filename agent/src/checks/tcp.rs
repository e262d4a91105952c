//! `tcp`: a port that takes connections, and says what is expected of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    limit::WARN_ALERTS,
    net::{self, GRACE, Lines, NetError, Reach, Steps, Talk, TalkError, Tls, converse, told},
};

/// The entry of `tcp` in the table.
pub const KIND: Kind = Kind {
    name: "tcp",
    summary: "a port that takes connections, and what it answers",
    options: &[
        net::HOSTNAME,
        Opt::port("required"),
        net::timeout("5"),
        net::IP_VERSION,
        Opt::flag("tls", "false", "whether the port speaks TLS from the first byte on"),
        net::SELFSIGNED,
        net::CAFILE,
        net::SERVER_NAME,
        net::DAYS,
        net::WARN_DAYS,
        WARN_ALERTS,
        Opt::text("send", "none", "line that is sent once it is connected"),
        Opt::text("expect", "none", "text that must be in one of the lines it says"),
    ],
    answers: Answers {
        proves: "Something listens on the port; with `expect`, that it says what it should.",
        leaves_open: "Without `expect`, whether the service behind the port still works: the system takes connections for a \
                      program that hangs.",
        failure: "The sentence names the step that failed: no address, no connection, no TLS, or not the answer that was \
                  expected, with what came instead.",
        matters: "`send` and `expect`: the greeting of a service is worth more than its open port.",
    },
    example: r#"{"type": "tcp", "trigger": {"interval": {"minutes": 5}}, "options": {"hostname": "db.example.org", "port": 6379, "send": "PING", "expect": "+PONG"}}"#,
    build,
};

#[derive(Debug)]
struct Tcp {
    reach: Reach,
    tls: Option<Tls>,
    send: Option<String>,
    expect: Option<String>,
    alerts: bool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    if !options.given("port") {
        options.fault("port", "it is missing", "a port from 1 to 65535");
    }
    let reach = Reach::read(options, 1, 5);
    let on = options.flag("tls", false);
    let tls = Tls::read(options);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let send = options.text("send").and_then(text);
    let expect = options.text("expect").and_then(text);
    let alerts = options.flag("warnAlerts", false);
    let tls = on.then_some(tls);
    Some(Plan::Probe(Arc::new(Tcp { reach: reach?, tls, send, expect, alerts })))
}

#[async_trait]
impl Probe for Tcp {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await.alerting(self.alerts)
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Tcp {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        self.reach.place()
    }

    fn waited(&self, _: &str) -> String {
        match &self.expect {
            Some(expect) => format!("it was connected, and `{expect}` did not come"),
            None => "it was connected".into(),
        }
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let stream = self.reach.connect(steps).await?;
        let Some(tls) = &self.tls else { return self.ask(Lines::new(stream), "", steps).await };
        let (stream, certificate) =
            tls.handshake(stream, &self.reach.target, look, steps).await.map_err(NetError::from)?;
        let validity = certificate.validity(look.now, look.zone);
        let outcome =
            self.ask(Lines::new(stream), &format!(", certificate {validity}"), steps).await?;
        Ok(outcome.warning(tls.warns(&certificate, look)))
    }
}

impl Tcp {
    async fn ask<S>(
        &self,
        mut lines: Lines<S>,
        more: &str,
        steps: &mut Steps,
    ) -> Result<Outcome, TalkError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        steps.begin("answer");
        if let Some(send) = &self.send {
            lines.send(send, steps).await?;
        }
        let place = self.reach.place();
        let Some(expect) = &self.expect else {
            let text = format!("{place} takes connections{more}");
            return Ok(Outcome::pass(text.clone()).log([text]));
        };
        let mut first: Option<String> = None;
        loop {
            match lines.line(steps).await {
                Ok(line) if line.contains(expect.as_str()) => {
                    let text = format!("{place} said `{}`{more}", told(&line));
                    return Ok(Outcome::pass(text.clone()).log([text]));
                }
                Ok(line) => _ = first.get_or_insert(line),
                Err(error) => {
                    return Err(match first {
                        Some(first) => TalkError::Wrong(format!(
                            "expected `{expect}`, it said `{}`, and then: {error}",
                            told(&first)
                        )),
                        None => error.into(),
                    });
                }
            }
        }
    }
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
    use crate::checks::testing::{faults, look, probe};

    /// A server that says this once it has heard something, and hangs up.
    async fn server(says: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = [0; 64];
                // Whoever has heard enough hangs up.
                _ = stream.read(&mut heard).await;
                stream.write_all(says).await.ok();
            }
        });
        port
    }

    async fn ask(says: &'static [u8], more: Value) -> Outcome {
        let port = server(says).await;
        let mut options = json!({"hostname": "127.0.0.1", "port": port, "send": "PING"});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let mut outcome = look(&*probe("tcp", options)).await;
        outcome.text = outcome.text.replace(&port.to_string(), "PORT");
        outcome
    }

    #[tokio::test]
    async fn a_port_says_what_is_expected() {
        let outcome = ask(b"-LOADING\r\n+PONG\r\n", json!({"expect": "PONG"})).await;
        assert_eq!(outcome.verdict, Verdict::Pass);
        assert_eq!(outcome.text, "127.0.0.1:PORT said `+PONG`");
        let said: Vec<_> = outcome.conversation.iter().map(String::as_str).collect();
        assert_eq!(&said[2..], ["> PING", "< -LOADING", "< +PONG"]);
    }

    #[tokio::test]
    async fn an_open_port_is_enough_where_nothing_is_expected() {
        let outcome = ask(b"", json!({})).await;
        assert_eq!(outcome.text, "127.0.0.1:PORT takes connections");
    }

    #[tokio::test]
    async fn another_answer_is_told() {
        let outcome = ask(b"-ERR no\r\n", json!({"expect": "PONG"})).await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(
            outcome.text,
            "127.0.0.1:PORT: expected `PONG`, it said `-ERR no`, and then: it closed the connection before its answer was complete"
        );
    }

    #[test]
    fn a_port_is_required() {
        assert_eq!(faults("tcp", json!({"hostname": "a"})), ["port"]);
    }
}
