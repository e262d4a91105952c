//! `upstest`: the self-test of a UPS on a serial line.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use fletchck_shared::Outcome;

use super::{
    Answers, Kind, Look, Opt, Options, Plan, Probe,
    ups::{
        serial::{Line, on_line},
        voltronic::{Flags, Status},
    },
};

/// The entry of `upstest` in the table.
pub const KIND: Kind = Kind {
    name: "upstest",
    summary: "the self-test of a UPS on a serial line, on battery for ten seconds",
    options: &[Opt::text(
        "serialPort",
        "required",
        "serial port of a UPS with the QS protocol of Voltronic",
    )],
    answers: Answers {
        proves: "The UPS has carried its load on its battery for ten seconds, and found no fault.",
        leaves_open: "Whether the battery lasts for longer: the log has its lowest voltage, compare it over the months.",
        failure: "It reports a fault, the test did not begin, or it was not begun because the mains have failed, a shutdown is \
                  under way or the battery is under 13.0 V.",
        matters: "The trigger: once a month at an hour when a failure would do least harm.",
    },
    example: r#"{"type": "upstest", "trigger": {"cron": {"day": "1st sun", "hour": 11}}, "options": {"serialPort": "/dev/ttyUSB0"}}"#,
    build,
};

/// Lowest voltage of the battery that a test is begun with.
const CHARGED: f64 = 13.0;

/// How often it is looked at.
const BEAT: Duration = Duration::from_secs(1);

/// Longest wait for the test to begin.
const BEGINS: Duration = Duration::from_secs(4);

/// Longest test; it should take ten seconds.
const ENDS: Duration = Duration::from_secs(25);

#[derive(Debug)]
struct UpsTest {
    port: String,
    beat: Duration,
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let port = options.required_text("serialPort")?.to_owned();
    Some(Plan::Probe(Arc::new(UpsTest { port, beat: BEAT })))
}

#[async_trait]
impl Probe for UpsTest {
    async fn look(&self, _: &Look<'_>) -> Outcome {
        let (path, beat) = (self.port.clone(), self.beat);
        on_line(&self.port, move |line| test(&path, line, beat)).await
    }

    fn limit(&self) -> Duration {
        2 * ENDS
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it runs on a thread of its own, where a line is asked"
)]
fn test(path: &str, line: &mut Line, beat: Duration) -> Result<Outcome, String> {
    let before = line.status()?;
    if let Some(why) = refusal(&before) {
        let text = format!("UPS on {path} was not tested: {why}");
        return Ok(Outcome::fail(text.clone()).log([text]));
    }
    line.tell("T")?;
    let began = Instant::now();
    let (mut ran, mut load, mut lowest) = (false, before.load, before.battery);
    let last = loop {
        thread::sleep(beat);
        let status = line.status()?;
        load = larger(load, status.load);
        lowest = smaller(lowest, status.battery);
        let testing = status.flags.has(Flags::TESTING);
        ran |= testing;
        match (ran, testing) {
            (true, false) => break status,
            (false, _) if began.elapsed() > BEGINS.max(4 * beat) => {
                return Err("it did not begin its self-test".into());
            }
            (true, true) if began.elapsed() > ENDS => {
                return Err(format!("its self-test did not end within {} s", ENDS.as_secs()));
            }
            _ => {}
        }
    };
    let load = load.map_or_else(|| "-".into(), |load| format!("{load:.0}%"));
    let volts = lowest.map_or_else(|| "-".into(), |volts| format!("{volts:.1}V"));
    let outcome = if last.flags.has(Flags::FAULT) {
        Outcome::fail(format!(
            "UPS on {path} found a fault in its self-test, battery down to {volts} at a load of {load}"
        ))
    } else {
        Outcome::pass(format!(
            "UPS on {path} passed its self-test, battery down to {volts} at a load of {load}"
        ))
    };
    Ok(outcome.level(volts.clone()).log([
        format!("Peak load: {load}"),
        format!("Lowest battery: {volts}"),
        format!("Flags: {}", last.flags),
    ]))
}

fn refusal(status: &Status) -> Option<String> {
    if status.flags.has(Flags::MAINS_FAIL) {
        return Some("the mains have failed".into());
    }
    if status.flags.has(Flags::SHUTDOWN) {
        return Some("it is shutting down".into());
    }
    let volts = status.battery.filter(|volts| *volts < CHARGED)?;
    Some(format!("its battery has {volts:.1}V, less than {CHARGED:.1}V"))
}

fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

fn smaller(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use fletchck_shared::Verdict;
    use serde_json::json;

    use super::*;
    use crate::checks::{
        testing::{faults, look, probe},
        ups::testing::Ups,
    };

    /// A UPS that says these in turn, the last one again and again.
    async fn run(says: &'static [&'static str]) -> (Outcome, Ups) {
        let mut turn = 0;
        let ups = Ups::new(move |command| {
            if command != "QS" {
                return Vec::new();
            }
            let status = says[turn.min(says.len() - 1)];
            turn += 1;
            format!("{status}\r").into_bytes()
        });
        let test = UpsTest { port: ups.path.clone(), beat: Duration::from_millis(5) };
        let mut outcome = look(&test).await;
        outcome.text = outcome.text.replace(&ups.path, "LINE");
        (outcome, ups)
    }

    #[tokio::test]
    async fn a_test_tells_peak_load_and_lowest_voltage() {
        let (outcome, ups) = run(&[
            "(230.0 230.0 230.0 010 50.0 13.7 --.- 00001001",
            "(230.0 230.0 230.0 010 50.0 13.7 --.- 00001001",
            "(230.0 230.0 230.0 035 50.0 12.1 --.- 00001101",
            "(230.0 230.0 230.0 012 50.0 13.2 --.- 00001001",
        ])
        .await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        assert_eq!(
            outcome.text,
            "UPS on LINE passed its self-test, battery down to 12.1V at a load of 35%"
        );
        assert_eq!(ups.heard.lock()[..3], ["QS", "T", "QS"]);
    }

    /// A line takes one user at a time, and a test takes it for as long as it lasts.
    #[tokio::test]
    async fn whoever_asks_on_the_same_line_waits_for_its_turn() {
        let mut tested = 0;
        let ups = Ups::new(move |command| {
            match command {
                "T" => tested = 3,
                "QS" if tested > 0 => tested -= 1,
                _ => {}
            }
            let flags = if tested > 0 { "00001101" } else { "00001001" };
            match command {
                "QS" => format!("(230.0 230.0 230.0 010 50.0 13.7 --.- {flags}\r").into_bytes(),
                _ => Vec::new(),
            }
        });
        let test = UpsTest { port: ups.path.clone(), beat: Duration::from_millis(50) };
        let asks = probe("ups", json!({"serialPort": ups.path}));
        for _ in 0..3 {
            let all = [look(&test), look(&*asks), look(&test), look(&*asks)];
            for outcome in futures_util::future::join_all(all).await {
                assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
            }
        }
        let heard = ups.heard.lock();
        let of = |command: &str| heard.iter().filter(|heard| *heard == command).count();
        assert_eq!((of("T"), of("QS")), (6, 6 + 6 * 4), "{heard:?}");
    }

    #[tokio::test]
    async fn a_fault_fails() {
        let (outcome, _ups) = run(&[
            "(230.0 230.0 230.0 010 50.0 13.7 --.- 00001001",
            "(230.0 230.0 230.0 035 50.0 10.1 --.- 00001101",
            "(230.0 230.0 230.0 012 50.0 13.2 --.- 00011001",
        ])
        .await;
        assert!(outcome.text.contains("found a fault in its self-test"), "{}", outcome.text);
        assert_eq!(outcome.verdict, Verdict::Fail);
    }

    #[tokio::test]
    async fn nothing_is_tested_where_that_could_do_harm() {
        for (status, why) in [
            ("(000.0 190.0 230.0 010 50.0 13.7 --.- 10001001", "the mains have failed"),
            ("(230.0 190.0 230.0 010 50.0 13.7 --.- 00001011", "it is shutting down"),
            (
                "(230.0 190.0 230.0 010 50.0 12.9 --.- 00001001",
                "its battery has 12.9V, less than 13.0V",
            ),
        ] {
            let status: &'static [&'static str] = Box::leak(Box::new([status]));
            let (outcome, ups) = run(status).await;
            assert_eq!(outcome.text, format!("UPS on LINE was not tested: {why}"));
            assert_eq!(*ups.heard.lock(), ["QS"]);
        }
    }

    #[test]
    fn a_port_is_required() {
        assert_eq!(faults("upstest", json!({})), ["serialPort"]);
    }
}
