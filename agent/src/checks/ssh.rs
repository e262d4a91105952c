//! `ssh`: a server that completes the key exchange of SSH and shows the host key it is known by. Nobody logs in.

mod exchange;
mod greeting;
mod hostkey;
pub(super) mod properties;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;
use russh::keys::{Algorithm, PublicKey};
use serde_json::Value;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    net::{self, GRACE, Reach, Steps, Talk, TalkError, converse},
    python,
};
use exchange::Exchanged;
use hostkey::Pin;

/// Name of the failure that another host key is.
const HOSTKEY: &str = "hostkey";

/// What can be given for it.
const FORMS: &str = "the line of a `.pub` file, the base64 in that, or a fingerprint `SHA256:…`";

/// The entry of `ssh` in the table.
pub const KIND: Kind = Kind {
    name: "ssh",
    summary: "an SSH server and its host key",
    options: &[
        net::HOSTNAME,
        Opt::port("22"),
        net::timeout("5"),
        net::IP_VERSION,
        Opt::text(
            HOSTKEY,
            "the first one seen",
            "host key of the server: its line in a `.pub` file, the base64 in that, or its fingerprint `SHA256:…`",
        ),
    ],
    answers: Answers {
        proves: "The server completes the key exchange and holds the private half of the host key it is known by: it is the \
                 same machine, and nobody is in between.",
        leaves_open: "Whether anybody can log in: it ends the connection before it would have to say who it is. Without \
                      `hostkey`, the key that is seen first is trusted and written into the configuration.",
        failure: "The sentence names the step that failed; for another host key, the fingerprints of both. If the server was \
                  set up anew, put the new one in as `hostkey`, or take `hostkey` out, so that it is learned again. If \
                  not, somebody may be in between: find out before anybody logs in.",
        matters: "`hostkey`: get it on the server itself, from `/etc/ssh/ssh_host_ed25519_key.pub`, rather than over the \
                  network.",
    },
    example: r#"{"type": "ssh", "trigger": {"interval": {"minutes": 10}}, "options": {"hostname": "gate.example.org", "hostkey": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"}}"#,
    build,
};

#[derive(Debug)]
struct Ssh {
    reach: Reach,
    wanted: Wanted,
}

/// Which host key the server must show.
#[derive(Debug)]
enum Wanted {
    /// The first one that was seen.
    First,
    /// This one.
    Pinned(Pin),
    /// None is right: what stands there is no key known here.
    Unreadable,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let reach = Reach::read(options, 22, 5);
    let hostkey = options.text(HOSTKEY).map(str::trim).filter(|text| !text.is_empty());
    let wanted = match hostkey.map(Pin::parse) {
        None => Wanted::First,
        Some(Some(pin)) => Wanted::Pinned(pin),
        // The original takes any text and fails, so a site that comes from it may have one.
        Some(None) => {
            let wrong = "it is no host key that is known here, so the check always fails";
            options.warning(HOSTKEY, wrong, FORMS);
            Wanted::Unreadable
        }
    };
    Some(Plan::Probe(Arc::new(Ssh { reach: reach?, wanted })))
}

#[async_trait]
impl Probe for Ssh {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Ssh {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        format!("SSH at {}", self.reach.place())
    }

    fn waited(&self, step: &str) -> String {
        match step {
            "greeting" => "it was connected, and no greeting came to its end".into(),
            _ => "it greeted, and the key exchange did not end".into(),
        }
    }

    async fn talk(&self, look: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        let kept = look.before.kept.as_ref().and_then(Value::as_str);
        let first = kept.and_then(Pin::parse);
        let pin = match &self.wanted {
            // It counts only until it stands in the file: who takes it out there wants it learned anew.
            Wanted::First => first.as_ref(),
            Wanted::Pinned(pin) => Some(pin),
            Wanted::Unreadable => None,
        };

        let key = match pin {
            Some(pin @ Pin::Fingerprint(_)) => self.any_key(pin, steps).await?,
            pin => self.key(&hostkey::kinds(pin), steps).await?,
        };
        Ok(self.judge(pin, &key))
    }
}

impl Ssh {
    /// The key that the server shows.
    async fn key(&self, kinds: &[Algorithm], steps: &mut Steps) -> Result<PublicKey, TalkError> {
        match self.exchange(kinds, steps).await? {
            Exchanged::Key(key) => Ok(key),
            Exchanged::NoCommonKey(theirs) => Err(TalkError::Wrong(format!(
                "it has no host key of a type that is known here, only {theirs}"
            ))),
        }
    }

    /// The key that has this fingerprint, or else the first that the server shows. A fingerprint does not tell its type,
    /// so the server is asked for a key of each that it has.
    async fn any_key(&self, pin: &Pin, steps: &mut Steps) -> Result<PublicKey, TalkError> {
        let mut kinds = hostkey::kinds(Some(pin));
        let first = self.key(&kinds, steps).await?;
        let mut key = first.clone();
        while !pin.is(&key) {
            hostkey::without(&mut kinds, &key);
            if kinds.is_empty() {
                return Ok(first);
            }
            key = match self.exchange(&kinds, steps).await? {
                Exchanged::Key(key) => key,
                Exchanged::NoCommonKey(_) => return Ok(first),
            };
        }
        Ok(key)
    }

    async fn exchange(
        &self,
        kinds: &[Algorithm],
        steps: &mut Steps,
    ) -> Result<Exchanged, TalkError> {
        exchange::exchange(self.reach.connect(steps).await?, kinds, steps).await
    }

    fn judge(&self, pin: Option<&Pin>, key: &PublicKey) -> Outcome {
        let shown = format!("{} shows the host key {}", self.service(), hostkey::words(key));
        let base64 = hostkey::base64(key);
        let seen = format!("{} {}", self.reach.place(), python::text(&base64));
        // The last two are what the original's library answers when it says goodbye.
        let all_well = |text: &str| {
            let log = [seen.clone(), "ignore: None".into(), "close: None".into()];
            Outcome::pass(text).log(log)
        };
        let another = |wanted: String| {
            let text = format!("{shown}, wanted {wanted}");
            let line = format!("{}: {text}", self.reach.target);
            Outcome::fail(text).soft_fail(HOSTKEY).log([seen.clone(), line])
        };
        let outcome = match (pin, &self.wanted) {
            (Some(pin), _) if pin.is(key) => all_well(&shown),
            (Some(pin), _) => another(format!(
                "{pin}: somebody may be in between; if it was set up anew, set `{HOSTKEY}` to the new key"
            )),
            // The text is not repeated: it may be a private key in the wrong place.
            (None, Wanted::Unreadable) => another(format!(
                "a text that is no host key known here: set `{HOSTKEY}` to {FORMS}"
            )),
            (None, _) => {
                let mut outcome = all_well(&format!(
                    "{shown}, trusted at first sight: from now on any other is a failure"
                ));
                outcome.learned = Some((HOSTKEY.into(), base64.clone()));
                return outcome.keep(base64.into());
            }
        };
        if matches!(self.wanted, Wanted::First) { outcome } else { outcome.keep(Value::Null) }
    }
}
