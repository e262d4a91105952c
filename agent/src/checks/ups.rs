//! `ups`: an uninterruptible power supply, over the network or on a serial line.

mod nut;
pub(super) mod properties;
pub(crate) mod serial;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod variable;
pub(crate) mod voltronic;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use self::{
    nut::Nut,
    serial::on_line,
    voltronic::{Flags, Status},
};
use super::{Answers, Kind, Look, Opt, Options, Plan, Probe, limit::WARN_ALERTS, net};

/// The entry of `ups` in the table.
pub const KIND: Kind = Kind {
    name: "ups",
    summary: "an uninterruptible power supply, over NUT or on a serial line",
    options: &[
        Opt::text("hostname", "localhost", "NUT server: name, IPv4, IPv6 or hardware address"),
        Opt::port("3493"),
        Opt::text("upsName", "ups", "name of the UPS at the NUT server"),
        net::timeout("5"),
        net::IP_VERSION,
        Opt::number("charge", "none", "charge of the battery under which it fails, percent"),
        Opt::number(
            "warn",
            "none",
            "charge of the battery under which a pass is a warning, percent",
        ),
        WARN_ALERTS,
        Opt::text(
            "serialPort",
            "none",
            "serial port of a UPS with the QS protocol of Voltronic, asked instead of a NUT server",
        ),
        Opt::flag("beeper", "true", "whether the beeper of a UPS on a serial port shall be on"),
    ],
    answers: Answers {
        proves: "The UPS answers, runs on the mains, and asks for no new battery. On the mains with a low battery it passes \
                 with a warning: they have just come back, and it would not last.",
        leaves_open: "How long the battery would last: only a test under load tells, see `upstest`.",
        failure: "On battery, battery low or to be replaced, shutting down, no fresh data, or no answer: the sentence says \
                  which, the log has voltage, charge and flags.",
        matters: "`upsName` as in the ups.conf of NUT, or `serialPort`; `warn` for a battery that ages.",
    },
    example: r#"{"type": "ups", "trigger": {"interval": {"minutes": 1}}, "options": {"hostname": "nas.example.org", "upsName": "rack", "warn": 90}}"#,
    build,
};

/// Longest time on a serial line, the wait for a self-test of another check included.
const SERIAL: Duration = Duration::from_secs(40);

#[derive(Debug)]
struct Serial {
    port: String,
    beeper: bool,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let beeper = options.flag("beeper", true);
    let nut = Nut::read(options);
    if let Some(port) = options.text("serialPort").filter(|port| !port.is_empty()) {
        return Some(Plan::Probe(Arc::new(Serial { port: port.into(), beeper })));
    }
    Some(Plan::Probe(Arc::new(nut?)))
}

#[async_trait]
impl Probe for Serial {
    async fn look(&self, _: &Look<'_>) -> Outcome {
        let (path, beeper) = (self.port.clone(), self.beeper);
        on_line(&self.port, move |line| {
            let status = line.status()?;
            if status.flags.has(Flags::BEEPER) != beeper {
                line.tell("Q")?;
            }
            Ok(judge(&path, &status))
        })
        .await
    }

    fn limit(&self) -> Duration {
        SERIAL
    }
}

fn judge(path: &str, status: &Status) -> Outcome {
    let flags = status.flags;
    let wrong: Vec<_> = [
        (Flags::MAINS_FAIL, "the mains have failed"),
        (Flags::LOW_BATTERY, "its battery is low"),
        (Flags::FAULT, "it reports a fault of its own"),
        (Flags::SHUTDOWN, "it is shutting down"),
    ]
    .iter()
    .filter(|(flag, _)| flags.has(*flag))
    .map(|(_, words)| *words)
    .collect();
    let volts =
        |volts: Option<f64>| volts.map_or_else(|| "-".into(), |volts| format!("{volts:.1}V"));
    let battery = volts(status.battery);
    let outcome = if wrong.is_empty() {
        Outcome::pass(format!("UPS on {path} runs on the mains, battery {battery}"))
    } else {
        Outcome::fail(format!("UPS on {path}: {}, battery {battery}", wrong.join(", ")))
    };
    let load = status.load.map_or_else(|| "-".into(), |load| format!("{load:.0}%"));
    let outcome = match status.battery {
        Some(volts) => outcome.level(format!("{volts:.1}V")),
        None => outcome,
    };
    outcome.log([
        format!(
            "Input: {}, Output: {}, Load: {load}, Battery: {battery}",
            volts(status.input),
            volts(status.output)
        ),
        format!("Flags: {flags}"),
    ])
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use super::{testing::Ups, *};
    use crate::checks::testing::{faults, look, probe};

    async fn ask(status: &'static str) -> (Outcome, Ups) {
        let ups = Ups::new(move |command| match command {
            "QS" => format!("{status}\r").into_bytes(),
            _ => Vec::new(),
        });
        let mut outcome = look(&*probe("ups", json!({"serialPort": ups.path}))).await;
        outcome.text = outcome.text.replace(&ups.path, "LINE");
        (outcome, ups)
    }

    #[tokio::test]
    async fn a_ups_on_a_line_is_asked_for_its_status() {
        let (outcome, ups) = ask("(243.5 245.7 245.4 010 49.8 13.7 --.- 00001001").await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        assert_eq!(outcome.text, "UPS on LINE runs on the mains, battery 13.7V");
        assert_eq!(outcome.level.as_deref(), Some("13.7V"));
        assert_eq!(
            outcome.log,
            ["Input: 243.5V, Output: 245.4V, Load: 10%, Battery: 13.7V", "Flags: beeper on"]
        );
        assert_eq!(*ups.heard.lock(), ["QS"]);
    }

    #[tokio::test]
    async fn what_is_wrong_is_said_and_a_silent_beeper_switched_on() {
        let (outcome, ups) = ask("(000.0 190.0 229.9 012 50.1 11.9 --.- 11001000").await;
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(
            outcome.text,
            "UPS on LINE: the mains have failed, its battery is low, battery 11.9V"
        );
        // The last command has no answer to wait for.
        while ups.heard.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(*ups.heard.lock(), ["QS", "Q"]);
    }

    #[tokio::test]
    async fn an_answer_that_is_none_is_told() {
        let (outcome, _ups) = ask("QS").await;
        assert!(outcome.text.ends_with("it speaks another protocol"), "{}", outcome.text);
        let (outcome, _ups) = ask("(1 2 \u{1}").await;
        assert!(
            outcome.text.contains("expected a status, it said `(1 2 \\u{1}`"),
            "{}",
            outcome.text
        );
        let outcome = look(&*probe("ups", json!({"serialPort": "/dev/no-such-port"}))).await;
        assert_eq!(
            outcome.text,
            "there is no serial port /dev/no-such-port: is the cable in place?"
        );
    }

    #[test]
    fn a_name_is_one_word() {
        assert_eq!(faults("ups", json!({"upsName": "a b"})), ["upsName"]);
    }
}
