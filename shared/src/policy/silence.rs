//! Silences and maintenance windows: nobody is told of what they fit.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{Hidden, HiddenBy};
use crate::{Tz, schedule::Trigger, time};

/// Nobody is told of the checks that it fits, at the times it names. It was made by somebody, and ends by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// What it is.
    pub kind: SilenceKind,
    /// Which checks.
    pub pattern: Pattern,
    /// When.
    pub when: When,
    /// Who made it.
    pub by: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Kinds of [`Silence`]; what they do is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SilenceKind {
    /// Somebody does not want to hear of it for a while.
    Silence,
    /// Somebody works on it.
    Maintenance,
    /// Somebody wants to hear of this one check later.
    Snooze,
}

/// Which checks a silence fits: those that fit all of its parts. `*` in a text stands for any characters, `?` for one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pattern {
    /// Names of checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The name of one check, in which no character stands for another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ids of agents; of a check that runs on this site, the site's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Labels of the agent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a pattern is held against.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the check.
    pub check: &'a str,
    /// The agent that it runs on.
    pub agent: &'a str,
    /// Labels of that agent.
    pub labels: &'a BTreeMap<String, String>,
}

/// When a silence holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Once.
    Once(Span),
    /// Again and again.
    #[serde(rename_all = "camelCase")]
    Again {
        /// When it begins each time.
        trigger: Trigger,
        /// How long it lasts each time, in seconds.
        seconds: u32,
        /// The last moment at which it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end: Option<DateTime<Utc>>,
    },
}

/// From a moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First moment.
    pub start: DateTime<Utc>,
    /// First moment after it.
    pub end: DateTime<Utc>,
}

impl Silence {
    /// Why nobody is told of this check now, if this is why. `zone` is that of the site.
    pub fn hides(&self, subject: Subject<'_>, now: DateTime<Utc>, zone: Tz) -> Option<Hidden> {
        if !self.pattern.fits(subject) {
            return None;
        }
        let until = self.when.until(now, zone)?;
        let what = match self.kind {
            SilenceKind::Silence => "silenced",
            SilenceKind::Maintenance => "in maintenance",
            SilenceKind::Snooze => "snoozed",
        };
        let reason =
            if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        let why = format!("{what} by {} until {}{reason}", self.by, time::people(until, zone));
        Some(Hidden { by: HiddenBy::Silence, why, until: Some(until) })
    }

    /// Whether it will never hold again.
    pub fn over(&self, now: DateTime<Utc>, zone: Tz) -> bool {
        match &self.when {
            When::Once(span) => span.end <= now,
            When::Again { trigger, end, .. } => {
                end.is_some_and(|end| end <= now)
                    || (self.when.until(now, zone).is_none()
                        && trigger.next_after(now, DateTime::UNIX_EPOCH, zone).is_none())
            }
        }
    }
}

impl When {
    /// Longest that one window lasts which comes again, in seconds: 30 days.
    pub const LENGTH_MAX: i64 = 30 * 24 * 3600;

    /// The end of the time in which it holds, if it holds now.
    pub fn until(&self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Once(span) => (span.start <= now && now < span.end).then_some(span.end),
            Self::Again { trigger, seconds, end } => {
                if end.is_some_and(|end| end <= now) {
                    return None;
                }
                let length = TimeDelta::seconds((*seconds).into());
                let next = |after| trigger.next_after(after, DateTime::UNIX_EPOCH, zone);
                // The latest beginning counts: times that run into each other are one.
                let begun = last_until(now.checked_sub_signed(length)?, now, next)?;
                let until = begun.checked_add_signed(length)?;
                Some(end.map_or(until, |end| end.min(until)))
            }
        }
    }

    /// When it begins next, if it does.
    pub fn next(&self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        match self {
            Self::Once(span) => (span.start > now).then_some(span.start),
            Self::Again { trigger, end, .. } => trigger
                .next_after(now, DateTime::UNIX_EPOCH, zone)
                .filter(|next| end.is_none_or(|end| *next < end)),
        }
    }
}

