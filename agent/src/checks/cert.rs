//! `cert`: the certificate that a server shows, whatever it speaks behind it.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    limit::WARN_ALERTS,
    net::{
        self, Encrypted, GRACE, LineError, NetError, Reach, Steps, Talk, TalkError, Tls, converse,
        failed, level,
    },
    python,
};

/// The entry of `cert` in the table.
pub const KIND: Kind = Kind {
    name: "cert",
    summary: "the certificate of any server with TLS, and how many days are left of it",
    options: &[
        net::HOSTNAME,
        Opt::port("443"),
        net::timeout("5"),
        net::IP_VERSION,
        net::SELFSIGNED,
        net::CAFILE,
        net::SERVER_NAME,
        net::DAYS,
        net::WARN_DAYS,
        WARN_ALERTS,
        Opt::text(
            "probe",
            "none",
            "text that is sent through TLS, its answer is logged; not beside `selfsigned`",
        ),
    ],
    answers: Answers {
        proves: "The server completes a TLS handshake, and its certificate is for its name, leads to an authority that is \
                 trusted, and is good for a week or more. With `selfsigned` only the last.",
        leaves_open: "Whether the service behind TLS works, and whether the certificate was revoked.",
        failure: "The sentence says what is wrong with the certificate and until when it is good; the log shows it with those \
                  that sign for it. The level is the number of days left.",
        matters: "`days` and `warn`, so that there is time to act; `cafile` for a private authority rather than `selfsigned`, \
                  with which anybody may answer.",
    },
    example: r#"{"type": "cert", "trigger": {"interval": {"hours": 12}}, "options": {"hostname": "ldap.example.org", "port": 636, "days": 14, "warn": 28}}"#,
    build,
};

/// Most bytes of an answer that are logged.
const ANSWER: usize = 1024;

#[derive(Debug)]
struct Cert {
    reach: Reach,
    tls: Tls,
    alerts: bool,
    probe: Option<String>,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let reach = Reach::read(options, 443, 5);
    let tls = Tls::read(options);
    let alerts = options.flag("warnAlerts", false);
    let mut probe = options.any_text("probe").map(str::to_owned);
    if tls.proves_nothing() && probe.take().is_some() {
        options.warning("probe", "it is not sent beside `selfsigned`", "one of the two");
    }
    Some(Plan::Probe(Arc::new(Cert { reach: reach?, tls, alerts, probe })))
}

#[async_trait]
impl Probe for Cert {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Cert {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        self.reach.place()
    }

    fn waited(&self, _: &str) -> String {
        "its certificate is good, and nothing answered the `probe`".into()
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let stream = self.reach.connect(steps).await?;
        let target = &self.reach.target;
        let mut shown =
            self.tls.shown(stream, target, look, steps).await.map_err(NetError::from)?;
        let certificate = &shown.certificate;
        if let Err(error) = self.tls.judge(&shown, target, look) {
            let mut outcome = failed(self, &NetError::from(error).into());
            outcome.log.append(&mut shown.lines);
            return Ok(outcome.level(level(certificate, look.now)));
        }
        let mut log = Vec::new();
        if let Some(probe) = &self.probe {
            log = ask(&mut shown.stream, probe, steps).await?;
        }
        log.append(&mut shown.lines);
        let text = format!(
            "{} shows a certificate {}, signed by {}",
            self.reach.place(),
            certificate.validity(look.now, look.zone),
            certificate.issuer
        );
        Ok(self.tls.days.good(text, certificate, look.now, self.alerts).log(log))
    }
}

/// Sends the probe and takes one piece of what it is answered with, both as the original logs them.
async fn ask(
    stream: &mut Encrypted,
    probe: &str,
    steps: &mut Steps,
) -> Result<Vec<String>, LineError> {
    steps.begin("answer");
    steps.sent(probe);
    stream.write_all(probe.as_bytes()).await.map_err(LineError::Broken)?;
    stream.flush().await.map_err(LineError::Broken)?;
    let mut answer = [0; ANSWER];
    let some = match stream.read(&mut answer).await {
        Ok(0) => return Err(LineError::Closed),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(LineError::Closed);
        }
        read => read.map_err(LineError::Broken)?,
    };
    let answer = &answer[..some];
    steps.got(&String::from_utf8_lossy(answer));
    Ok(vec![
        format!("send: {}, None", python::text(probe)),
        format!("recv: {}", python::bytes(answer)),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::checks::testing::faults;

    #[test]
    fn a_probe_may_have_lines_and_is_not_sent_beside_selfsigned() {
        let none: [&str; 0] = [];
        let probe = "HEAD / HTTP/1.0\r\n\r\n";
        assert_eq!(faults("cert", json!({"hostname": "a", "probe": probe})), none);
        let both = json!({"hostname": "a", "probe": probe, "selfsigned": true});
        assert_eq!(faults("cert", both), ["probe"]);
        assert_eq!(
            faults("cert", json!({"hostname": "a", "probe": 1, "warn": 3})),
            ["warn", "probe"]
        );
    }
}
