//! A UPS that a NUT server watches.

use std::time::Duration;

use async_trait::async_trait;
use fletchck_shared::Outcome;
use nut_client::Variable;
use tokio::io::{AsyncRead, AsyncWrite};

use super::variable::variable;
use crate::checks::{
    Look, Options, Probe,
    net::{GRACE, Lines, Reach, Steps, Talk, TalkError, Target, converse},
};

/// Most variables of one UPS.
const VARIABLES: usize = 1000;

/// A UPS behind a NUT server.
#[derive(Debug)]
pub(super) struct Nut {
    reach: Reach,
    /// Its name at the server.
    ups: String,
    charge: Charge,
}

/// What is demanded of the battery's charge, percent.
#[derive(Clone, Copy, Debug)]
struct Charge {
    fewest: Option<f64>,
    warn: Option<f64>,
    warn_alerts: bool,
}

impl Charge {
    /// Reads `charge`, `warn` and `warnAlerts`.
    fn read(options: &mut Options<'_>) -> Self {
        let fewest = options.number("charge", 0.0..=100.0, "a percentage");
        let warn = options.number("warn", 0.0..=100.0, "a percentage");
        if let (Some(fewest), Some(warn)) = (fewest, warn)
            && warn <= fewest
        {
            options.warning("warn", "it fails before it warns", "a warning above `charge`");
        }
        Self { fewest, warn, warn_alerts: options.flag("warnAlerts", false) }
    }
}

#[async_trait]
impl Probe for Nut {
    async fn look(&self, look: &Look<'_>) -> Outcome {
        converse(self, look).await
    }

    fn limit(&self) -> Duration {
        self.reach.timeout + GRACE
    }
}

#[async_trait]
impl Talk for Nut {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    fn service(&self) -> String {
        format!("UPS {} at {}", self.ups, self.reach.place())
    }

    fn waited(&self, _: &str) -> String {
        "the NUT server was connected and asked, and its answer did not come to its end".into()
    }

    async fn talk(&self, _: &Look<'_>, steps: &mut Steps) -> Result<Outcome, TalkError> {
        self.ask(Lines::new(self.reach.connect(steps).await?), steps).await
    }
}

impl Nut {
    /// Reads the options of a UPS that a NUT server watches.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let charge = Charge::read(options);
        let ups = options.text("upsName").filter(|name| !name.is_empty()).unwrap_or("ups");
        if ups.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\') {
            let right = "one word, as in the ups.conf of NUT";
            options.fault("upsName", "it is no name of a UPS", right);
        }
        let target = match options.given("hostname") {
            true => Target::read(options, "hostname"),
            false => Target::parse("localhost").ok(),
        };
        let port = options.port("port").unwrap_or(3493);
        let reach = Reach::of(options, target, port, 5);
        Some(Self { reach: reach?, ups: ups.into(), charge })
    }

    /// Asks for all variables, and judges them.
    pub(super) async fn ask<S>(
        &self,
        mut lines: Lines<S>,
        steps: &mut Steps,
    ) -> Result<Outcome, TalkError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        steps.begin("answer");
        lines.send(&format!("LIST VAR {}", self.ups), steps).await?;
        let mut variables = Vec::new();
        loop {
            let line = lines.line(steps).await?;
            if line.starts_with("BEGIN LIST VAR ") {
                continue;
            } else if line.starts_with("END LIST VAR ") {
                break;
            } else if let Some(error) = line.strip_prefix("ERR ") {
                return Err(TalkError::Wrong(self.refused(error)));
            }
            match variable(&line, &self.ups) {
                Some(variable) if variables.len() < VARIABLES => variables.push(variable),
                Some(_) => {
                    return Err(TalkError::Wrong(format!(
                        "it has more than {VARIABLES} variables"
                    )));
                }
                None => return Err(TalkError::Wrong("what answers there is no NUT server".into())),
            }
        }
        lines.send("LOGOUT", steps).await.ok();
        Ok(self.judge(&variables))
    }

    fn refused(&self, error: &str) -> String {
        match error.split_ascii_whitespace().next().unwrap_or_default() {
            "DATA-STALE" => {
                "its driver has no fresh data (DATA-STALE): is its cable in place?".into()
            }
            "DRIVER-NOT-CONNECTED" => "its driver does not run (DRIVER-NOT-CONNECTED)".into(),
            "UNKNOWN-UPS" => {
                format!(
                    "the server knows no UPS of that name (UNKNOWN-UPS): `upsName` is `{}`",
                    self.ups
                )
            }
            "ACCESS-DENIED" => "the server does not answer this machine (ACCESS-DENIED)".into(),
            word @ ("USERNAME-REQUIRED" | "PASSWORD-REQUIRED") => {
                format!("the server wants a login ({word}), and this check has none")
            }
            _ => format!("the server refused: {}", error.chars().take(80).collect::<String>()),
        }
    }

    fn judge(&self, variables: &[Variable]) -> Outcome {
        let value = |name: &str| variables.iter().find(|v| v.name() == name).map(Variable::value);
        let number = |name: &str| {
            value(name).and_then(|value| value.parse::<f64>().ok()).filter(|n| n.is_finite())
        };
        let status = value("ups.status").unwrap_or_default();
        let flags: Vec<&str> = status.split_ascii_whitespace().collect();
        let charge = number("battery.charge");
        let Charge { fewest, warn, warn_alerts } = self.charge;
        let percent = charge.map(|charge| format!(", battery {charge:.0}%")).unwrap_or_default();
        let (line, wrong) = if flags.contains(&"RB") {
            ("Warning: Replace battery", Some("its battery must be replaced"))
        } else if flags.contains(&"OB") && flags.contains(&"LB") {
            ("Status: On Battery", Some("the mains have failed, and its battery is nearly empty"))
        } else if flags.contains(&"OB") {
            ("Status: On Battery", Some("the mains have failed, it runs on its battery"))
        } else if flags.contains(&"FSD") {
            ("Status: Forced Shutdown", Some("it is shutting down"))
        } else if flags.contains(&"OL") {
            ("Status: Online", None)
        } else {
            (
                "Unknown UPS state",
                Some("it says neither that it is online nor that it is on battery"),
            )
        };
        let low = charge.zip(fewest).filter(|(charge, fewest)| charge < fewest);
        let name = &self.ups;
        let mut outcome = match (wrong, low) {
            (Some(wrong), _) => Outcome::fail(format!("UPS {name}: {wrong}{percent}")),
            (None, Some((charge, fewest))) => Outcome::fail(format!(
                "UPS {name} is online, battery {charge:.0}%, under the limit of {fewest}%"
            )),
            (None, None) => {
                let scarce = charge.zip(warn).filter(|(charge, warn)| charge < warn);
                let scarce = match scarce {
                    Some((_, warn)) => Some(format!("{percent}, under the warning at {warn}%")),
                    // The mains have just come back.
                    None => flags.contains(&"LB").then(|| format!(", its battery is low{percent}")),
                };
                let words = scarce.as_ref().unwrap_or(&percent);
                let text = format!("UPS {name} is online{words}");
                Outcome::pass(text).warning(scarce.is_some()).alerting(warn_alerts)
            }
        };
        let place = self.reach.place();
        let mut log = vec![format!("Connecting to UPS via NUT: {name}@{place}"), line.into()];
        let volts =
            number("battery.voltage").map_or_else(|| "-".into(), |volts| format!("{volts:.1}V"));
        let full = charge.map_or_else(|| "-".into(), |charge| format!("{charge:.0}%"));
        log.push(format!("Battery: {volts}/{full} Flags: {}", flags.join(", ")));
        if let Some(charge) = charge {
            outcome = outcome.level(format!("{charge:2.0}%"));
        }
        outcome.log(log)
    }
}

