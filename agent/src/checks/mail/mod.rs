//! What the checks of mail servers share: one conversation, in the words of SMTP or IMAP, with TLS from its start, from
//! STARTTLS on, or without.

mod imap;
mod login;
pub(super) mod properties;
mod reply;
mod smtp;
#[cfg(test)]
mod tests;
mod wire;

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use tokio::net::TcpStream;

use super::{
    Look, Options, Plan, Probe,
    net::{Certificate, GRACE, NetError, Reach, Steps, Talk, TalkError, Tls, broken_off, converse},
};
use login::Login;
use wire::{Stream, Wire};

pub(super) use login::{PASSWORD, USERNAME};

/// What makes one type of check of a mail server.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name in sentences.
    pub(super) name: &'static str,
    /// What it speaks.
    pub(super) protocol: Protocol,
    /// From where on it speaks TLS.
    pub(super) security: Security,
    /// Its usual port.
    pub(super) port: u16,
    /// Its usual timeout, in seconds.
    pub(super) timeout: u32,
}

/// What a mail server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Smtp,
    Imap,
}

/// From where on a mail server speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Nowhere.
    Plain,
    /// From STARTTLS on.
    Start,
    /// From the first byte on.
    Tls,
}

/// A check of a mail server.
#[derive(Debug)]
struct Mail {
    service: Service,
    reach: Reach,
    tls: Tls,
    login: Option<Login>,
    alerts: bool,
}

/// Reads the options that all of them share, and makes the check.
pub(super) fn plan(options: &mut Options<'_>, service: Service) -> Option<Plan> {
    Some(Plan::Probe(Arc::new(Mail::read(options, service)?)))
}

#[async_trait]
impl Probe for Mail {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await.alerting(self.alerts)
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Mail {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        format!("{} at {}", self.service.name, self.reach.place())
    }

    fn waited(&self, step: &str) -> String {
        let command = match step {
            "greeting" => return "it was connected, and no greeting came to its end".into(),
            "login" => "the login",
            "hello" => "EHLO",
            "starttls" => "STARTTLS",
            "quit" => "QUIT",
            "logout" => "LOGOUT",
            _ => "NOOP",
        };
        format!("it greeted, and its answer to {command} did not come to its end")
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        if let Some(login) = &self.login {
            login.hide(steps);
        }
        let mut stream = self.reach.connect(steps).await?;
        let me = literal(&stream);
        let mut log = Vec::new();
        match self.service.security {
            Security::Plain => {
                let wire = Wire::new(stream, steps, log);
                return self.session(wire, &me, None, look).await;
            }
            Security::Start => {
                let mut wire = Wire::new(stream, steps, log);
                self.start_tls(&mut wire, &me).await?;
                log = wire.log;
                stream = wire.lines.bare()?;
            }
            Security::Tls => {}
        }
        let (stream, certificate) = self
            .tls
            .handshake(stream, &self.reach.target, look, steps)
            .await
            .map_err(NetError::from)?;
        self.session(Wire::new(stream, steps, log), &me, Some(&certificate), look).await
    }
}

impl Mail {
    fn read(options: &mut Options<'_>, service: Service) -> Option<Self> {
        let reach = Reach::read(options, service.port, service.timeout);
        let tls = Tls::read(options);
        let login = Login::read(options);
        if login.is_some() && service.security == Security::Plain {
            let right = "TLS, or neither `username` nor `password`";
            options.fault("password", "without TLS anybody on the way could read it", right);
        } else if login.is_some() && tls.proves_nothing() {
            let wrong = "with `selfsigned` it goes to whoever answers";
            let right = "trust the server's certificate with `cafile` instead";
            options.warning("password", wrong, right);
        }
        let alerts = options.flag("warnAlerts", false);
        Some(Self { service, reach: reach?, tls, login, alerts })
    }

    /// All that is said before TLS begins.
    async fn start_tls<S: Stream>(
        &self,
        wire: &mut Wire<'_, S>,
        me: &str,
    ) -> Result<(), TalkError> {
        match self.service.protocol {
            Protocol::Smtp => smtp::start_tls(wire, me).await,
            Protocol::Imap => imap::start_tls(wire).await,
        }
    }

    /// All that is said once it is known how.
    async fn session<S: Stream>(
        &self,
        mut wire: Wire<'_, S>,
        me: &str,
        certificate: Option<&Certificate>,
        look: &Look<'_>,
    ) -> Result<Outcome, TalkError> {
        let greeted = self.service.security == Security::Start;
        let login = self.login.as_ref();
        match self.service.protocol {
            Protocol::Imap => {
                imap::open(&mut wire, greeted, login).await?;
                imap::close(&mut wire).await?;
                Ok(self.well(wire.log, certificate, look))
            }
            Protocol::Smtp => {
                smtp::open(&mut wire, me, greeted, login).await?;
                // As in the original, whatever comes after that is worth a look and no failure.
                wire.steps.settle(self.well(wire.log.clone(), certificate, look));
                let closed = smtp::close(&mut wire).await;
                let outcome = self.well(wire.log, certificate, look);
                Ok(match closed {
                    Ok(()) => outcome,
                    Err(error) => broken_off(self, outcome, &error.to_string()),
                })
            }
        }
    }

    fn well(
        &self,
        mut log: Vec<String>,
        certificate: Option<&Certificate>,
        look: &Look<'_>,
    ) -> Outcome {
        let mut text = format!("{} answered", self.service());
        if certificate.is_some() {
            text.push_str(" over TLS");
        }
        if let Some(login) = &self.login {
            text.push_str(&format!(" and took the login of `{}`", login.user));
        }
        let Some(certificate) = certificate else { return Outcome::pass(text).log(log) };
        let valid = certificate.validity(look.now, look.zone);
        text.push_str(&format!(", certificate {valid}"));
        log.push(format!("Certificate: {valid}, signed by {}", certificate.issuer));
        Outcome::pass(text).log(log).warning(self.tls.warns(certificate, look))
    }
}

/// This end of a connection, as one introduces oneself who has no name (RFC 5321 section 4.1.3).
fn literal(stream: &TcpStream) -> String {
    match stream.local_addr().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => format!("[{address}]"),
        Ok(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
        Err(_) => "[127.0.0.1]".into(),
    }
}
