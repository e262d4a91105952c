//! `push`: a job that says itself that it ran, and is missed when it does not.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Answers, Kind, Opt, Options, Plan};

/// The entry of `push` in the table.
pub const KIND: Kind = Kind {
    name: "push",
    summary: "a job that reports by itself, and is missed when it does not",
    options: &[
        Opt::secret(
            "token",
            "what the job reports under, required: 16 to 128 letters, digits, `-` and `_`",
        ),
        Opt::number("period", "required", "seconds from one report to the next"),
        Opt::number(
            "grace",
            "a tenth of it, a minute at least",
            "seconds that a report may be late",
        ),
        Opt::number("maxRuntime", "none", "seconds from `start` within which the job must end"),
    ],
    answers: Answers {
        proves: "The job reported success, and not longer ago than it should.",
        leaves_open: "Whether what the job did is of any use: restore a backup now and then.",
        failure: "The job reported a failure, or no report came within period and grace, or it began and did not end. The \
                  log has what the job said.",
        matters: "`period`, as the job's own schedule has it, and `grace`, longer than it ever takes. The job asks \
                  `/push/TOKEN` of the page by GET or POST, or publishes to `fletchck/push/TOKEN`, once it is done; with \
                  `/start`, `/fail` and `/log` behind it at other times, or `/0` to `/255` with its exit status. What it \
                  posts is shown in the log.",
    },
    example: r#"{"type": "push", "options": {"token": "0123456789abcdef", "period": 86400, "grace": 3600, "maxRuntime": 7200}}"#,
    build,
};

/// Longest time for which a report that nobody could hear may be repeated, after this site was away.
const REPEAT: TimeDelta = TimeDelta::minutes(10);

/// Longest period, in seconds: 400 days.
const LONGEST: f64 = 34_560_000.0;

/// What a report is addressed to: a digest of the token, so that comparing takes equally long for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PushKey([u8; 32]);

impl PushKey {
    /// The key of a token; `None` where it can be none.
    pub fn of(token: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let good = (16..=128).contains(&token.len()) && token.bytes().all(plain);
        good.then(|| Self(Sha256::digest(token).into()))
    }
}

/// What a job reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It began.
    Start,
    /// It is done, and all is well.
    Success,
    /// It failed, with this exit status where it tells one.
    Fail(Option<u8>),
    /// It has something to say, and that changes nothing.
    Log,
}

impl Signal {
    /// Reads what stands behind the token.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "success" | "0" => Self::Success,
            "start" => Self::Start,
            "fail" => Self::Fail(None),
            "log" => Self::Log,
            status => Self::Fail(Some(status.parse().ok()?)),
        })
    }
}

/// When reports of a job are expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Push {
    /// What its reports are addressed to.
    pub key: PushKey,
    period: TimeDelta,
    grace: TimeDelta,
    max_runtime: Option<TimeDelta>,
}

/// What was heard of a job, as it is kept with the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reports {
    /// When it last reported that it was done, well or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<DateTime<Utc>>,
    /// When it reported that it began, while it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<DateTime<Utc>>,
}

/// What a job has missed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Missed {
    /// To report at all.
    Report,
    /// To end, having begun.
    End(DateTime<Utc>),
}

impl Reports {
    /// What was kept.
    pub fn of(kept: Option<&Value>) -> Self {
        kept.and_then(|kept| Self::deserialize(kept).ok()).unwrap_or_default()
    }

    /// To keep.
    pub fn kept(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// No later than now: what was heard before a clock was set back is not in the future.
    #[must_use]
    pub fn until(self, now: DateTime<Utc>) -> Self {
        Self { ended: self.ended.map(|at| at.min(now)), began: self.began.map(|at| at.min(now)) }
    }
}

impl Push {
    /// When something will be missed, and what, if nothing is heard until then. Nobody could be heard before `since`.
    pub fn deadline(&self, heard: &Reports, since: DateTime<Utc>) -> (DateTime<Utc>, Missed) {
        let report = match heard.ended {
            // A report that came while nobody listened may be repeated within the grace, which does not begin anew for ever
            // where this site does.
            Some(at) => (at + self.period + self.grace).max(since + self.grace.min(REPEAT)),
            None => since + self.period + self.grace,
        };
        let end = heard.began.zip(self.max_runtime);
        let end = end.map(|(began, limit)| ((began + limit).max(since), Missed::End(began)));
        match end {
            Some((end, missed)) if end < report => (end, missed),
            _ => (report, Missed::Report),
        }
    }