impl Pattern {
    /// Whether a check fits. A pattern without parts fits every check.
    pub fn fits(&self, subject: Subject<'_>) -> bool {
        let fits =
            |pattern: &Option<String>, text| pattern.as_deref().is_none_or(|p| glob(p, text));
        fits(&self.check, subject.check)
            && self.name.as_deref().is_none_or(|name| name == subject.check)
            && fits(&self.agent, subject.agent)
            && self.labels.iter().all(|(key, pattern)| {
                subject.labels.get(key).is_some_and(|value| glob(pattern, value))
            })
    }

    /// Whether it has no part, so that it fits everything.
    pub fn is_empty(&self) -> bool {
        self.check.is_none()
            && self.name.is_none()
            && self.agent.is_none()
            && self.labels.is_empty()
    }
}

/// The last point of a trigger after `after` that is not after `now`, where `next` is its first one after a time. Found by
/// halving: a trigger may have millions of points in a window.
fn last_until(
    after: DateTime<Utc>,
    now: DateTime<Utc>,
    mut next: impl FnMut(DateTime<Utc>) -> Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    let mut by_now = |after| next(after).filter(|point| *point <= now);
    let mut last = by_now(after)?;
    // Nothing lies between this and `now`.
    let mut bound = now;
    while let Some(following) = by_now(last) {
        last = following;
        let middle = last + (bound - last) / 2;
        match by_now(middle) {
            Some(later) => last = later,
            None => bound = middle,
        }
    }
    Some(last)
}