#[cfg(test)]
mod tests {
    use fletchck_shared::{Severity, Verdict};
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use crate::checks::testing::{look, probe};

    async fn ask(says: String, more: Value) -> fletchck_shared::Outcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut heard = [0; 64];
                let some = stream.read(&mut heard).await.expect("a question");
                assert_eq!(&heard[..some], b"LIST VAR nas\r\n");
                stream.write_all(says.as_bytes()).await.expect("answered");
            }
        });
        let mut options = json!({"hostname": "127.0.0.1", "port": port, "upsName": "nas"});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        let mut outcome = look(&*probe("ups", options)).await;
        outcome.text = outcome.text.replace(&port.to_string(), "PORT");
        outcome
    }

    fn ups(status: &str, charge: &str) -> String {
        format!(
            "BEGIN LIST VAR nas\nVAR nas battery.charge \"{charge}\"\nVAR nas battery.voltage \"13.6\"\n\
             VAR nas ups.status \"{status}\"\nEND LIST VAR nas\n"
        )
    }

    #[tokio::test]
    async fn a_status_is_judged_as_the_original_does() {
        for (status, verdict, text, line) in [
            ("OL CHRG", Verdict::Pass, "UPS nas is online, battery 99%", "Status: Online"),
            (
                "OB DISCHRG",
                Verdict::Fail,
                "UPS nas: the mains have failed, it runs on its battery, battery 99%",
                "Status: On Battery",
            ),
            (
                "OL RB",
                Verdict::Fail,
                "UPS nas: its battery must be replaced, battery 99%",
                "Warning: Replace battery",
            ),
            (
                "WAIT",
                Verdict::Fail,
                "UPS nas: it says neither that it is online nor that it is on battery, battery 99%",
                "Unknown UPS state",
            ),
        ] {
            let outcome = ask(ups(status, "99"), json!({})).await;
            assert_eq!((outcome.verdict, outcome.text.as_str()), (verdict, text));
            assert_eq!(outcome.log[1], line);
            assert_eq!(outcome.level.as_deref(), Some("99%"));
            assert!(outcome.log[2].starts_with("Battery: 13.6V/99% Flags: "), "{:?}", outcome.log);
        }
    }

    #[tokio::test]
    async fn a_low_charge_fails_or_warns() {
        let limits = json!({"charge": 50, "warn": 80});
        let outcome = ask(ups("OL", "40"), limits.clone()).await;
        assert_eq!(outcome.text, "UPS nas is online, battery 40%, under the limit of 50%");
        assert_eq!(outcome.severity(), Severity::Critical);
        assert_eq!(ask(ups("OL", "70"), limits).await.severity(), Severity::Warning);
        // A UPS that measures no charge is judged by what it says.
        assert_eq!(ask(ups("OL", "?"), json!({"charge": 50})).await.severity(), Severity::Ok);
    }

    #[tokio::test]
    async fn what_a_server_refuses_is_said_in_words() {
        let outcome = ask("ERR DATA-STALE\n".into(), json!({})).await;
        assert_eq!(
            outcome.text,
            "UPS nas at 127.0.0.1:PORT: its driver has no fresh data (DATA-STALE): is its cable in place?"
        );
        let outcome = ask("SSH-2.0-OpenSSH\r\n".into(), json!({})).await;
        assert!(outcome.text.ends_with("what answers there is no NUT server"), "{}", outcome.text);
    }
}