    /// Time from one report to the latest moment of the next.
    pub fn patience(&self) -> TimeDelta {
        self.period + self.grace
    }

    /// Longest time a job may take.
    pub fn max_runtime(&self) -> Option<TimeDelta> {
        self.max_runtime
    }
}

fn build(options: &mut Options<'_>) -> Option<Plan> {
    let token = options.text("token").unwrap_or_default();
    let key = PushKey::of(token);
    if key.is_none() {
        options.fault(
            "token",
            if token.is_empty() {
                "it is missing"
            } else {
                "it is too short, too long, or has other characters"
            },
            "16 to 128 letters, digits, `-` and `_`, as `openssl rand -hex 16` makes them",
        );
    }
    let period = options.number("period", 1.0..=LONGEST, "seconds");
    if !options.given("period") {
        options.fault(
            "period",
            "it is missing",
            "the seconds from one report of the job to the next",
        );
    }
    let grace = options.number("grace", 0.0..=LONGEST, "seconds");
    let max_runtime = options.number("maxRuntime", 1.0..=LONGEST, "seconds").map(delta);
    let (key, period) = (key?, period?);
    let grace = delta(grace.unwrap_or((period / 10.0).max(60.0)));
    Some(Plan::Push(Push { key, period: delta(period), grace, max_runtime }))
}

fn delta(seconds: f64) -> TimeDelta {
    TimeDelta::from_std(Duration::from_secs_f64(seconds)).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::testing::{faults, plan};

    const TOKEN: &str = "0123456789abcdef";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn push(more: Value) -> Push {
        let mut options = json!({"token": TOKEN, "period": 100, "grace": 10});
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        match plan("push", options) {
            Plan::Push(push) => push,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missed_depends_on_what_was_heard() {
        let push = push(json!({"maxRuntime": 50}));
        let heard = |ended: Option<i64>, began: Option<i64>| Reports {
            ended: ended.map(at),
            began: began.map(at),
        };
        for (heard, since, deadline, missed) in [
            (heard(None, None), 1000, 1110, Missed::Report),
            (heard(Some(1000), None), 500, 1110, Missed::Report),
            // Nobody listened when it should have come.
            (heard(Some(1000), None), 2000, 2010, Missed::Report),
            (heard(Some(1000), Some(1095)), 500, 1110, Missed::Report),
            (heard(Some(1000), Some(1020)), 500, 1070, Missed::End(at(1020))),
            (heard(None, Some(1000)), 900, 1010, Missed::Report),
        ] {
            assert_eq!(push.deadline(&heard, at(since)), (at(deadline), missed), "{heard:?}");
        }
    }

    #[test]
    fn a_long_grace_does_not_begin_anew_for_ever_where_the_site_does() {
        let push = push(json!({"grace": 86400}));
        let heard = Reports { ended: Some(at(0)), began: None };
        assert_eq!(push.deadline(&heard, at(85_000)).0, at(86_500), "its own time, and no less");
        assert_eq!(push.deadline(&heard, at(200_000)).0, at(200_600));
    }

    #[test]
    fn what_stands_behind_a_token_is_a_signal() {
        for (text, signal) in [
            ("", Some(Signal::Success)),
            ("0", Some(Signal::Success)),
            ("start", Some(Signal::Start)),
            ("fail", Some(Signal::Fail(None))),
            ("3", Some(Signal::Fail(Some(3)))),
            ("log", Some(Signal::Log)),
            ("256", None),
            ("-1", None),
            ("Start", None),
        ] {
            assert_eq!(Signal::parse(text), signal, "{text}");
        }
    }

    #[test]
    fn what_was_heard_is_kept_and_never_in_the_future() {
        let heard = Reports { ended: Some(at(5)), began: None };
        assert_eq!(Reports::of(Some(&heard.kept())), heard);
        assert_eq!(Reports::of(Some(&json!("nonsense"))), Reports::default());
        assert_eq!(heard.until(at(3)).ended, Some(at(3)));
    }

    #[test]
    fn options_are_judged() {
        assert_eq!(faults("push", json!({})), ["token", "period"]);
        assert_eq!(faults("push", json!({"token": "short", "period": 5})), ["token"]);
        assert_eq!(faults("push", json!({"token": TOKEN, "period": 0})), ["period"]);
        assert_eq!(push(json!({"grace": null, "period": 60})).patience(), TimeDelta::seconds(120));
    }
}