/// Whether a text fits a pattern with `*` and `?`. Time is bounded by the product of their lengths.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last `*` stands, and how much of the text it stands for by now.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((place, taken)) => {
                    *taken += 1;
                    (at, seen) = (*place + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn silence(when: When, pattern: Pattern) -> Silence {
        Silence {
            kind: SilenceKind::Maintenance,
            pattern,
            when,
            by: "ann".into(),
            reason: "disks".into(),
        }
    }

    #[test]
    fn a_silence_holds_in_its_time_and_says_who_and_why() {
        let span = Span { start: at("2026-11-26T10:00:00Z"), end: at("2026-11-26T12:00:00Z") };
        let silence = silence(When::Once(span), Pattern::default());
        let labels = BTreeMap::new();
        let subject = Subject { check: "web", agent: "nas", labels: &labels };
        let hides = |now| silence.hides(subject, at(now), crate::Tz::UTC);
        assert_eq!(hides("2026-11-26T09:59:59Z"), None);
        let hidden = hides("2026-11-26T10:00:00Z").expect("it holds");
        assert_eq!(hidden.why, "in maintenance by ann until 26 Nov 2026 12:00 UTC: disks");
        assert_eq!(hidden.until, Some(span.end));
        assert_eq!(hides("2026-11-26T12:00:00Z"), None);
        assert!(
            silence.over(span.end, crate::Tz::UTC) && !silence.over(span.start, crate::Tz::UTC)
        );
    }

    #[test]
    fn a_window_comes_again_by_the_clock_on_the_wall_of_its_zone() {
        let trigger = "cron 2 hr sun weekday Europe/Berlin z".parse().expect("a trigger");
        let when = When::Again { trigger, seconds: 7200, end: None };
        // In summer and in winter, two hours from two in the morning.
        for (before, first, end) in [
            ("2026-07-18T23:59:59Z", "2026-07-19T00:00:00Z", "2026-07-19T02:00:00Z"),
            ("2026-12-06T00:59:59Z", "2026-12-06T01:00:00Z", "2026-12-06T03:00:00Z"),
        ] {
            assert_eq!(when.until(at(before), crate::Tz::UTC), None);
            assert_eq!(when.until(at(first), crate::Tz::UTC), Some(at(end)));
            assert_eq!(when.until(at(end), crate::Tz::UTC), None);
            assert_eq!(when.next(at(before), crate::Tz::UTC), Some(at(first)));
        }
    }

    #[test]
    fn a_pattern_fits_what_fits_all_its_parts() {
        let labels = BTreeMap::from([("site".to_owned(), "barn".to_owned())]);
        let fits = |check: Option<&str>, agent: Option<&str>, label: Option<(&str, &str)>| {
            let labels_wanted =
                label.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
            let pattern = Pattern {
                check: check.map(Into::into),
                name: None,
                agent: agent.map(Into::into),
                labels: labels_wanted,
            };
            pattern.fits(Subject { check: "nas/disk /", agent: "nas", labels: &labels })
        };
        assert!(fits(None, None, None));
        assert!(fits(Some("*disk*"), Some("n?s"), Some(("site", "b*"))));
        assert!(!fits(Some("disk"), None, None));
        assert!(!fits(None, Some("na"), None));
        assert!(!fits(None, None, Some(("room", "*"))));
        let one = Pattern { name: Some("a*".into()), ..Pattern::default() };
        assert!(one.fits(Subject { check: "a*", agent: "nas", labels: &labels }));
        assert!(!one.fits(Subject { check: "ab", agent: "nas", labels: &labels }));
    }

    #[test]
    fn a_window_of_millions_of_beginnings_is_looked_up_in_a_few_steps() {
        let now = at("2026-11-26T10:00:00Z");
        let begin = now - TimeDelta::days(30);
        for (trigger, last) in [
            ("cron */1 sec", now),
            ("interval 1 sec", now),
            ("cron 0 sec", now),
            ("cron 59 sec", now - TimeDelta::seconds(1)),
            ("cron 3 hr", now - TimeDelta::hours(7)),
        ] {
            let trigger: Trigger = trigger.parse().expect("a trigger");
            let mut steps = 0;
            let next = |after| {
                steps += 1;
                trigger.next_after(after, DateTime::UNIX_EPOCH, crate::Tz::UTC)
            };
            assert_eq!(last_until(begin, now, next), Some(last), "{trigger:?}");
            assert!(steps <= 80, "{trigger:?}: {steps}");
        }
        let trigger = "cron */1 sec".parse().expect("a trigger");
        let when = When::Again { trigger, seconds: 30 * 24 * 3600, end: None };
        let pattern = Pattern { check: Some("db".into()), ..Pattern::default() };
        let labels = BTreeMap::new();
        let subject = Subject { check: "db", agent: "nas", labels: &labels };
        let hidden = silence(when, pattern).hides(subject, now, crate::Tz::UTC);
        assert_eq!(hidden.and_then(|hidden| hidden.until), Some(now + TimeDelta::days(30)));
    }

    proptest! {
        /// The same as one beginning after another, in summer, in winter and where one becomes the other.
        #[test]
        fn the_last_beginning_is_the_one_that_a_walk_over_all_finds(
            trigger in prop_oneof![
                (1_u32..60).prop_map(|n| format!("cron */{n} sec")),
                (0_u32..60, 1_u32..60).prop_map(|(m, s)| format!("cron {s} sec {m} min")),
                (0_u32..24, 0_u32..60).prop_map(|(h, m)| format!("cron {m} min {h} hr")),
                (1_u32..5000).prop_map(|n| format!("interval {n} sec")),
            ],
            zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Australia/Lord_Howe")],
            start in prop_oneof![Just("2026-10-25T01:00:00Z"), Just("2026-03-29T01:00:00Z"),
                Just("2026-04-04T15:00:00Z"), Just("2026-07-01T00:00:00Z")],
            around in -7200_i64..7200, millis in 0_i64..1000, length in 1_i64..20_000,
        ) {
            let trigger: Trigger = trigger.parse().expect("a trigger");
            let zone: Tz = zone.parse().expect("a zone");
            let now = at(start) + TimeDelta::seconds(around) + TimeDelta::milliseconds(millis);
            let after = now - TimeDelta::seconds(length);
            let next = |after| trigger.next_after(after, DateTime::UNIX_EPOCH, zone);
            let walk = std::iter::successors(next(after), |point| next(*point));
            let slow = walk.take_while(|point| *point <= now).last();
            prop_assert_eq!(last_until(after, now, next), slow);
        }

        /// The same as a regular expression says that is made of the pattern.
        #[test]
        fn a_star_stands_for_anything(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn by_recursion(p: &[u8], t: &[u8]) -> bool {
                match (p.first(), t.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => {
                        by_recursion(&p[1..], t) || (!t.is_empty() && by_recursion(p, &t[1..]))
                    }
                    (Some(b'?'), Some(_)) => by_recursion(&p[1..], &t[1..]),
                    (Some(p0), Some(t0)) if p0 == t0 => by_recursion(&p[1..], &t[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(glob(&pattern, &text), by_recursion(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
